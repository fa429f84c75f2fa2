"""A tuning whose trials all run in one training job."""

from __future__ import annotations

import json
import signal

import pytest
import torch
from rank_processes import RankProcesses, run_training
from training_jobs import Job, arguments, save_backbone

from sagemaker_dogbreed import packaging
from sagemaker_dogbreed.container import artifact
from sagemaker_dogbreed.container.hparams import tuning_text
from sagemaker_dogbreed.container.metrics import parse_line

pytestmark = pytest.mark.usefixtures("one_thread")

HEAD = {
    "backbone": "shufflenet_v2_x0_5", "weights": "channel", "finetune": "head", "engine": "torch",
    "epochs": 3,
}  # fmt: skip


def config(
    most: int = 3, *, metric: str = "Test Loss", ranges: dict | None = None, **members: object
) -> dict:
    """Return a HyperParameterTuningJobConfig."""
    searched = ranges or {
        "ContinuousParameterRanges": [
            {"Name": "learning_rate", "MinValue": "0.0001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
        ],
        "CategoricalParameterRanges": [{"Name": "batch_size", "Values": ["4", "6"]}],
    }
    return {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": metric},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": most, "MaxParallelTrainingJobs": 1},
        "ParameterRanges": searched,
        "RandomSeed": 3,
        **members,
    }


@pytest.fixture
def job(tmp_path):
    """A job whose backbone's weights are in a channel."""
    job = Job(tmp_path / "opt" / "ml")
    job.channels["weights"] = save_backbone(tmp_path / "weights")
    return job


def run(job: Job, monkeypatch, search: dict, **hyperparameters: object) -> int:
    """Run a tuning in this process."""
    return job.run_here(monkeypatch, **{**HEAD, **hyperparameters}, tuning=tuning_text(search))


def trials(job: Job) -> list[dict]:
    """Return the trials that the model artifact tells of."""
    found: list[dict] = json.loads((job.model / "study.json").read_text())["trials"]
    return found


def test_trials_share_one_pass_over_the_data(job, monkeypatch, capsys):
    """The artifact is the best trial's model and holds the study; images passed the backbone once."""
    assert run(job, monkeypatch, config(4)) == 0
    output = capsys.readouterr().out
    found = trials(job)
    assert [trial["name"] for trial in found] == [f"squares-1-{number:03}" for number in (1, 2, 3, 4)]
    assert {trial["status"] for trial in found} == {"Completed"}
    best = min(found, key=lambda trial: trial["value"])
    card = artifact.read_card(job.model)
    assert card["metrics"]["test_loss"] == best["value"]
    for name, value in best["hyperparameters"].items():
        assert type(value) is {"learning_rate": float, "batch_size": int}[name]
        assert card["hyperparameters"][name] == str(value)
    assert output.count("Passing") == 3
    told = [
        json.loads(line.removeprefix("Trial ")) for line in output.splitlines() if line.startswith("Trial ")
    ]
    assert told == found


def test_the_log_ends_with_the_best_trials_metrics(job, monkeypatch, capsys):
    """SageMaker takes the last value of a metric in the log for the job's: it is the best trial's."""
    assert run(job, monkeypatch, config()) == 0
    last = {}
    for line in capsys.readouterr().out.splitlines():
        if not line.startswith("Trial"):
            last |= parse_line(line)
    best = min(trials(job), key=lambda trial: trial["value"])
    assert last == pytest.approx(best["metrics"], abs=1e-6)


def test_a_trial_is_the_training_of_its_hyperparameters(job, monkeypatch, tmp_path):
    """The best trial's model is what an ordinary training with its hyperparameters gives."""
    assert run(job, monkeypatch, config()) == 0
    best = min(trials(job), key=lambda trial: trial["value"])
    expected = artifact.load(job.model).module.state_dict()
    alone = Job(tmp_path / "alone")
    alone.channels["weights"] = job.channels["weights"]
    assert alone.run_here(monkeypatch, **{**HEAD, **best["hyperparameters"]}) == 0
    actual = artifact.load(alone.model).module.state_dict()
    assert all(torch.equal(actual[name], value) for name, value in expected.items())


def test_what_needs_other_features_gets_them(job, monkeypatch, capsys):
    """Where the search is over the backbone's input, features are made for each value, once."""
    ranges = {"CategoricalParameterRanges": [
        {"Name": "image_size", "Values": ["32", "48"]}, {"Name": "head", "Values": ["mlp", "linear"]},
    ]}  # fmt: skip
    search = config(4, ranges=ranges, Strategy="Grid")
    assert run(job, monkeypatch, search) == 0
    assert len({tuple(trial["hyperparameters"].items()) for trial in trials(job)}) == 4
    assert capsys.readouterr().out.count("Passing") == 6


def test_networks_that_train_in_full_begin_anew(job, monkeypatch):
    """Without a frozen backbone each trial trains a network of its own."""
    ranges = {"CategoricalParameterRanges": [{"Name": "learning_rate", "Values": ["0.001", "0.0001"]}]}
    search = config(2, ranges=ranges, Strategy="Grid")
    assert run(job, monkeypatch, search, finetune="full", epochs=1, backbone="squeezenet1_1",
               weights="none") == 0  # fmt: skip
    first, second = trials(job)
    assert first["value"] != second["value"]
    assert artifact.read_card(job.model)["metrics"]["test_loss"] == min(first["value"], second["value"])


def test_a_trial_that_fails_is_one_of_many(job, monkeypatch):
    """A trial that cannot be trained has failed, with its reason, and the others count."""
    ranges = {"CategoricalParameterRanges": [{"Name": "backbone", "Values": ["resnet1", HEAD["backbone"]]}]}
    assert run(job, monkeypatch, config(2, ranges=ranges, Strategy="Grid")) == 0
    first, second = trials(job)
    assert (first["status"], first["value"]) == ("Failed", None)
    assert "not a classification model" in first["failure_reason"]
    assert (second["status"], second["failure_reason"]) == ("Completed", None)


def test_a_search_in_which_all_fails_fails(job, monkeypatch):
    """Where no trial succeeds the job fails with the last one's reason."""
    ranges = {"CategoricalParameterRanges": [{"Name": "backbone", "Values": ["nonsense", "resnet1"]}]}
    assert run(job, monkeypatch, config(2, ranges=ranges, Strategy="Grid")) == 1
    assert "no trial succeeded after 2 attempts" in job.failure
    assert "not a classification model" in job.failure


@pytest.mark.parametrize(
    ("members", "count"),
    [
        ({"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 100.0}}, 1),
        (
            {"TuningJobCompletionCriteria": {
                "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}},
            None,
        ),
    ],
    ids=["target", "no improvement"],
)  # fmt: skip
def test_a_completion_criterion_ends_the_search(job, monkeypatch, capsys, members, count):
    """The search ends when a criterion is met, and the log names it."""
    assert run(job, monkeypatch, config(12, **members)) == 0
    ended = len(trials(job))
    assert ended == count or (count is None and 3 < ended < 12)
    assert next(iter(members["TuningJobCompletionCriteria"])) in capsys.readouterr().out


@pytest.mark.parametrize(
    "members",
    [
        {"Strategy": "Hyperband",
         "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}},
        {"TrainingJobEarlyStoppingType": "Auto"},
    ],
    ids=["Hyperband", "median"],
)  # fmt: skip
def test_trials_that_fall_behind_are_stopped(job, monkeypatch, members):
    """Trials with a bad start end early, with the value they had; the best is not one of them."""
    assert run(job, monkeypatch, config(12, metric="Valid Loss", **members), epochs=9, patience=0) == 0
    found = trials(job)
    stopped = [trial for trial in found if trial["status"] == "Stopped"]
    assert stopped
    assert all(trial["value"] is not None for trial in found)
    assert min(found, key=lambda trial: trial["value"])["status"] == "Completed"


def test_what_was_cut_off_goes_on(job, tmp_path, monkeypatch):
    """After SIGKILL the trials that ended are kept, and the whole is as if nothing had happened."""
    whole = Job(tmp_path / "whole")
    whole.channels["weights"] = job.channels["weights"]
    assert run(whole, monkeypatch, config(4)) == 0
    tree = packaging.stage(tmp_path / "code")
    argv = arguments(**HEAD, tuning=tuning_text(config(4)))
    process = job.start(tree, *argv)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Trial") and "-002" in line:
            process.kill()
            break
    process.communicate(timeout=60)
    assert not (job.model / "study.json").exists()
    again = job.start(tree, *argv)
    output, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    names = [line.split('"')[3] for line in output.splitlines() if line.startswith("Trial")]
    assert names == [f"squares-1-{number:03}" for number in (1, 2, 3, 4)]
    told = [[(trial["hyperparameters"], trial["value"]) for trial in trials(each)] for each in (whole, job)]
    assert told[0] == told[1]


def test_several_processes_run_the_trials_that_one_runs(job, tmp_path, monkeypatch):
    """Processes that train together agree on the trials, and on the best of them."""
    alone = Job(tmp_path / "alone")
    alone.channels["weights"] = job.channels["weights"]
    assert run(alone, monkeypatch, config()) == 0
    argv = arguments(**HEAD, tuning=tuning_text(config()))
    ranks = RankProcesses(tmp_path / "ranks", run_training, argv, environ=job.environ, count=2)
    assert ranks.wait() == [0, 0], ranks.errors(0)
    for one, other in zip(trials(alone), trials(job), strict=True):
        assert other["hyperparameters"] == one["hyperparameters"]
        assert other["metrics"] == pytest.approx(one["metrics"], rel=1e-3)


def test_a_request_to_stop_keeps_the_best_so_far(job, tmp_path):
    """SIGTERM ends the search; the artifact is the best of the trials that have ended."""
    argv = arguments(**{**HEAD, "epochs": 200, "patience": 0}, tuning=tuning_text(config(500)))
    process = job.start(packaging.stage(tmp_path / "code"), *argv)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Trial"):
            process.send_signal(signal.SIGTERM)
            break
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Stop requested" in output
    assert artifact.read_card(job.model)["metrics"]["test_loss"] == min(
        trial["value"] for trial in trials(job)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "the hyperparameter tuning is not JSON"), ("[]", "must be a JSON object")],
)
def test_a_tuning_that_is_none_is_refused(job, monkeypatch, text, message):
    """A hyperparameter that is no configuration fails the job with its name."""
    assert job.run_here(monkeypatch, **HEAD, tuning=text) == 1
    assert message in job.failure
