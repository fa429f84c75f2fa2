"""What a job recorded, read through its handle: here from a job that ran, on AWS from what one left in S3."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import attrs
import pytest
from test_flow_contract import TINY

import sagemaker_dogbreed as sdb
from sagemaker_dogbreed.cli import main
from sagemaker_dogbreed.container.debugging.rules import REGISTRY
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.local.locks import read_holder

pytestmark = pytest.mark.filterwarnings("ignore::sagemaker_dogbreed.ImagePatchWarning")

WATCHED = attrs.evolve(
    TINY,
    epochs=2,
    debugger=sdb.DebuggerSpec(
        rules=["Overfit", sdb.RuleSpec(name="VanishingGradient", parameters={"threshold": 1e9})],
        save_interval=1,
    ),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder of the local SageMaker, and of caches."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def here(root, photos):
    """A session on this machine, a data set and a finished job."""
    session = sdb.Session.local(root / "local")
    dataset = session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)
    job = session.train(WATCHED, dataset).wait(timeout_seconds=240)
    return session, dataset, job


@pytest.fixture(scope="module")
def job(here):
    """The job that ran here."""
    return here[2]


@pytest.fixture
def aws_job(aws, root, photos, job, tmp_path):
    """A job on AWS that left what the one here left."""
    place = sdb.Session.aws(cache_dir=root / "aws").place
    session = sdb.Session(place, cache_dir=root / "aws", poller=Poller(sleep=lambda _: None))
    session.ensure_role()
    dataset = session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)
    submitted = session.train(WATCHED, dataset)
    job._store.get_tree(f"{_checkpoints(job)}/debugger", tmp_path / "left")
    evaluation = tmp_path / "left" / "evaluation.json"
    told = json.loads(evaluation.read_text())
    session.store.put_file(evaluation, f"{_checkpoints(submitted)}/debugger/evaluation.json")
    assert submitted.evaluation() is None  # another job's, which was gone on from, say
    evaluation.write_text(json.dumps({**told, "job_name": submitted.name}))
    files = [(path.name, path) for path in (tmp_path / "left").iterdir()]
    session.store.put_tree(files, f"{_checkpoints(submitted)}/debugger")
    return submitted


def _checkpoints(job: sdb.TrainingJob) -> str:
    return job.describe()["CheckpointConfig"]["S3Uri"]


def _statuses(answer: dict, member: str = "DebugRuleEvaluationStatuses") -> dict[str, str]:
    return {each["RuleConfigurationName"]: each["RuleEvaluationStatus"] for each in answer[member]}


@pytest.mark.parametrize("place", ["job", "aws_job"])
def test_a_handle_tells_what_was_recorded(place, request, tmp_path):
    """Describe, history, rules, profile, diagnosis, evaluation and report, in either place."""
    job = request.getfixturevalue(place)
    answer = job.describe()
    found = _statuses(answer)
    assert set(found) == {"Overfit", "VanishingGradient"}
    assert found["VanishingGradient"] == "IssuesFound"
    profiled = _statuses(answer, "ProfilerRuleEvaluationStatuses")
    assert {"Dataloader", "StepOutlier", "OverallSystemUsage"} <= set(profiled)
    for each in answer["DebugRuleEvaluationStatuses"]:
        assert each["LastModifiedTime"].tzinfo is not None

    history = job.history()
    steps_an_epoch = len(history.steps) // 2
    assert [step.step for step in history.steps] == list(range(2 * steps_an_epoch))
    assert [epoch.epoch for epoch in history.epochs] == [1, 2]

    by_name = {status.name: status for status in job.rules()}
    assert by_name["VanishingGradient"].status == "IssuesFound"
    assert by_name["VanishingGradient"].first_step == 0
    (again,) = job.rules([sdb.RuleSpec(name="VanishingGradient", parameters={"threshold": 0.0})])
    assert again.status == "NoIssuesFound", again.details
    with pytest.raises(sdb.SpecError, match="there is no rule NoSuch"):
        job.rules(["NoSuch"])

    assert job.profile().batches["train"].count > 0
    assert "Looked at" in str(job.diagnosis())
    assert job.evaluation().images > 0
    page = job.report(tmp_path / "report.html").read_text()
    assert job.name in page
    assert "VanishingGradient" in page
    card = job._repr_html_()
    assert job.name in card
    assert "VanishingGradient" in card


def test_own_rules_defined_here_judge_a_job_afterwards(job):
    """A function with the decorator is a rule at once, with the parameters that are asked for."""

    @sdb.rule("MoreStepsThan", on="step")
    def more_steps_than(history, *, steps=1_000_000):
        return f"there are more than {steps} steps" if len(history.steps) > steps else None

    (calm,) = job.rules(["MoreStepsThan"])
    (found,) = job.rules([sdb.RuleSpec(name="MoreStepsThan", parameters={"steps": 1})])
    assert (calm.status, found.status) == ("NoIssuesFound", "IssuesFound")
    assert found.details == "there are more than 1 steps"


def test_own_rules_in_a_file_run_in_the_job(here, tmp_path):
    """The file goes with the code; what its rules find is in the description as AWS's rules are."""
    session, dataset, _ = here
    file = tmp_path / "mine.py"
    file.write_text(
        "from sagemaker_dogbreed import rule\n\n"
        "@rule('EpochIsOver', on='epoch')\n"
        "def epoch_is_over(history, *, epoch=1):\n"
        "    return f'epoch {epoch} is over' if history.epochs[-1].epoch >= epoch else None\n"
    )
    wanted = sdb.RuleSpec(name="EpochIsOver", parameters={"epoch": 2}, on_trigger="stop")
    spec = attrs.evolve(WATCHED, epochs=5, debugger=sdb.DebuggerSpec(rules=[wanted], rule_file=file))
    job = session.train(spec, dataset).wait(timeout_seconds=240)
    assert _statuses(job.describe())["EpochIsOver"] == "IssuesFound"
    assert [epoch.epoch for epoch in job.history().epochs] == [1, 2]
    assert any("The rule EpochIsOver ends the training" in line for line in job.logs())
    del REGISTRY["EpochIsOver"]  # as in another process, which does not have the file
    (told,) = [status for status in job.rules() if status.name == "EpochIsOver"]
    assert (told.status, told.details) == ("IssuesFound", "epoch 2 is over")
    assert "EpochIsOver" in job.report(tmp_path / "own.html").read_text()
    for bad, words in (
        (sdb.DebuggerSpec(rule_file=tmp_path / "no.py"), "there is no file"),
        (sdb.DebuggerSpec(rule_file=file, rules=["Nobodys"]), "there is no rule Nobodys"),
        (sdb.DebuggerSpec(rule_file=file, rules=["BatchSize"]), "BatchSize is a profiler rule"),
    ):
        with pytest.raises(sdb.SpecError, match=words):
            session.train(attrs.evolve(WATCHED, debugger=bad), dataset)
    file.write_text("1 / 0")
    with pytest.raises(sdb.SpecError, match=r"mine\.py fails: ZeroDivisionError"):
        session.train(spec, dataset)


def test_a_killed_job_is_judged_on_what_it_recorded(here, tmp_path):
    """SIGKILL in the middle: history, rules, diagnosis and report work on what was there."""
    session, dataset, _ = here
    job = session.train(attrs.evolve(WATCHED, epochs=500, patience=0), dataset)
    lines = job.logs(follow=True)
    next(line for line in lines if "Epoch 2/500 - took" in line)
    (lock,) = (session.store.root).glob(f"**/{job.name}/program.lock")
    os.killpg(read_holder(lock), signal.SIGKILL)
    with pytest.raises(sdb.JobFailedError, match="SIGKILL"):
        job.wait(timeout_seconds=60)
    history = job.history()
    assert len(history.epochs) >= 2
    assert history.steps[-1].step >= history.epochs[-1].step
    assert {status.status for status in job.rules()} <= {"NoIssuesFound", "IssuesFound"}
    assert job.report(tmp_path / "killed.html").stat().st_size > 0
    assert job.evaluation() is None
    (tmp_path / "torn.json").write_text('{"images": 1')
    place = f"{job.describe()['CheckpointConfig']['S3Uri']}/debugger/evaluation.json"
    session.store.put_file(tmp_path / "torn.json", place)
    with pytest.raises(sdb.JobError, match="the evaluation cannot be read"):
        job.evaluation()
    assert "cannot be read" in job.report(tmp_path / "killed.html").read_text()


def test_a_job_that_recorded_nothing_says_so(here):
    """With debugger and profiler off there is nothing to read, and the error tells why."""
    session, dataset, _ = here
    job = session.train(attrs.evolve(TINY, debugger=None, profiler=None), dataset).wait(timeout_seconds=240)
    with pytest.raises(sdb.JobError, match=r"recorded nothing .* debugger and profiler were off"):
        job.history()
    assert "DebugRuleEvaluationStatuses" not in job.describe()


def test_while_a_job_runs_its_records_can_be_read(here):
    """What is recorded so far is there within seconds."""
    session, dataset, _ = here
    job = session.train(attrs.evolve(WATCHED, epochs=2000, patience=0), dataset)
    next(line for line in job.logs(follow=True) if "Epoch 2/2000 - took" in line)
    deadline = time.monotonic() + 60
    seen = 0
    while seen < 2 and time.monotonic() < deadline:
        try:
            seen = len(job.history().epochs)
        except sdb.JobError:  # not copied yet
            continue
    assert seen >= 2
    assert _statuses(job.describe())["VanishingGradient"] == "IssuesFound"
    job.stop()
    job.wait(timeout_seconds=60)


def test_the_command_line_reports_and_diagnoses(here, tmp_path, capsys, monkeypatch):
    """Two commands: one writes the report and prints where, the other says what to change."""
    session, _, job = here
    monkeypatch.chdir(tmp_path)
    root = ["--root", str(session.store.root)]
    assert main([*root, "report", job.name]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()
    assert main([*root, "diagnose", job.name]) == 0
    assert "Looked at" in capsys.readouterr().out
    assert main([*root, "report", "no-such-job"]) == 1
    assert "there is no training job" in capsys.readouterr().err


def test_smdebug_is_checked_before_the_job_starts(aws, root):
    """On AWS its absence in the images is told; a wrong collection is an error of the spec."""
    spec = attrs.evolve(TINY, debugger=sdb.DebuggerSpec(hook="smdebug"))
    place = sdb.Session.aws(cache_dir=root / "aws").place
    with pytest.raises(sdb.UnsupportedError, match=r"smdebug==1\.0\.34"):
        place.check_specs(training=spec)
    place.check_specs(training=attrs.evolve(spec, image_uri="mine:1"))
    with pytest.raises(sdb.SpecError, match=r"collections\.mine"):
        sdb.DebuggerSpec(hook="smdebug", collections={"mine": {}})
    with pytest.raises(sdb.SpecError, match="collections are for hook: smdebug"):
        sdb.DebuggerSpec(collections={"gradients": {}})
