"""A tuning job's handle: waiting, results, stopping, and a failure that explains itself."""

from __future__ import annotations

import datetime as dt
import pickle

import pytest
from scripted_aws import (
    DENIED,
    DOWN,
    EXPIRED,
    MISSING,
    THROTTLED,
    Clock,
    ScriptedAws,
    log_page,
    log_streams,
    training_job,
)

from sagemaker_dogbreed import (
    JobError,
    JobFailedError,
    JobStoppedError,
    Objective,
    TrainingSpec,
    Trial,
    TuningJob,
    TuningResults,
    WaitTimeoutError,
)
from sagemaker_dogbreed.container.environment import CHECKPOINTS_BY_JOB, TrainingEnvironment
from sagemaker_dogbreed.jobs.submission import submit_tuning
from sagemaker_dogbreed.jobs.tuning_progress import progress_of

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
START = 1_700_000_000
NOW = dt.datetime.fromtimestamp(START + 300, dt.UTC)
OBJECTIVE = {"Type": "Minimize", "MetricName": "Test Loss"}


def tuning_job(status="InProgress", *, completed=0, failed=0, running=0, **members):
    """DescribeHyperParameterTuningJob's answer."""
    return {
        "HyperParameterTuningJobName": "dogs",
        "HyperParameterTuningJobArn": f"{ARN}:hyper-parameter-tuning-job/dogs",
        "HyperParameterTuningJobStatus": status,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": OBJECTIVE,
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
        },
        "CreationTime": START,
        "TrainingJobStatusCounters": {
            "Completed": completed,
            "InProgress": running,
            "NonRetryableError": failed,
            "RetryableError": 0,
            "Stopped": 0,
        },
        "ObjectiveStatusCounters": {"Succeeded": completed, "Pending": running, "Failed": failed},
        **members,
    }


def summary(number, status="Completed", value=None, **members):
    """One of ListTrainingJobsForHyperParameterTuningJob's summaries."""
    objective = {"MetricName": "Test Loss", "Value": value}
    return {
        "TrainingJobName": f"dogs-{number:03}-0a",
        "TrainingJobArn": f"{ARN}:training-job/dogs-{number:03}-0a",
        "CreationTime": START + number,
        "TrainingStartTime": START + 10,
        "TrainingEndTime": START + 100,
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"learning_rate": "0.01", "batch_size": '"64"'},
        **({} if value is None else {"FinalHyperParameterTuningJobObjectiveMetric": objective}),
        **members,
    }


def listed(*summaries, token=None):
    """A page of them."""
    return {"TrainingJobSummaries": list(summaries), **({"NextToken": token} if token else {})}


COMPLETED = tuning_job("Completed", completed=4)
METRICS = training_job(
    "Completed", FinalMetricDataList=[{"MetricName": "Test Top-1", "Value": 0.5, "Timestamp": 1}]
)


def _job(clock=None, **answers):
    given = {
        "DescribeHyperParameterTuningJob": [COMPLETED],
        "ListTrainingJobsForHyperParameterTuningJob": [listed(summary(1, value=0.5), summary(2, value=0.25))],
        "DescribeTrainingJob": [METRICS],
        **answers,
    }
    return TuningJob("dogs", ScriptedAws(**given).clients, (clock or Clock()).poller())


@pytest.mark.parametrize("trouble", [THROTTLED, DOWN, EXPIRED], ids=str)
def test_trouble_that_passes_does_not_lose_the_search(trouble):
    """Whatever goes wrong in between, the tuning job is waited for to its end."""
    clock = Clock()
    job = _job(
        clock, DescribeHyperParameterTuningJob=[tuning_job(), trouble, trouble, tuning_job(), COMPLETED]
    )
    assert job.wait(progress=False) is job
    assert clock.naps == [30, 2, 4, 30]


def test_the_callers_patience_ends_and_the_search_goes_on():
    """The error says how to attach to it again."""
    job = _job(DescribeHyperParameterTuningJob=[tuning_job()])
    with pytest.raises(WaitTimeoutError, match=r"goes on.*session\.tuning_job\('dogs'\)\.wait\(\)"):
        job.wait(timeout_seconds=60, progress=False)


def test_an_interrupted_wait_leaves_the_search_running(capsys):
    """Ctrl-C ends the wait and nothing else."""

    def interrupt(_):
        raise KeyboardInterrupt

    aws = ScriptedAws(DescribeHyperParameterTuningJob=[tuning_job()])
    with pytest.raises(KeyboardInterrupt):
        TuningJob("dogs", aws.clients, Clock().poller(sleep=interrupt)).wait()
    assert aws.operations == ["DescribeHyperParameterTuningJob"]


def test_results_are_all_trials_in_the_order_of_their_start():
    """Pages are read to the end; values are typed; each trial has its time and its further metrics."""
    failed = summary(3, "Failed", FailureReason="AlgorithmError: no")
    running = summary(4, "InProgress")
    del running["TrainingEndTime"]
    pages = [listed(summary(1, value=0.5), summary(2, value=0.25), token="t"), listed(failed, running)]
    results = _job(ListTrainingJobsForHyperParameterTuningJob=pages).results
    assert results.objective == Objective(metric="Test Loss")
    assert [trial.name for trial in results] == [f"dogs-{number:03}-0a" for number in (1, 2, 3, 4)]
    assert results[0] == Trial(
        name="dogs-001-0a",
        status="Completed",
        hyperparameters={"learning_rate": 0.01, "batch_size": 64},
        value=0.5,
        seconds=90,
        metrics={"Test Top-1": 0.5},
    )
    assert (results[2].failure_reason, results[2].value) == ("AlgorithmError: no", None)
    assert (results[3].status, results[3].seconds) == ("InProgress", None)
    assert results.best is results[1]
    assert [trial.name for trial in results.ranked] == [f"dogs-{number:03}-0a" for number in (2, 1, 3, 4)]


def test_results_can_be_read_while_the_search_runs():
    """By name, from any process; a trial whose training job is gone has no further metrics."""
    job = _job(DescribeHyperParameterTuningJob=[tuning_job(running=1)], DescribeTrainingJob=[MISSING])
    assert [dict(trial.metrics) for trial in job.results] == [{}, {}]
    assert job.status == "InProgress"


def test_the_best_hyperparameters_make_a_training():
    """They have the types that a spec takes, categorical ones too."""
    job = _job()
    assert job.best_hyperparameters == {"learning_rate": 0.01, "batch_size": 64}
    assert job.best_training_job_name == "dogs-002-0a"
    training = TrainingSpec().with_hyperparameters(job.best_hyperparameters)
    assert (training.learning_rate, training.batch_size) == (0.01, 64)


def test_the_best_model_is_that_of_the_best_trial():
    """Its artifact is read from the trial's training job."""
    answer = training_job("Completed", ModelArtifacts={"S3ModelArtifacts": "s3://bucket/model.tar.gz"})
    model = _job(DescribeTrainingJob=[answer]).best_model
    assert (model.uri, model.job_name) == ("s3://bucket/model.tar.gz", "dogs-002-0a")


def test_without_a_completed_trial_there_is_no_best():
    """Neither a trial that was stopped counts, nor one whose objective is no number."""
    trials = [summary(1, "Stopped", 0.1), summary(2, value=float("nan")), summary(3, "Failed")]
    job = _job(ListTrainingJobsForHyperParameterTuningJob=[listed(*trials)])
    for read in (lambda: job.best_hyperparameters, lambda: job.results.best_hyperparameters):
        with pytest.raises(JobError, match="no trial"):
            read()


def test_a_search_for_another_metric_is_not_ours():
    """A tuning job that somebody else made is named as such."""
    config = {**COMPLETED["HyperParameterTuningJobConfig"]}
    config["HyperParameterTuningJobObjective"] = {"Type": "Minimize", "MetricName": "rmse"}
    job = _job(DescribeHyperParameterTuningJob=[{**COMPLETED, "HyperParameterTuningJobConfig": config}])
    with pytest.raises(JobError, match="tuning job 'dogs' is not one of this library"):
        _ = job.results


def test_hyperparameters_that_are_not_ours_stay_texts():
    """So do values that cannot be read."""
    odd = summary(1, value=1.0, TunedHyperParameters={"max_depth": "3", "epochs": "many"})
    job = _job(ListTrainingJobsForHyperParameterTuningJob=[listed(odd)])
    assert job.results[0].hyperparameters == {"max_depth": "3", "epochs": "many"}


def test_a_failed_search_explains_itself():
    """SageMaker's reason, how the trials ended, the log of one that failed as most did, and the next step."""
    memory = "AlgorithmError: CUDA out of memory"
    trials = [
        summary(1, "Failed", FailureReason="AlgorithmError: other"),
        summary(2, "Failed", FailureReason=memory),
        summary(3, "Failed", FailureReason=memory),
    ]
    aws = ScriptedAws(
        DescribeHyperParameterTuningJob=[
            tuning_job("Failed", failed=3, FailureReason="All training jobs failed.")
        ],
        ListTrainingJobsForHyperParameterTuningJob=[listed(*trials)],
        DescribeLogStreams=[log_streams("dogs-002-0a/algo-1-1700000000")],
        GetLogEvents=[log_page("t", (1, "Epoch 1"))],
    )
    with pytest.raises(JobFailedError) as caught:
        TuningJob("dogs", aws.clients, Clock().poller()).wait(progress=False)
    error = caught.value
    assert str(error).startswith("tuning job 'dogs' failed: All training jobs failed.")
    assert f"2 of 3 trials: {memory}" in str(error)
    assert "1 of 3 trials: AlgorithmError: other" in str(error)
    assert (error.kind, error.log_tail) == ("out_of_memory", ("Epoch 1",))
    assert "lower training.batch_size" in error.next_step
    assert aws.requests("DescribeLogStreams")[0]["logStreamNamePrefix"] == "dogs-002-0a/"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("trials", [[listed()], [DENIED]], ids=["none", "denied"])
def test_a_failed_search_without_trials_gives_its_reason(trials):
    """What cannot be listed does not hide why the job failed."""
    failed = tuning_job("Failed", FailureReason="ResourceLimitExceeded: no")
    job = _job(DescribeHyperParameterTuningJob=[failed], ListTrainingJobsForHyperParameterTuningJob=trials)
    with pytest.raises(JobFailedError, match="failed: ResourceLimitExceeded: no") as caught:
        job.wait(progress=False)
    assert caught.value.kind == "quota"


def test_a_search_that_was_stopped_has_what_it_found():
    """With a completed trial it has a result; without one it is an error."""
    _job(DescribeHyperParameterTuningJob=[tuning_job("Stopped", completed=1)]).wait(progress=False)
    with pytest.raises(JobStoppedError, match="stopped before a trial had completed"):
        _job(DescribeHyperParameterTuningJob=[tuning_job("Stopped")]).wait(progress=False)


def test_stopping():
    """A running search is asked to stop; one that has ended is left as it is; a refusal is an error."""
    refused = (400, "ValidationException", "The request was rejected: the job is in status Completed.")
    assert _job(StopHyperParameterTuningJob=[{}]).stop().status == "Completed"
    assert _job(StopHyperParameterTuningJob=[refused]).stop().status == "Completed"
    job = _job(DescribeHyperParameterTuningJob=[tuning_job()], StopHyperParameterTuningJob=[DENIED])
    with pytest.raises(JobError, match="cannot be stopped: the permission sagemaker:Frob is missing"):
        job.stop()


@pytest.mark.parametrize(
    "call",
    [
        lambda job: job.describe(),
        lambda job: job.wait(progress=False),
        lambda job: job.results,
        lambda job: job.best_hyperparameters,
        lambda job: job.stop(),
    ],
)
def test_a_job_that_does_not_exist_is_named(call):
    """No call goes on waiting for it."""
    job = _job(DescribeHyperParameterTuningJob=[MISSING], StopHyperParameterTuningJob=[MISSING])
    with pytest.raises(JobError, match="there is no tuning job 'dogs'"):
        call(job)


@pytest.mark.parametrize("name", ["", "../dogs", "d" * 33, None])
def test_a_name_that_cannot_be_a_tuning_jobs_is_refused(name):
    """Nothing is asked of SageMaker."""
    with pytest.raises(JobError, match="is not the name of a tuning job"):
        TuningJob(name, ScriptedAws().clients, Clock().poller())


def test_the_progress_is_one_line(capsys):
    """Trials done, the best so far and the time left are shown while the search runs."""
    best = {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "Test Loss", "Value": 0.25}}
    answers = [
        tuning_job(running=2),
        tuning_job(running=2),
        tuning_job(completed=2, running=2, BestTrainingJob={**summary(1), **best}),
        COMPLETED,
    ]
    _job(DescribeHyperParameterTuningJob=answers).wait()
    shown = capsys.readouterr().err
    assert "tuning dogs: 2/4 trials" in shown
    assert "2 running, best Test Loss 0.2500, " in shown
    assert " left" in shown
    assert "tuning dogs: 4/4 trials" in shown
    assert shown.count("0/4 trials") == 2  # at the start, and no more: this is no screen
    _job(DescribeHyperParameterTuningJob=answers).wait(progress=False)
    assert capsys.readouterr().err == ""


def _answer(**members):
    created = dt.datetime.fromtimestamp(START, dt.UTC)
    return {**tuning_job(**members), "CreationTime": created}


def test_the_time_left_follows_from_the_pace():
    """Three of four trials in 300 s leave 100 s; failed ones count; before any there is none."""
    assert progress_of(_answer(completed=2, failed=1), NOW).seconds_left == 100
    assert progress_of(_answer(running=2), NOW).seconds_left is None
    assert str(progress_of(_answer(completed=1, running=2), NOW)) == "2 running, 0:15:00 left"
    assert progress_of({}, NOW).total is None


def test_the_trials_of_a_grid_are_counted():
    """The number that the request leaves out follows from the values."""
    answer = _answer()
    sizes, heads = {"Values": ["1", "2", "3"]}, {"Values": ["mlp", "linear"]}
    answer["HyperParameterTuningJobConfig"] = {
        "Strategy": "Grid",
        "ParameterRanges": {"CategoricalParameterRanges": [sizes, heads]},
    }
    assert progress_of(answer, NOW).total == 6


TABLE = TuningResults(
    Objective(metric="Valid Top-1", goal="Maximize"),
    [
        Trial(name="a", status="Completed", hyperparameters={"epochs": 3}, value=0.5, seconds=9),
        Trial(
            name="<b>",
            status="Completed",
            hyperparameters={"epochs": 5},
            value=0.75,
            metrics={"Test Loss": 0.1},
        ),
        Trial(name="c", status="Failed", hyperparameters={"epochs": 7}, failure_reason="no"),
    ],
)


def test_results_print_as_a_table_with_the_best_first():
    """A row for each trial, in columns; as HTML nothing of a name is markup."""
    assert str(TABLE).splitlines() == [
        "trial  status     epochs  Valid Top-1  seconds",
        "<b>    Completed  5       0.75         -",
        "a      Completed  3       0.5          9",
        "c      Failed     7       -            -",
    ]
    html = TABLE._repr_html_()
    assert html.count("<tr>") == 4
    assert "&lt;b&gt;" in html
    assert repr(TABLE).endswith("3 trials)")


def test_results_are_a_data_frame():
    """A column for each hyperparameter and metric; what a trial lacks is missing."""
    table = TABLE.to_pandas()
    assert list(table.columns) == [
        *("name", "status", "epochs", "Valid Top-1", "seconds", "failure_reason", "Test Loss")
    ]
    assert list(table["name"]) == ["<b>", "a", "c"]
    assert table["Valid Top-1"].isna().tolist() == [False, False, True]
    assert TuningResults(Objective(), []).to_pandas().empty


def _request():
    definition = {
        "StaticHyperParameters": {"sagemaker_submit_directory": "s3://b/c"},
        "RoleArn": "arn:aws:iam::123456789012:role/a",
    }
    return {
        "HyperParameterTuningJobName": "dogs",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        },
        "TrainingJobDefinition": {
            **definition,
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 1},
        },
    }


def test_a_submission_whose_answer_was_lost_is_found_again():
    """The job that is there with the same code and role is the one that was asked for."""
    taken = (400, "ResourceInUse", "Tuning job names must be unique")
    there = tuning_job(TrainingJobDefinition=_request()["TrainingJobDefinition"])
    aws = ScriptedAws(CreateHyperParameterTuningJob=[taken], DescribeHyperParameterTuningJob=[there])
    submit_tuning(aws.clients.sagemaker, _request(), sleep=Clock().sleep)
    other = ScriptedAws(CreateHyperParameterTuningJob=[taken], DescribeHyperParameterTuningJob=[tuning_job()])
    with pytest.raises(JobError, match="tuning job 'dogs' was not created"):
        submit_tuning(other.clients.sagemaker, _request(), sleep=Clock().sleep)


def test_an_interrupted_submission_is_stopped():
    """Nobody would hold the handle of a job that was just made."""
    there = tuning_job(TrainingJobDefinition=_request()["TrainingJobDefinition"])
    aws = ScriptedAws(
        CreateHyperParameterTuningJob=[KeyboardInterrupt()],
        DescribeHyperParameterTuningJob=[there],
        StopHyperParameterTuningJob=[{}],
    )
    with pytest.raises(KeyboardInterrupt) as caught:
        submit_tuning(aws.clients.sagemaker, _request(), sleep=Clock().sleep)
    assert aws.operations[-1] == "StopHyperParameterTuningJob"
    assert caught.value.__notes__ == ["tuning job 'dogs' was created and is stopped again"]


def test_trials_keep_their_checkpoints_apart(tmp_path):
    """Where jobs share a place for checkpoints each has a folder; otherwise the place is the job's own."""
    environ = {"SM_MODEL_DIR": str(tmp_path / "model"), "TRAINING_JOB_NAME": "dogs-001-0a"}
    alone = TrainingEnvironment.from_environ(environ)
    assert alone.checkpoint_dir == tmp_path / "checkpoints"
    shared = TrainingEnvironment.from_environ({**environ, CHECKPOINTS_BY_JOB: "1"})
    assert shared.checkpoint_dir == tmp_path / "checkpoints" / "dogs-001-0a"
