"""What watches a training, in the training's own process."""

from __future__ import annotations

import itertools
import json
import signal
from pathlib import Path

import pytest
import torch
from training_jobs import Job

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.record_files import RecordFile, read_records
from sagemaker_dogbreed.container.debugging.settings import (
    DEBUGGER,
    PROFILER,
    DebuggerSettings,
    ProfilerSettings,
    RuleSetting,
    to_text,
    wanted_rules,
)
from sagemaker_dogbreed.container.debugging.watch import RuleWatch
from sagemaker_dogbreed.container.debugging.watcher import Watcher

pytestmark = pytest.mark.usefixtures("one_thread")

EVERY_STEP = {DEBUGGER: to_text(DebuggerSettings(save_interval=1))}


@pytest.fixture
def job(tmp_path) -> Job:
    return Job(tmp_path / "job", train_count=8)


def history_of(job: Job) -> History:
    return History.of(read_records(job.checkpoints / "debugger"))


def statuses(job: Job) -> dict[str, dict]:
    answer = json.loads((job.checkpoints / "debugger" / "rules.json").read_text())
    return {each["RuleConfigurationName"]: each for statuses in answer.values() for each in statuses}


def test_a_training_leaves_records_of_all_it_did(job, monkeypatch):
    """Steps, tensors, epochs, the machine, where the time went: beside the checkpoints and in the output."""
    assert job.run_here(monkeypatch, **EVERY_STEP) == 0
    history = history_of(job)
    assert [step.step for step in history.steps] == list(range(12))
    assert {step.epoch for step in history.steps} == {1, 2}
    assert [each.step for each in history.tensors] == list(range(12))
    kinds = {tensor.kind for tensor in history.tensors[-1].tensors.values()}
    assert kinds == {"weight", "gradient", "output"}
    assert [epoch.epoch for epoch in history.epochs] == [1, 2]
    assert history.epochs[-1].step == 11
    assert history.epochs[-1].labels == (8, 8, 8)
    epochs = job.result("history")["epochs"]
    assert history.epochs[-1].measures == {
        name: value for name, value in epochs[-1].items() if name != "epoch"
    }
    assert {span.name for span in history.spans} == {
        "initialization",
        "train",
        "evaluation",
        "checkpoint",
        "test",
    }
    assert {each.mode for each in history.phases} == {"train", "evaluate"}
    trained = [each for each in history.phases if each.mode == "train"]
    assert set(trained[-1].parts) >= {"data", "copy", "forward", "backward", "optimizer"}
    assert history.settings["batch_size"] == 4
    copied = History.of(read_records(job.output / "data" / "debugger"))
    assert copied.steps == history.steps


def test_a_step_is_recorded_with_what_the_log_says(job, monkeypatch):
    """The mean of the recorded losses, weighted by images, is the epoch's."""
    assert job.run_here(monkeypatch, **EVERY_STEP) == 0
    history = history_of(job)
    first = [step for step in history.steps if step.epoch == 1]
    mean = sum(step.loss * step.images for step in first) / sum(step.images for step in first)
    assert mean == pytest.approx(history.epochs[0].measures["train_loss"])
    right = sum(step.top_1 * step.images for step in first)
    assert right == pytest.approx(24 - sum(history.epochs[0].errors))


def test_what_is_turned_off_leaves_nothing(job, monkeypatch):
    """Without debugger and profiler there are no records, and the model is the same."""
    assert job.run_here(monkeypatch, **EVERY_STEP) == 0
    watched = torch.load(job.model / "model.pth")
    other = Job(job.base / "other", train_count=8)
    assert other.run_here(monkeypatch, **{DEBUGGER: "off", PROFILER: "off"}) == 0
    assert not (other.checkpoints / "debugger").exists()
    torch.testing.assert_close(torch.load(other.model / "model.pth"), watched, rtol=0, atol=0)


def test_a_head_on_features_is_recorded_with_its_extraction(job, monkeypatch, tmp_path):
    """The pass through the frozen backbone is told apart from the head's steps."""
    from training_jobs import save_backbone

    save_backbone(job.base / "weights")
    monkeypatch.setenv("SM_CHANNEL_WEIGHTS", str(job.base / "weights"))
    status = job.run_here(
        monkeypatch, backbone="shufflenet_v2_x0_5", weights="channel", finetune="head", **EVERY_STEP
    )
    assert status == 0
    history = history_of(job)
    assert {each.mode for each in history.phases} == {"extract", "train", "evaluate"}
    assert {name.partition("/")[0] for name in history.tensors[0].tensors} >= {"weight", "gradient"}
    assert "extraction" in {span.name for span in history.spans}
    assert history.settings["on_features"] is True


def test_a_rule_that_stops_ends_the_training_and_keeps_the_best(job, monkeypatch, capsys):
    """Training ends when the rule finds something; the model so far is tested and kept."""
    stop = RuleSetting(name="Overtraining", parameters={"patience_train": 1, "delta": 10.0}, stops=True)
    wanted = DebuggerSettings(rules=(stop,))
    assert job.run_here(monkeypatch, epochs=9, **{DEBUGGER: to_text(wanted)}) == 0
    assert len(job.result("history")["epochs"]) < 9
    assert "test_loss" in job.result("metrics")
    assert (job.model / "model.json").is_file()
    assert "The rule Overtraining ends the training" in capsys.readouterr().out
    assert statuses(job)["Overtraining"]["RuleEvaluationStatus"] == "IssuesFound"


def test_a_rule_that_stops_before_there_is_a_model_fails_the_job(job, monkeypatch):
    """The reason names the rule, what it found, and the way out."""
    stop = RuleSetting(name="VanishingGradient", parameters={"threshold": 1e9}, stops=True)
    wanted = DebuggerSettings(rules=(stop,))
    assert job.run_here(monkeypatch, **{DEBUGGER: to_text(wanted)}) == 1
    assert "the rule VanishingGradient ended the training before there was a model" in job.failure
    assert "on_trigger: none" in job.failure


def test_a_training_that_diverges_says_so_in_its_rules(job, monkeypatch):
    """What was recorded up to the failure is judged."""
    assert job.run_here(monkeypatch, learning_rate=100.0, optimizer="sgd", **EVERY_STEP) == 1
    assert statuses(job)["NaNOrInf"]["RuleEvaluationStatus"] == "IssuesFound"


def test_live_and_afterwards_rules_find_the_same(job, monkeypatch):
    """The statuses in the file are those of a replay of the records."""
    assert job.run_here(monkeypatch, epochs=4, **EVERY_STEP) == 0
    rules = wanted_rules(DebuggerSettings(save_interval=1), ProfilerSettings())
    replayed = RuleWatch.replayed(rules, read_records(job.checkpoints / "debugger"))
    found = statuses(job)
    for status in replayed.statuses(profiles=False):
        assert found[status.name]["RuleEvaluationStatus"] == status.status
        assert found[status.name]["StatusDetails"] == status.details


def test_a_resumed_training_has_one_history(job, monkeypatch):
    """Steps that an interruption undid are not told twice; epochs go on."""
    assert job.run_here(monkeypatch, epochs=2, **EVERY_STEP) == 0
    for path in job.checkpoints.glob("checkpoint-00002-*"):
        path.unlink()  # as if it had been killed in the second epoch
    assert job.run_here(monkeypatch, epochs=3, **EVERY_STEP) == 0
    history = history_of(job)
    assert [step.step for step in history.steps] == list(range(18))
    assert [epoch.epoch for epoch in history.epochs] == [1, 2, 3]
    assert len(history.starts) == 4  # of either file, twice
    assert [resume.step for resume in history.resumptions] == [6]


def test_a_full_disk_ends_the_recording_and_not_the_training(job, monkeypatch, capsys):
    """The log says so; the model is there."""
    folder = job.checkpoints / "debugger"
    folder.mkdir(parents=True)
    for name in ("training", "profile-0"):
        (folder / f"{name}.jsonl").symlink_to("/dev/full")
    assert job.run_here(monkeypatch, **EVERY_STEP) == 0
    assert "Nothing more is recorded" in capsys.readouterr().out
    assert (job.model / "model.json").is_file()


def test_a_rule_that_does_not_exist_fails_the_job_with_its_name(job, monkeypatch):
    """A job of a newer library's spec, say, says what it does not know."""
    wanted = to_text(DebuggerSettings(rules=(RuleSetting(name="NoSuchRule"),)))
    assert job.run_here(monkeypatch, **{DEBUGGER: wanted}) == 1
    assert "no training rule NoSuchRule" in job.failure


def test_of_very_many_steps_only_some_are_recorded(tmp_path):
    """Of quick steps the first are recorded, and then one now and then."""
    watcher = Watcher(
        tmp_path, rank=0, device=torch.device("cpu"), debugger=DebuggerSettings(), profiler=None
    )
    watcher.training_begins(epoch=0, step=0)
    for step in range(5000):
        watcher.step_ended(step=step, epoch=1, loss=1.0, top_1=0.0, learning_rate=0.1, images=4)
    watcher.finish()
    steps = History.of(read_records(tmp_path)).steps
    assert [step.step for step in steps[:100]] == list(range(100))
    assert len(steps) < 1000


def test_of_a_long_training_ever_fewer_steps_have_their_tensors_recorded(tmp_path, monkeypatch):
    """Those of a large network take 0.3 MB a step, here and in memory."""
    times = itertools.count(1e9, 0.6)
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    watcher = Watcher(
        tmp_path, rank=0, device=torch.device("cpu"), debugger=DebuggerSettings(), profiler=None
    )
    network = torch.nn.Linear(1, 1)
    watcher.record(network, network)
    for step in range(0, 1_000_000, 100):
        watcher.step_begins(step)
        watcher.backward_done()
        watcher.updated()
    watcher.finish()
    tensors = History.of(read_records(tmp_path)).tensors
    assert [each.step for each in tensors[:1000]] == list(range(0, 100_000, 100))
    assert len(tensors) < 4000


def test_rules_are_in_progress_from_the_start(tmp_path):
    """As SageMaker tells it; what an earlier job left is no longer told."""
    (tmp_path / "rules.json").write_text("{}")
    watcher = Watcher(
        tmp_path, rank=0, device=torch.device("cpu"), debugger=DebuggerSettings(), profiler=None
    )
    watcher.start({})
    answer = json.loads((tmp_path / "rules.json").read_text())
    assert {each["RuleEvaluationStatus"] for each in answer["DebugRuleEvaluationStatuses"]} == {"InProgress"}
    watcher.keep(tmp_path / "never-written.json")  # the folder of the records may be full, too
    watcher.finish()


def test_own_rules_beside_the_script_are_asked(job, monkeypatch, tmp_path):
    """A rule of the user's own finds something while the training runs."""
    (tmp_path / "own_rules.py").write_text(
        "from sagemaker_dogbreed import rule\n\n"
        "@rule('FirstEpochDone', on='epoch')\n"
        "def first_epoch_done(history, *, epoch=1):\n"
        "    if history.epochs[-1].epoch >= epoch:\n"
        "        return f'epoch {epoch} is over'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert job.run_here(monkeypatch, **{DEBUGGER: to_text(DebuggerSettings(own_rules=True))}) == 0
    finally:
        from sagemaker_dogbreed.container.debugging.rules import REGISTRY

        REGISTRY.pop("FirstEpochDone", None)
    assert statuses(job)["FirstEpochDone"]["StatusDetails"] == "epoch 1 is over"


def test_a_killed_training_can_be_read_up_to_the_kill(job, tmp_path):
    """SIGKILL in the middle leaves records of every step before it, and rules work on them."""
    from sagemaker_dogbreed.packaging import stage

    process = job.start(stage(tmp_path / "tree"), *_arguments(epochs=500))
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Epoch 3/500 - took"):
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    history = history_of(job)
    assert [step.step for step in history.steps][:18] == list(range(18))
    assert len(history.epochs) >= 3
    watch = RuleWatch.replayed(
        wanted_rules(DebuggerSettings(), None), read_records(job.checkpoints / "debugger")
    )
    assert {status.status for status in watch.statuses(profiles=False)} <= {"NoIssuesFound", "IssuesFound"}


def _arguments(**changes: object) -> list[str]:
    from training_jobs import arguments

    return arguments(**changes, **EVERY_STEP)


def test_what_a_kill_left_of_a_line_is_passed_over(tmp_path):
    """A torn last line is ended, and what is written after it can be read."""
    from sagemaker_dogbreed.container.debugging.records import Span

    path = tmp_path / "training.jsonl"
    with RecordFile(path) as file:
        file.write(Span(time=1, node="rank-0", name="train", seconds=1))
    path.write_text(path.read_text() + '{"kind":"span","time":2,"no')
    with RecordFile(path) as file:
        file.write(Span(time=3, node="rank-0", name="test", seconds=1))
    assert [record.name for record in read_records(tmp_path)] == ["train", "test"]
    assert Path(path).read_text().count("\n") == 3
