"""Handles against a SageMaker that refuses, forgets or fails: botocore's Stubber plays it."""

from __future__ import annotations

from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from sagemaker_dogbreed import (
    EndpointError,
    EndpointSpec,
    InvocationError,
    JobError,
    TrainingJob,
    WaitTimeoutError,
)
from sagemaker_dogbreed.jobs.endpoint import delete_endpoint, start_endpoint
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.predictor import Predictor
from sagemaker_dogbreed.readiness import check_endpoint_name
from sagemaker_dogbreed.requests.endpoint import create_endpoint
from sagemaker_dogbreed.requests.tags import Origin

REQUESTS = create_endpoint(
    EndpointSpec(),
    "dogs",
    role="arn:aws:iam::000000000000:role/r",
    image_uri="i",
    model_data_uri="s3://b/m",
    origin=Origin(run="job-1", spec_hash="0a"),
)
ARN = "arn:aws:sagemaker:us-east-1:000000000000:thing/dogs"


def _client(service):
    return boto3.client(
        service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )


@pytest.fixture
def sagemaker():
    """A SageMaker client that answers what a test says, in that order."""
    client = _client("sagemaker")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def _missing(stub, operation):
    stub.add_client_error(operation, "ValidationException", "Could not find it.", http_status_code=400)


def _denied(stub, operation):
    stub.add_client_error(operation, "AccessDeniedException", "not authorized", http_status_code=403)


@pytest.mark.parametrize("failing", ["create_model", "create_endpoint_config", "create_endpoint"])
def test_a_deployment_that_is_refused_takes_back_what_it_made(sagemaker, failing):
    """Whichever request is refused, those before it are undone and the error gives the reason."""
    client, stub = sagemaker
    answers = {
        "create_model": {"ModelArn": ARN},
        "create_endpoint_config": {"EndpointConfigArn": ARN},
        "create_endpoint": {},
    }
    done = list(answers)[: list(answers).index(failing)]
    for operation in done:
        stub.add_response(operation, answers[operation])
    _denied(stub, failing)
    if "create_endpoint_config" in done:
        stub.add_response("delete_endpoint_config", {}, {"EndpointConfigName": "dogs"})
    if "create_model" in done:
        stub.add_response("delete_model", {}, {"ModelName": "dogs"})
    with pytest.raises(EndpointError, match=r"'dogs' was not created: .*not authorized"):
        start_endpoint(client, REQUESTS)


def test_deleting_passes_over_what_is_gone(sagemaker):
    """An endpoint that is gone still has its config and models deleted."""
    client, stub = sagemaker
    _missing(stub, "describe_endpoint")
    config = {
        "EndpointConfigName": "dogs",
        "EndpointConfigArn": ARN,
        "ProductionVariants": [{"VariantName": "v", "ModelName": "dogs-model"}],
        "CreationTime": 0,
    }
    stub.add_response("describe_endpoint_config", config)
    _missing(stub, "delete_endpoint")
    stub.add_response("delete_endpoint_config", {}, {"EndpointConfigName": "dogs"})
    stub.add_response("delete_model", {}, {"ModelName": "dogs-model"})
    _missing(stub, "describe_endpoint")
    delete_endpoint(client, "dogs")


def test_a_refused_delete_is_an_error_of_ours(sagemaker):
    """Nothing is taken for deleted that is not."""
    client, stub = sagemaker
    _missing(stub, "describe_endpoint")
    _missing(stub, "describe_endpoint_config")
    _denied(stub, "delete_endpoint")
    with pytest.raises(EndpointError, match="cannot be deleted"):
        delete_endpoint(client, "dogs")


def test_a_name_check_that_is_refused_says_so(sagemaker):
    """Not being allowed to look is not the same as the name being free."""
    client, stub = sagemaker
    _missing(stub, "describe_endpoint")
    _denied(stub, "describe_endpoint_config")
    with pytest.raises(EndpointError, match="cannot be told"):
        check_endpoint_name(client, "dogs")


def test_a_describe_that_is_refused_is_an_error_of_ours(sagemaker):
    """Missing permission is named, for jobs and for endpoints."""
    client, stub = sagemaker
    _denied(stub, "describe_training_job")
    _denied(stub, "describe_endpoint")
    clients = SimpleNamespace(sagemaker=client, reconnect=lambda: None)
    with pytest.raises(JobError, match=r"cannot be described: .*not authorized"):
        TrainingJob("dogs", clients, Poller()).describe()
    with pytest.raises(EndpointError, match=r"cannot be described: .*not authorized"):
        Predictor("dogs", clients, Poller()).describe()


def test_waiting_uses_the_clock_it_is_given():
    """The poller looks at its interval, ends in time, and never sleeps past the end."""
    now, naps = [0.0], []

    def sleep(seconds):
        naps.append(seconds)
        now[0] += seconds

    poller = Poller(interval_seconds=30, clock=lambda: now[0], sleep=sleep)
    looks = iter([False, False, True])
    poller.wait("the job", lambda: next(looks))
    assert naps == [30, 30]
    naps.clear()
    with pytest.raises(WaitTimeoutError, match="the job did not finish within 70 s"):
        poller.wait("the job", lambda: False, timeout_seconds=70)
    assert naps == [30, 30, 10]


@pytest.mark.parametrize(
    ("told", "message", "code"),
    [
        (
            '{"error": {"code": "not_an_image", "message": "no image"}}',
            "422 for picture given as bytes: no image",
            "not_an_image",
        ),
        (
            '{"error": {"code": "not_an_image", "message": "no image"}}\nTraceback (most recent call last):',
            "422 for picture given as bytes: no image",
            "not_an_image",
        ),
        ("something else", "something else", None),
        ("[1]", "[1]", None),
        ('{"error": 3}', '{"error": 3}', None),
    ],
)
def test_what_a_model_answers_is_told_in_its_words(told, message, code):
    """A refusal carries the container's status, words and code, also where a traceback follows them."""
    runtime = _client("sagemaker-runtime")
    with Stubber(runtime) as stub:
        stub.add_client_error(
            "invoke_endpoint",
            "ModelError",
            http_status_code=424,
            modeled_fields={"OriginalStatusCode": 422, "OriginalMessage": told},
        )
        sagemaker = SimpleNamespace(
            describe_endpoint=lambda **_: {"EndpointName": "dogs", "EndpointStatus": "InService"}
        )
        clients = SimpleNamespace(runtime=runtime, sagemaker=sagemaker, reconnect=lambda: None)
        with pytest.raises(InvocationError) as caught:
            Predictor("dogs", clients, Poller()).predict(b"x")
    assert message in str(caught.value)
    assert (caught.value.status, caught.value.code) == (422, code)
