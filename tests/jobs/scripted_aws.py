"""An AWS that answers what a test says, in that order, to real boto3 clients; nothing leaves the process."""

from __future__ import annotations

import collections
import json
import os

import attrs
import boto3
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.loaders import create_loader

from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.jobs.polling import Poller

_LOADER = create_loader()  # shared: reading SageMaker's model takes longer than a test

EXPIRED = (400, "ExpiredTokenException", "The security token included in the request is expired")
DENIED = (403, "AccessDeniedException", "User: u is not authorized to perform: sagemaker:Frob on it")
THROTTLED = (400, "ThrottlingException", "Rate exceeded")
DOWN = (503, "ServiceUnavailable", "try later")
MISSING = (400, "ValidationException", "Could not find it.")
NO_GROUP = (400, "ResourceNotFoundException", "The specified log group does not exist.")


class ScriptedAws:
    """Answers by operation: a mapping is an answer, a tuple an error, an exception is raised.

    The last answer to an operation is repeated. ``clients`` reads its access key from the environment;
    keys in ``expired_keys`` are refused.
    """

    def __init__(self, **answers):
        self._answers = {name: collections.deque(given) for name, given in answers.items()}
        self._scripted = self._next_answer
        self.calls = []
        self.expired_keys = set()
        self.clients = Clients(self._session, Config(retries={"total_max_attempts": 1}))

    def answer_with(self, answer):
        """Ask ``answer(operation, parameters)`` from now on."""
        self._scripted = answer

    def requests(self, operation):
        """The parameters of an operation's calls so far."""
        return [parameters for name, parameters in self.calls if name == operation]

    @property
    def operations(self):
        """The names of all calls so far."""
        return [name for name, _ in self.calls]

    def _session(self):
        core = botocore.session.get_session()
        core.register_component("data_loader", _LOADER)
        session = boto3.Session(
            botocore_session=core,
            region_name="us-east-1",
            aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "KEY1"),
            aws_secret_access_key="secret",
        )
        session.events.register("before-send.*", self._answer)
        return session

    def _answer(self, request, **_):
        target = request.headers.get("X-Amz-Target", b"InvokeEndpoint")
        target = target.decode() if isinstance(target, bytes) else target
        operation = target.rpartition(".")[2]
        body = request.body or b""
        is_json = operation != "InvokeEndpoint"
        self.calls.append((operation, json.loads(body) if is_json else body))
        authorization = request.headers["Authorization"]
        authorization = authorization.decode() if isinstance(authorization, bytes) else authorization
        if any(f"Credential={key}/" in authorization for key in self.expired_keys):
            return _response(request, EXPIRED)
        answer = self._scripted(*self.calls[-1])
        if isinstance(answer, BaseException):
            raise answer
        return _response(request, answer)

    def _next_answer(self, operation, _):
        given = self._answers.get(operation)
        assert given, f"nobody said what to answer to {operation}"
        return given.popleft() if len(given) > 1 else given[0]


def _response(request, answer):
    if isinstance(answer, tuple):
        status, code, message = answer
        headers, body = {"x-amzn-ErrorType": code}, {"__type": code, "message": message}
    else:
        status, headers, body = 200, {}, answer
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return AWSResponse(request.url, status, {"Content-Type": "application/json", **headers}, _Raw(data))


class _Raw:
    """What botocore reads a body from."""

    def __init__(self, data):
        self._data = data

    def stream(self, *_, **__):
        yield self._data

    def read(self, *_):
        data, self._data = self._data, b""
        return data


@attrs.define
class Clock:
    """A clock that moves only when somebody sleeps."""

    now: float = 0.0
    naps: list[float] = attrs.Factory(list)

    def sleep(self, seconds):
        """Move on at once."""
        self.naps.append(seconds)
        self.now += seconds

    def poller(self, **changes):
        """A poller of this clock."""
        return Poller(**{"clock": lambda: self.now, "sleep": self.sleep, "settle_seconds": 0, **changes})


def training_job(status="InProgress", **members):
    """DescribeTrainingJob's answer."""
    return {"TrainingJobName": "dogs", "TrainingJobStatus": status, **members}


def log_page(token, *events):
    """GetLogEvents' answer, of pairs of time and line."""
    return {
        "events": [{"timestamp": time, "message": message} for time, message in events],
        "nextForwardToken": token,
        "nextBackwardToken": f"b-{token}",
    }


def log_streams(*names):
    """DescribeLogStreams' answer."""
    return {"logStreams": [{"logStreamName": name} for name in names]}


COMPLETED = training_job(
    "Completed",
    ModelArtifacts={"S3ModelArtifacts": "s3://bucket/model.tar.gz"},
    TrainingTimeInSeconds=100,
    BillableTimeInSeconds=25,
)
