"""Tuning jobs of the local SageMaker: a real boto3 client, real processes."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support import eventually, put, wait_for_job
from tuning_support import (
    READ,
    SQUARE,
    categorical,
    describe,
    trials_of,
    tuning_request,
    value_of,
    wait_for_tuning,
)

from sagemaker_dogbreed.container.tuning.search import Search
from sagemaker_dogbreed.local import locks
from sagemaker_dogbreed.local.records import Record
from sagemaker_dogbreed.local.service import LocalSageMaker

WAITS = READ + "    say(given('rate'))\n    time.sleep(60)\n"
SOME_FAIL = READ + "    assert given('rate') != 'bad', 'a bad rate'\n    say(given('rate'))\n"
ALL_FAIL = "raise ValueError('no images')"


def _tune(service: LocalSageMaker, client: Any, name: str, *args: Any, **changes: Any) -> dict[str, Any]:
    client.create_hyper_parameter_tuning_job(**tuning_request(service, name, *args, **changes))
    return wait_for_tuning(client, name)


def _counts(job: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the counters that are not 0."""
    found = (job["TrainingJobStatusCounters"], job["ObjectiveStatusCounters"])
    training, objective = ({name: count for name, count in counts.items() if count} for counts in found)
    return training, objective


def _running(client: Any, name: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many training jobs have begun, and return them."""
    return eventually(lambda: trials if len(trials := trials_of(client, name)) >= count else None)


def test_a_tuning_job_that_succeeds(service: LocalSageMaker, client: Any) -> None:
    """It is Completed, with its trials, the best of them, its counts and its times."""
    request = tuning_request(service, "succeeds", jobs=3, parallel=2)
    request["Tags"] = [{"Key": "project", "Value": "dogs"}]
    arn = client.create_hyper_parameter_tuning_job(**request)["HyperParameterTuningJobArn"]
    job = wait_for_tuning(client, "succeeds")
    assert arn == "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/succeeds"
    assert job["HyperParameterTuningJobArn"] == arn
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert _counts(job) == ({"Completed": 3}, {"Succeeded": 3})
    assert job["HyperParameterTuningJobConfig"] == request["HyperParameterTuningJobConfig"]
    assert job["TrainingJobDefinition"] == request["TrainingJobDefinition"]
    assert job["CreationTime"] < job["HyperParameterTuningEndTime"]
    assert job["ConsumedResources"]["RuntimeInSeconds"] >= 1
    trials = trials_of(client, "succeeds")
    numbered = [re.fullmatch(r"succeeds-(\d{3})-[0-9a-f]{8}", trial["TrainingJobName"]) for trial in trials]
    assert [match and match[1] for match in numbered] == ["001", "002", "003"]
    for trial in trials:
        loss = (float(trial["TunedHyperParameters"]["rate"]) - 0.3) ** 2
        assert value_of(trial) == pytest.approx(loss)
        assert trial["CreationTime"] <= trial["TrainingStartTime"] <= trial["TrainingEndTime"]
    assert job["BestTrainingJob"] == min(trials, key=value_of)
    assert job["BestTrainingJob"]["ObjectiveStatus"] == "Succeeded"
    assert "OverallBestTrainingJob" not in job
    tags = client.list_tags(ResourceArn=arn)["Tags"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "yes"}])
    assert tags == request["Tags"] == client.list_tags(ResourceArn=trials[0]["TrainingJobArn"])["Tags"]
    assert len(client.list_tags(ResourceArn=arn)["Tags"]) == 2
    training = client.describe_training_job(TrainingJobName=trials[0]["TrainingJobName"])
    assert training["TuningJobArn"] == arn
    assert training["HyperParameters"] == {
        **request["TrainingJobDefinition"]["StaticHyperParameters"],
        **trials[0]["TunedHyperParameters"],
        "_tuning_objective_metric": "Loss",
    }


def test_every_training_field_survives(service: LocalSageMaker, client: Any) -> None:
    """A trial is asked for with all that its definition has; its checkpoints are its own."""
    definition = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/elsewhere", "KmsKeyId": "key"},
        "Environment": {"MINE": "yes"},
        "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints/"},
        "HyperParameterTuningResourceConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 2,
        },
    }
    request = tuning_request(service, "survives", jobs=1, definition=definition)
    del request["TrainingJobDefinition"]["ResourceConfig"]
    client.create_hyper_parameter_tuning_job(**request)
    best = wait_for_tuning(client, "survives")["BestTrainingJob"]["TrainingJobName"]
    job = client.describe_training_job(TrainingJobName=best)
    definition["ResourceConfig"] = definition.pop("HyperParameterTuningResourceConfig")
    definition["CheckpointConfig"] = {"S3Uri": f"s3://bucket/checkpoints/{best}"}
    assert {name: job[name] for name in definition} == definition


def test_failed_trials_do_not_fail_the_tuning_job(service: LocalSageMaker, client: Any) -> None:
    """They are counted, say why, and are not the best."""
    ranges = categorical(rate=["bad", "0.5", "0.25"])
    job = _tune(service, client, "some-fail", SOME_FAIL, Strategy="Grid", ranges=ranges, jobs=None)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert _counts(job) == ({"Completed": 2, "NonRetryableError": 1}, {"Succeeded": 2, "Failed": 1})
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"rate": "0.25"}
    (failed,) = trials_of(client, "some-fail", StatusEquals="Failed")
    assert "AssertionError: a bad rate" in failed["FailureReason"]
    assert failed["ObjectiveStatus"] == "Failed"
    assert "FinalHyperParameterTuningJobObjectiveMetric" not in failed


@pytest.mark.parametrize(
    ("name", "script", "jobs", "reason"),
    [
        ("all-fail", ALL_FAIL, 2, "All training jobs failed."),
        ("futile", ALL_FAIL, 9, "No training job succeeded after 5 attempts."),
        ("silent", "", 2, "No objective metrics found after running 2 training jobs."),
    ],
)
def test_a_tuning_job_without_any_objective_has_failed(
    service: LocalSageMaker, client: Any, name: str, script: str, jobs: int, reason: str
) -> None:
    """When all trials have failed, or told nothing, so has the tuning job: after five, or at its end."""
    job = _tune(service, client, name, script, jobs=jobs)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(reason)
    assert len(trials_of(client, name)) == min(jobs, 5)
    assert "BestTrainingJob" not in job


def test_a_grid_is_tried_once_each(service: LocalSageMaker, client: Any) -> None:
    """Every combination of values is one trial; then the job is done."""
    ranges = categorical(rate=["0.1", "0.2"], depth=["3", "4"])
    job = _tune(service, client, "grid", SQUARE, Strategy="Grid", ranges=ranges, jobs=None, parallel=4)
    tried = [tuple(sorted(trial["TunedHyperParameters"].items())) for trial in trials_of(client, "grid")]
    expected = [(("depth", d), ("rate", r)) for d in ("3", "4") for r in ("0.1", "0.2")]
    assert sorted(tried) == expected
    assert job["HyperParameterTuningJobStatus"] == "Completed"


def test_no_more_trials_at_a_time_than_asked_for(service: LocalSageMaker, client: Any) -> None:
    """So many begin, and no more do while they run."""
    request = tuning_request(service, "parallel", WAITS, jobs=4, parallel=2)
    client.create_hyper_parameter_tuning_job(**request)
    first = _running(client, "parallel", 2)
    client.stop_training_job(TrainingJobName=first[0]["TrainingJobName"])
    eventually(lambda: len(trials_of(client, "parallel")) == 3)
    trials = trials_of(client, "parallel")
    assert [trial["TrainingJobStatus"] for trial in trials] == ["Stopped", "InProgress", "InProgress"]
    client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="parallel")
    assert wait_for_tuning(client, "parallel")["HyperParameterTuningJobStatus"] == "Stopped"


def test_stopping_and_attaching(service: LocalSageMaker, client: Any) -> None:
    """Another client stops the job and its trials by name; what they had told counts."""
    request = tuning_request(service, "stopped", WAITS, jobs=4, parallel=2)
    client.create_hyper_parameter_tuning_job(**request)
    other = LocalSageMaker(service.root).boto_session().client("sagemaker")
    logs = service.root / "logs" / "TrainingJobs"
    eventually(lambda: sum("Loss" in log.read_text() for log in logs.glob("stopped-*/*")) == 2)
    with pytest.raises(ClientError, match="is in status InProgress; stop it first"):
        other.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    assert _counts(describe(other, "stopped")) == ({"InProgress": 2}, {"Pending": 2})
    other.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    other.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    job = wait_for_tuning(other, "stopped")
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert _counts(job) == ({"Stopped": 2}, {"Succeeded": 2})
    assert job["BestTrainingJob"] == min(trials_of(client, "stopped"), key=value_of)
    with pytest.raises(ClientError, match="in status Stopped"):
        client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")


def test_a_killed_tuning_job_has_failed_and_its_trials_stop(service: LocalSageMaker, client: Any) -> None:
    """Nobody's trials run on, whether anybody looks at the tuning job or not."""
    client.create_hyper_parameter_tuning_job(**tuning_request(service, "killed", WAITS, parallel=2))
    trials = _running(client, "killed", 2)
    pid = locks.read_holder(service.root / "hyper-parameter-tuning-job" / "killed" / "supervisor.lock")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    ended = [wait_for_job(client, trial["TrainingJobName"]) for trial in trials]
    assert [job["TrainingJobStatus"] for job in ended] == ["Stopped", "Stopped"]
    job = describe(client, "killed")
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert "the process ended without reporting" in job["FailureReason"]
    assert job["TrainingJobStatusCounters"]["Stopped"] == 2


def test_a_tuning_job_told_to_end_stops_its_trials(service: LocalSageMaker, client: Any) -> None:
    """SIGTERM, as at a shutdown, is a failure that the record tells."""
    client.create_hyper_parameter_tuning_job(**tuning_request(service, "told", WAITS))
    (trial,) = _running(client, "told", 1)
    pid = locks.read_holder(service.root / "hyper-parameter-tuning-job" / "told" / "supervisor.lock")
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    job = wait_for_tuning(client, "told")
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert "was told to end (SIGTERM)" in job["FailureReason"]
    assert wait_for_job(client, trial["TrainingJobName"])["TrainingJobStatus"] == "Stopped"


def test_a_trial_that_the_machine_lost_is_counted_apart(service: LocalSageMaker, client: Any) -> None:
    """It has failed by no fault of its script, as AWS says of jobs that can be retried."""
    script = (
        READ
        + """
    say(given("rate"))
    if given("rate") == "2":
        time.sleep(60)
    """
    )
    request = tuning_request(
        service, "lost", script, Strategy="Grid", ranges=categorical(rate=["2", "1"]), jobs=None
    )
    client.create_hyper_parameter_tuning_job(**request)
    (trial,) = _running(client, "lost", 1)
    lock = service.root / "training-job" / trial["TrainingJobName"] / "supervisor.lock"
    os.kill(eventually(lambda: locks.read_holder(lock)), signal.SIGKILL)
    job = wait_for_tuning(client, "lost")
    assert _counts(job) == ({"RetryableError": 1, "Completed": 1}, {"Failed": 1, "Succeeded": 1})
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"rate": "1"}


def test_a_deleted_tuning_job_leaves_its_training_jobs(service: LocalSageMaker, client: Any) -> None:
    """The entry is gone, with what can be asked of it; the trials and their models stay."""
    best = _tune(service, client, "deleted", jobs=1)["BestTrainingJob"]["TrainingJobName"]
    client.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="deleted")
    for operation in (
        client.describe_hyper_parameter_tuning_job,
        client.stop_hyper_parameter_tuning_job,
        client.delete_hyper_parameter_tuning_job,
        client.list_training_jobs_for_hyper_parameter_tuning_job,
    ):
        with pytest.raises(ClientError, match="can't find a tuning job with the name deleted") as caught:
            operation(HyperParameterTuningJobName="deleted")
        assert caught.value.response["Error"]["Code"] == "ResourceNotFound"
    assert client.describe_training_job(TrainingJobName=best)["TrainingJobStatus"] == "Completed"


def test_a_name_is_used_once(service: LocalSageMaker, client: Any) -> None:
    """A second tuning job of the name is refused, and the first is left alone."""
    request = tuning_request(service, "once", jobs=1)
    client.create_hyper_parameter_tuning_job(**request)
    with pytest.raises(ClientError, match="with this name already exists") as caught:
        client.create_hyper_parameter_tuning_job(**request)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    assert wait_for_tuning(client, "once")["HyperParameterTuningJobStatus"] == "Completed"


def test_lists(service: LocalSageMaker, client: Any) -> None:
    """Training jobs are sorted, filtered and paged as asked; so are tuning jobs, by name unless asked."""
    ranges = categorical(rate=["bad", "0.5", "0.25", "0.75"])
    _tune(service, client, "listed-a", SOME_FAIL, Strategy="Grid", ranges=ranges, jobs=None, parallel=2)
    _tune(service, client, "listed-b", jobs=1)

    def rates(**parameters: Any) -> list[str]:
        return [
            trial["TunedHyperParameters"]["rate"] for trial in trials_of(client, "listed-a", **parameters)
        ]

    assert rates() == ["bad", "0.5", "0.25", "0.75"]
    assert rates(SortOrder="Descending") == ["0.75", "0.25", "0.5", "bad"]
    assert rates(SortBy="FinalObjectiveMetricValue") == ["0.25", "0.5", "0.75"]
    assert rates(SortBy="Status", SortOrder="Descending")[0] == "bad"
    assert rates(SortBy="CreationTime") == ["bad", "0.5", "0.25", "0.75"]
    assert rates(StatusEquals="Completed", SortBy="FinalObjectiveMetricValue", SortOrder="Descending") == [
        "0.75",
        "0.5",
        "0.25",
    ]
    pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName="listed-a",
        SortBy="FinalObjectiveMetricValue",
        PaginationConfig={"PageSize": 2},
    )
    assert [len(page["TrainingJobSummaries"]) for page in pages] == [2, 1]
    listed = client.list_hyper_parameter_tuning_jobs(NameContains="listed-")[
        "HyperParameterTuningJobSummaries"
    ]
    assert [job["HyperParameterTuningJobName"] for job in listed] == ["listed-a", "listed-b"]
    assert listed[0]["Strategy"] == "Grid"
    assert listed[0]["ResourceLimits"] == {"MaxParallelTrainingJobs": 2}
    assert listed[0]["TrainingJobStatusCounters"]["Completed"] == 3
    latest = client.list_hyper_parameter_tuning_jobs(
        NameContains="listed-", SortBy="CreationTime", SortOrder="Descending", MaxResults=1
    )
    assert latest["HyperParameterTuningJobSummaries"][0]["HyperParameterTuningJobName"] == "listed-b"
    assert "NextToken" in latest
    none = client.list_hyper_parameter_tuning_jobs(NameContains="listed-", StatusEquals="Failed")
    assert none["HyperParameterTuningJobSummaries"] == []


def test_a_trial_that_falls_behind_is_stopped_and_counts(service: LocalSageMaker, client: Any) -> None:
    """Early stopping compares with the median of the earlier trials; the value so far is the trial's."""
    script = (
        READ
        + """
    rate = float(given("rate"))
    say(rate)
    if rate > 1:
        time.sleep(60)
    say(rate / 2)
    """
    )
    ranges = categorical(rate=["0.1", "0.2", "0.3", "5", "0.05"])
    job = _tune(
        service, client, "early", script, Strategy="Grid", ranges=ranges, jobs=None,
        TrainingJobEarlyStoppingType="Auto",
    )  # fmt: skip
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert _counts(job) == ({"Completed": 4, "Stopped": 1}, {"Succeeded": 5})
    (stopped,) = trials_of(client, "early", StatusEquals="Stopped")
    assert (stopped["TunedHyperParameters"]["rate"], value_of(stopped)) == ("5", 5.0)
    assert value_of(job["BestTrainingJob"]) == 0.025


def test_hyperband_stops_trials(service: LocalSageMaker, client: Any) -> None:
    """Those trials are stopped, and only those, that the search stops when it is asked by itself."""
    search = Search(
        {"rate": {"type": "Continuous", "min": 0, "max": 1}}, strategy="Hyperband", minimize=True, seed=1,
        max_trials=6, early_stopping=False, min_epochs=1, max_epochs=9,
    )  # fmt: skip
    stopped = set()
    for number in range(6):
        suggestion = search.ask()
        assert suggestion is not None
        rate = suggestion.values["rate"]
        if any(search.report(number, epoch, float(rate)) for epoch in range(1, 10)):
            stopped.add(rate)
        search.tell(number, float(rate))
    assert 0 < len(stopped) < 6
    script = (
        READ
        + f"""
    for _ in range(9):
        say(given("rate"))
    if given("rate") in {stopped}:
        time.sleep(60)
    """
    )
    resources = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}
    _tune(service, client, "hyperband", script, Strategy="Hyperband", StrategyConfig=resources, jobs=6)
    trials = trials_of(client, "hyperband", StatusEquals="Stopped")
    assert {trial["TunedHyperParameters"]["rate"] for trial in trials} == stopped


@pytest.mark.parametrize(
    ("name", "criteria", "expected"),
    [
        ("target", {"TargetObjectiveMetricValue": 0.25}, 2),
        ("stalled", {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}, 5),
    ],
)
def test_a_tuning_job_may_be_done_early(
    service: LocalSageMaker, client: Any, name: str, criteria: dict[str, Any], expected: int
) -> None:
    """It is Completed as soon as a completion criterion is met."""
    script = READ + "    say(given('rate'))\n"
    ranges = categorical(rate=["0.5", "0.25", "0.9", "0.8", "0.249", "0.1", "0.05"])
    job = _tune(
        service, client, name, script, Strategy="Grid", ranges=ranges, jobs=None,
        TuningJobCompletionCriteria=criteria,
    )  # fmt: skip
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert len(trials_of(client, name)) == expected
    stalled = job["TuningJobCompletionDetails"]["NumberOfTrainingJobsObjectiveNotImproving"]
    assert stalled == expected - 2


def test_a_tuning_job_that_takes_too_long(service: LocalSageMaker, client: Any) -> None:
    """At MaxRuntimeInSeconds its trials are stopped, and it is Completed."""
    request = tuning_request(service, "too-long", WAITS)
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxRuntimeInSeconds"] = 120
    client.create_hyper_parameter_tuning_job(**request)
    _running(client, "too-long", 1)
    with Record(service.root / "hyper-parameter-tuning-job" / "too-long").update() as state:
        assert state is not None
        state["Description"]["CreationTime"] -= 120  # as if it had begun then
    job = wait_for_tuning(client, "too-long")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1


def test_a_seed_makes_a_tuning_job_repeatable(service: LocalSageMaker, client: Any) -> None:
    """The same request with the same seed tries the same values."""
    tried = []
    for name in ("seeded-a", "seeded-b"):
        _tune(service, client, name, Strategy="Bayesian", jobs=3, RandomSeed=7)
        tried.append([trial["TunedHyperParameters"] for trial in trials_of(client, name)])
    assert tried[0] == tried[1]


def test_a_trial_whose_data_are_gone_has_failed(service: LocalSageMaker, client: Any) -> None:
    """What cannot be started any more is a failed trial that says why, and the others count."""
    uri = "s3://bucket/fleeting/data"
    put(service, f"{uri}/a", b"a")
    script = READ + "    say(1)\n    time.sleep(0.2)\n"
    request = tuning_request(service, "fleeting", script, jobs=2)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    request["TrainingJobDefinition"]["InputDataConfig"] = [{"ChannelName": "train", "DataSource": source}]
    client.create_hyper_parameter_tuning_job(**request)
    logs = service.root / "logs" / "TrainingJobs"
    eventually(lambda: any("Loss" in log.read_text() for log in logs.glob("fleeting-001-*/*")))
    service.store.path(f"{uri}/a").unlink()
    job = wait_for_tuning(client, "fleeting")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    (failed,) = trials_of(client, "fleeting", StatusEquals="Failed")
    assert failed["FailureReason"].startswith("ClientError: No S3 objects found")
