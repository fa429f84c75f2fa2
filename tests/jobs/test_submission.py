"""Creating jobs and endpoints when answers are lost, roles are new, or somebody presses Ctrl-C."""

from __future__ import annotations

import json
import logging

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from scripted_aws import COMPLETED, DENIED, DOWN, EXPIRED, MISSING, THROTTLED, Clock, ScriptedAws

from sagemaker_dogbreed import EndpointError, InvocationError, JobError, WaitTimeoutError
from sagemaker_dogbreed.jobs.endpoint import start_endpoint
from sagemaker_dogbreed.jobs.submission import submit
from sagemaker_dogbreed.predictor import Predictor
from sagemaker_dogbreed.requests.endpoint import EndpointRequests

URL = "https://api.sagemaker.us-east-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role/r"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:thing/dogs"
REQUEST = {
    "TrainingJobName": "dogs",
    "RoleArn": ROLE,
    "HyperParameters": {"sagemaker_submit_directory": "s3://bucket/code/sourcedir.tar.gz"},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/jobs"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
OURS = {**COMPLETED, "RoleArn": ROLE, "HyperParameters": REQUEST["HyperParameters"]}
CREATED = {"TrainingJobArn": ARN}
IN_USE = (400, "ResourceInUse", "Training job names must be unique within an AWS account and region")
NEW_ROLE = (400, "ValidationException", f"Could not assume role {ROLE}. Please ensure that the role exists")
QUOTA = (
    400,
    "ResourceLimitExceeded",
    "The account-level service limit 'ml.p3.2xlarge for training job usage' is 0 Instances",
)
LOST = {
    "slow": ReadTimeoutError(endpoint_url=URL),
    "closed": ConnectionClosedError(endpoint_url=URL),
    "down": DOWN,
    "repeated": IN_USE,
}
REQUESTS = EndpointRequests(
    model={
        "ModelName": "dogs",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://bucket/model.tar.gz"},
    },
    config={
        "EndpointConfigName": "dogs",
        "ProductionVariants": [
            {
                "VariantName": "v",
                "ModelName": "dogs",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    },
    endpoint={"EndpointName": "dogs", "EndpointConfigName": "dogs"},
)
IN_PROGRESS = (400, "ValidationException", 'Cannot update in-progress endpoint "arn".')


def _submit(aws, clock=None):
    submit(aws.clients.sagemaker, REQUEST, sleep=(clock or Clock()).sleep)


@pytest.mark.parametrize("trouble", LOST.values(), ids=str)
def test_a_job_whose_answer_was_lost_is_found_again(trouble):
    """The request was carried out: that is no failure."""
    aws = ScriptedAws(CreateTrainingJob=[trouble], DescribeTrainingJob=[OURS])
    _submit(aws)
    assert aws.operations == ["CreateTrainingJob", "DescribeTrainingJob"]


@pytest.mark.parametrize("trouble", LOST.values(), ids=str)
@pytest.mark.parametrize(
    "found", [MISSING, {**OURS, "RoleArn": "other"}, {**OURS, "HyperParameters": {}}], ids=str
)
def test_a_job_that_is_not_there_or_not_ours_was_not_created(trouble, found):
    """Somebody else's job of the same name is never taken for ours."""
    aws = ScriptedAws(CreateTrainingJob=[trouble], DescribeTrainingJob=[found])
    with pytest.raises(JobError, match="'dogs' was not created"):
        _submit(aws)


def test_a_role_that_was_just_made_is_waited_for():
    """IAM takes some seconds to tell everybody."""
    clock = Clock()
    aws = ScriptedAws(CreateTrainingJob=[NEW_ROLE, NEW_ROLE, CREATED])
    _submit(aws, clock)
    assert clock.naps == [2, 4]


def test_a_role_that_never_can_be_assumed_is_an_error_after_a_minute():
    """The trust policy is named."""
    clock = Clock()
    with pytest.raises(
        JobError, match=r"Could not assume role.*trust policy must let sagemaker\.amazonaws\.com"
    ):
        _submit(ScriptedAws(CreateTrainingJob=[NEW_ROLE]), clock)
    assert clock.now == 60


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (QUOTA, "Service Quotas"),
        (DENIED, "the permission sagemaker:Frob is missing"),
        (EXPIRED, "have expired"),
        (THROTTLED, "AWS is busy"),
        (NoCredentialsError(), "no AWS credentials"),
        (EndpointConnectionError(endpoint_url=URL), "AWS cannot be reached"),
    ],
    ids=str,
)
def test_a_refused_submission_says_why_and_what_next(trouble, words):
    """Every refusal has its cause and a way out."""
    with pytest.raises(JobError, match=f"'dogs' was not created: .*{words}"):
        _submit(ScriptedAws(CreateTrainingJob=[trouble], DescribeTrainingJob=[MISSING]))


def test_an_invalid_request_is_an_error_of_ours():
    """What botocore itself refuses is told the same way."""
    with pytest.raises(JobError, match="Invalid type for parameter RoleArn"):
        submit(ScriptedAws().clients.sagemaker, {**REQUEST, "RoleArn": 7})


def test_an_interrupted_submission_leaves_no_job_running():
    """Ctrl-C while the request is on its way stops the job that nobody holds a handle of."""
    aws = ScriptedAws(
        CreateTrainingJob=[KeyboardInterrupt()], DescribeTrainingJob=[OURS], StopTrainingJob=[{}]
    )
    with pytest.raises(KeyboardInterrupt) as caught:
        _submit(aws)
    assert aws.operations[-1] == "StopTrainingJob"
    assert "is stopped again" in caught.value.__notes__[0]


def _account(present=(), creating_looks=0, **failures):
    """Return an AWS whose state follows the requests; ``failures`` are raised, or answered, first.

    A failure ``(error, True)`` comes after the request was carried out.
    """
    aws = ScriptedAws()
    state = {"present": set(present), "creating": creating_looks}
    failures = {operation: list(errors) for operation, errors in failures.items()}
    details = {
        "Model": {"PrimaryContainer": {"ModelDataUrl": "s3://bucket/model.tar.gz"}},
        "EndpointConfig": {"ProductionVariants": [{"VariantName": "v", "ModelName": "dogs"}]},
        "Endpoint": {"EndpointConfigName": "dogs", "EndpointStatus": "Creating"},
    }

    def answer(operation, parameters):
        verb, kind = next(
            (verb, operation[len(verb) :])
            for verb in ("Create", "Describe", "Delete")
            if operation.startswith(verb)
        )
        error, is_late = None, False
        if failures.get(operation):
            error = failures[operation].pop(0)
            error, is_late = (
                error if isinstance(error, tuple) and isinstance(error[1], bool) else (error, False)
            )
            if not is_late:
                return error
        if verb == "Delete" and kind == "Endpoint" and state["creating"]:
            state["creating"] -= 1
            return IN_PROGRESS
        if verb == "Create":
            if kind in state["present"]:
                return (400, "ValidationException", f"Cannot create already existing {kind}")
            state["present"].add(kind)
        elif kind not in state["present"]:
            return MISSING
        if verb == "Delete":
            state["present"].remove(kind)
        return error or ({f"{kind}Arn": ARN} if verb == "Create" else details[kind])

    aws.answer_with(answer)
    return aws, state["present"]


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
@pytest.mark.parametrize(
    ("trouble", "is_late"),
    [(DENIED, False), (QUOTA, False), (KeyboardInterrupt(), False), (KeyboardInterrupt(), True)],
    ids=str,
)
def test_a_deployment_that_ends_early_leaves_nothing(operation, is_late, trouble):
    """Whichever request is refused or interrupted, before or after it was carried out, nothing is left."""
    aws, present = _account(creating_looks=2, **{operation: [(trouble, is_late)]})
    expected = EndpointError if isinstance(trouble, tuple) else type(trouble)
    with pytest.raises(expected):
        start_endpoint(aws.clients.sagemaker, REQUESTS, poller=Clock().poller())
    assert present == set()


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
@pytest.mark.parametrize("trouble", [DOWN, ReadTimeoutError(endpoint_url=URL)], ids=str)
def test_a_deployment_whose_answer_was_lost_goes_on(operation, trouble):
    """What was carried out is there, answer or not."""
    aws, present = _account(**{operation: [(trouble, True)]})
    start_endpoint(aws.clients.sagemaker, REQUESTS, poller=Clock().poller())
    assert present == {"Model", "EndpointConfig", "Endpoint"}


def test_what_cannot_be_removed_is_named():
    """Cleaning goes on over what fails, and the error tells what is left."""
    aws, present = _account(CreateEndpoint=[QUOTA], DeleteEndpointConfig=[DENIED])
    with pytest.raises(EndpointError, match=r"Service Quotas.*Still there: endpoint config 'dogs'") as caught:
        start_endpoint(aws.clients.sagemaker, REQUESTS, poller=Clock().poller())
    assert present == {"EndpointConfig"}
    assert caught.value.remaining == (("endpoint config", "dogs"),)


def test_a_model_of_somebody_else_is_left_alone():
    """A name that was taken meanwhile is a refusal; nothing of the other's is deleted."""
    aws = ScriptedAws(
        CreateModel=[(400, "ValidationException", "Cannot create already existing model")],
        DescribeModel=[{"PrimaryContainer": {"ModelDataUrl": "s3://other/model.tar.gz"}}],
    )
    with pytest.raises(EndpointError, match="already existing"):
        start_endpoint(aws.clients.sagemaker, REQUESTS, poller=Clock().poller())
    assert aws.operations == ["CreateModel", "DescribeModel"]


def test_expired_credentials_do_not_hold_up_a_failed_deployment():
    """Nobody can renew what the client holds: what is left is named at once."""
    clock = Clock()
    aws, _ = _account(CreateEndpoint=[EXPIRED], DeleteEndpointConfig=[EXPIRED])
    with pytest.raises(
        EndpointError, match=r"have expired.*Still there: endpoint config 'dogs', model 'dogs'"
    ):
        start_endpoint(aws.clients.sagemaker, REQUESTS, poller=clock.poller())
    assert clock.now == 0


ALL = ("Model", "EndpointConfig", "Endpoint")


def test_an_endpoint_that_is_being_created_is_deleted_as_soon_as_it_can_be(caplog):
    """SageMaker refuses meanwhile; config and model stay until it takes the endpoint."""
    aws, present = _account(ALL, creating_looks=3)
    Predictor("dogs", aws.clients, Clock().poller()).delete()
    assert present == set()
    order = [name for name in aws.operations if name.startswith("Delete")]
    assert order == ["DeleteEndpoint"] * 4 + ["DeleteEndpointConfig", "DeleteModel"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    "operation",
    ["DescribeEndpoint", "DescribeEndpointConfig", "DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"],
)
@pytest.mark.parametrize(
    "trouble", [THROTTLED, DOWN, EXPIRED, ConnectionClosedError(endpoint_url=URL)], ids=str
)
def test_trouble_while_deleting_leaves_nothing(operation, trouble):
    """Whatever passes is waited out, for nothing that costs may be left."""
    aws, present = _account(ALL, **{operation: [trouble, trouble]})
    Predictor("dogs", aws.clients, Clock().poller()).delete()
    assert present == set()


def test_an_endpoint_that_may_not_be_deleted_keeps_its_parts():
    """Without its config an endpoint could not be repaired; all that is left is named."""
    aws, present = _account(ALL, DeleteEndpoint=[DENIED])
    with pytest.raises(EndpointError, match=r"the permission sagemaker:Frob is missing.*It costs") as caught:
        Predictor("dogs", aws.clients, Clock().poller()).delete()
    assert present == set(ALL)
    assert caught.value.remaining == (("endpoint", "dogs"), ("endpoint config", "dogs"), ("model", "dogs"))


def test_an_endpoint_that_stays_in_creation_is_named_in_the_end():
    """After an hour the error says what is left."""
    aws, _ = _account(ALL, creating_looks=1000)
    with pytest.raises(EndpointError, match="Still there: endpoint 'dogs'"):
        Predictor("dogs", aws.clients, Clock().poller()).delete()


def test_an_endpoint_is_waited_for_through_trouble():
    """The same patience as with jobs, and the same end of it."""
    service = [{"EndpointStatus": "Creating"}, DOWN, EXPIRED, {}, {"EndpointStatus": "InService"}]
    Predictor("dogs", ScriptedAws(DescribeEndpoint=service).clients, Clock().poller()).wait()
    aws = ScriptedAws(DescribeEndpoint=[{"EndpointStatus": "Creating"}, EXPIRED])
    with pytest.raises(WaitTimeoutError, match=r"session\.predictor\('dogs'\)\.wait\(\)"):
        Predictor("dogs", aws.clients, Clock().poller()).wait()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (EXPIRED, "have expired"),
        (THROTTLED, "AWS is busy"),
        (NoCredentialsError(), "no AWS credentials"),
        (ReadTimeoutError(endpoint_url=URL), "AWS cannot be reached"),
        ((400, "ValidationError", "Endpoint dogs of account 1 not found."), "not found"),
    ],
    ids=str,
)
def test_a_prediction_that_does_not_come_says_why(trouble, words):
    """No exception of botocore's comes out of predict."""
    aws = ScriptedAws(DescribeEndpoint=[{"EndpointStatus": "InService"}], InvokeEndpoint=[trouble])
    with pytest.raises(InvocationError, match=f"'dogs' did not answer for .*{words}"):
        Predictor("dogs", aws.clients, Clock().poller()).predict(b"picture")


def test_a_long_lived_predictor_outlives_its_token(monkeypatch):
    """Renewed credentials are read without a new handle."""
    rows = json.dumps({"predictions": [{"class_name": "pug", "probability": 1.0}]}).encode()
    aws = ScriptedAws(DescribeEndpoint=[{"EndpointStatus": "InService"}], InvokeEndpoint=[rows])
    predictor = Predictor("dogs", aws.clients, Clock().poller())
    assert predictor.predict(b"picture").top(1)
    aws.expired_keys = {"KEY1"}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY2")
    assert predictor.predict(b"picture").top(1)
