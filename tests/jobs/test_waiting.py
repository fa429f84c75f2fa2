"""Waiting for a job through AWS's bad days: the job is never lost."""

from __future__ import annotations

import itertools
import logging
import socketserver
import threading

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from scripted_aws import (
    COMPLETED,
    DENIED,
    DOWN,
    EXPIRED,
    MISSING,
    NO_GROUP,
    THROTTLED,
    Clock,
    ScriptedAws,
    log_page,
    log_streams,
    training_job,
)

from sagemaker_dogbreed import JobError, JobStoppedError, TrainingJob, WaitTimeoutError
from sagemaker_dogbreed.clients import Clients

URL = "https://api.sagemaker.us-east-1.amazonaws.com"
TROUBLES = {
    "throttled": THROTTLED,
    "down": DOWN,
    "failing": (500, "InternalFailure", ""),
    "unreachable": EndpointConnectionError(endpoint_url=URL),
    "closed": ConnectionClosedError(endpoint_url=URL),
    "slow": ReadTimeoutError(endpoint_url=URL),
    "no connection": ConnectTimeoutError(endpoint_url=URL),
    "broken": HTTPClientError(error="reset"),
    "expired": EXPIRED,
    "expired request": (400, "RequestExpired", "too old"),
    "expired signature": (400, "InvalidSignatureException", "Signature expired: a is now earlier than b"),
    "expired STS token": (403, "ExpiredToken", "expired"),
    "SSO token": TokenRetrievalError(provider="sso", error_msg="no refresh"),
    "SSO login": UnauthorizedSSOTokenError(),
    "SSO cache": SSOTokenLoadError(error_msg="no token"),
    "role": CredentialRetrievalError(provider="iam-role", error_msg="refused"),
}
LATER_TROUBLES = {
    "unknown key": (400, "UnrecognizedClientException", "The security token is invalid."),
    "unknown token": (403, "InvalidClientTokenId", "The security token is invalid."),
    "no credentials": NoCredentialsError(),
}


@pytest.mark.parametrize("trouble", [*TROUBLES.values(), *LATER_TROUBLES.values()], ids=str)
def test_trouble_that_passes_does_not_lose_the_job(trouble, caplog):
    """Whatever goes wrong in between, the job is waited for to its end; it is said once."""
    clock = Clock()
    aws = ScriptedAws(
        DescribeTrainingJob=[training_job(), trouble, trouble, trouble, training_job(), COMPLETED]
    )
    with caplog.at_level(logging.INFO, "sagemaker_dogbreed"):
        job = TrainingJob("dogs", aws.clients, clock.poller()).wait()
    assert job.model.uri == "s3://bucket/model.tar.gz"
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1
    assert told[0].startswith("training job 'dogs': ")
    assert caplog.records[-1].message.endswith("AWS answers again.")
    assert clock.naps == [30, 2, 4, 8, 30]


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=str)
def test_trouble_at_the_first_look_does_not_lose_the_job(trouble):
    """A bad moment right after the submission is no different."""
    aws = ScriptedAws(DescribeTrainingJob=[trouble, COMPLETED])
    assert TrainingJob("dogs", aws.clients, Clock().poller()).wait().status == "Completed"


@pytest.mark.parametrize("trouble", LATER_TROUBLES.values(), ids=str)
def test_credentials_that_never_were_any_good_are_an_error_at_once(trouble):
    """Nobody waits a quarter of an hour for a typing error in a key."""
    aws = ScriptedAws(DescribeTrainingJob=[trouble])
    with pytest.raises(JobError, match="cannot be watched: there are no AWS credentials that are accepted"):
        TrainingJob("dogs", aws.clients, Clock().poller()).wait()
    assert len(aws.calls) == 1


def test_renewed_credentials_are_used(monkeypatch):
    """A key that expires during the wait is read again once somebody has renewed it."""
    clock = Clock()
    aws = ScriptedAws(DescribeTrainingJob=[training_job(), COMPLETED])

    def sleep(seconds):
        clock.sleep(seconds)
        if clock.now >= 30:
            aws.expired_keys = {"KEY1"}
        if clock.now >= 100:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY2")

    TrainingJob("dogs", aws.clients, clock.poller(sleep=sleep)).wait()
    assert len(aws.calls) > 3
    assert clock.now < 200


def test_patience_with_credentials_ends(caplog):
    """After a quarter of an hour of refusals the error says that the job goes on, and how to attach to it."""
    clock = Clock()
    aws = ScriptedAws(DescribeTrainingJob=[training_job(), EXPIRED])
    with pytest.raises(
        WaitTimeoutError, match=r"goes on in SageMaker.*session\.training_job\('dogs'\)"
    ) as caught:
        TrainingJob("dogs", aws.clients, clock.poller()).wait()
    assert "aws sso login" in str(caught.value)
    assert 900 <= clock.now <= 1000
    assert len(caplog.records) == 1


def test_patience_is_for_refusals_without_a_break():
    """A connection that drops says nothing of credentials: the count begins anew."""
    clock = Clock()
    answers = [training_job(), *[EXPIRED] * 6, DOWN, *[EXPIRED] * 4, COMPLETED]
    aws = ScriptedAws(DescribeTrainingJob=answers)
    TrainingJob("dogs", aws.clients, clock.poller(credential_patience_seconds=300)).wait()
    assert clock.now > 300


def test_the_callers_timeout_ends_any_wait():
    """Trouble that does not pass is named when the time is over."""
    clock = Clock()
    aws = ScriptedAws(DescribeTrainingJob=[training_job(), EndpointConnectionError(endpoint_url=URL)])
    with pytest.raises(WaitTimeoutError, match=r"within 100 s \(and AWS cannot be reached") as caught:
        TrainingJob("dogs", aws.clients, clock.poller()).wait(timeout_seconds=100)
    assert clock.now == 100
    assert isinstance(caught.value.__cause__, EndpointConnectionError)


def test_pauses_grow_to_a_minute_at_most():
    """An AWS in trouble is asked less and less often, but asked."""
    clock = Clock()
    aws = ScriptedAws(DescribeTrainingJob=[*[THROTTLED] * 9, COMPLETED])
    TrainingJob("dogs", aws.clients, clock.poller()).wait()
    assert clock.naps == [2, 4, 8, 16, 32, 60, 60, 60, 60]


@pytest.mark.parametrize(
    "call", [lambda job: job.wait(), lambda job: job.status, lambda job: list(job.logs(follow=True))]
)
def test_a_missing_permission_is_named_at_once(call):
    """What no waiting mends is an error, with the action that is missing."""
    clock = Clock()
    aws = ScriptedAws(DescribeTrainingJob=[DENIED])
    with pytest.raises(JobError, match="the permission sagemaker:Frob is missing"):
        call(TrainingJob("dogs", aws.clients, clock.poller()))
    assert clock.naps == []


def test_a_permission_that_aws_does_not_name_is_that_of_the_call():
    """Some refusals name no action; the operation does."""
    aws = ScriptedAws(
        DescribeTrainingJob=[training_job()], DescribeLogStreams=[(400, "AccessDeniedException", "no")]
    )
    with pytest.raises(JobError, match="the permission logs:DescribeLogStreams is missing"):
        TrainingJob("dogs", aws.clients, Clock().poller()).wait(logs=True)


def test_a_job_that_does_not_exist_is_an_error_at_once():
    """There is nothing to wait for."""
    aws = ScriptedAws(DescribeTrainingJob=[MISSING])
    with pytest.raises(JobError, match="there is no training job 'dogs'"):
        TrainingJob("dogs", aws.clients, Clock().poller()).wait()


@pytest.mark.parametrize("trouble", [*TROUBLES.values(), *LATER_TROUBLES.values(), NoRegionError()], ids=str)
def test_no_exception_of_botocore_comes_out_of_a_handle(trouble):
    """Outside of a wait every trouble is an error of the library with its cause."""
    aws = ScriptedAws(DescribeTrainingJob=[trouble], StopTrainingJob=[trouble])
    job = TrainingJob("dogs", aws.clients, Clock().poller())
    for call in (job.describe, job.result, job.stop, lambda: list(job.logs())):
        with pytest.raises(JobError, match="training job 'dogs' ") as caught:
            call()
        assert caught.value.__cause__ is not None


def test_a_single_call_reads_renewed_credentials(monkeypatch):
    """A handle that outlived its token works again as soon as there is another."""
    aws = ScriptedAws(DescribeTrainingJob=[training_job()])
    job = TrainingJob("dogs", aws.clients, Clock().poller())
    assert job.status == "InProgress"
    aws.expired_keys = {"KEY1"}
    with pytest.raises(JobError, match="have expired"):
        job.describe()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY2")
    assert job.status == "InProgress"


def test_answers_without_members_are_borne():
    """What is no answer, from a proxy's login page say, neither ends a wait nor breaks it."""
    aws = ScriptedAws(DescribeTrainingJob=[{}, {"TrainingJobStatus": None}, training_job("Stopped")])
    job = TrainingJob("dogs", aws.clients, Clock().poller())
    assert job.status == "Unknown"
    with pytest.raises(JobStoppedError, match="was stopped before it had a model"):
        job.wait()


@pytest.mark.parametrize(
    ("status", "words"),
    [("MaxRuntimeExceeded", "max_runtime_seconds"), ("MaxWaitTimeExceeded", "max_wait_seconds")],
)
def test_a_job_that_ran_out_of_time_names_the_limit(status, words):
    """Whether it trained or waited for spot instances."""
    aws = ScriptedAws(DescribeTrainingJob=[training_job("Stopped", SecondaryStatus=status)])
    with pytest.raises(JobStoppedError, match=rf"{words}.*resume_from='dogs'"):
        TrainingJob("dogs", aws.clients, Clock().poller()).wait()


def test_what_spot_saved_is_told():
    """The result has the time that was billed, and the share that was not."""
    result = TrainingJob(
        "dogs", ScriptedAws(DescribeTrainingJob=[COMPLETED]).clients, Clock().poller()
    ).result()
    assert (result.seconds, result.training_seconds, result.spot_savings) == (25, 100, 0.75)


def test_logs_go_on_through_trouble(capsys):
    """Each line is printed once, whichever call fails in between, with each change of the status."""
    clock = Clock()
    starting = {"Status": "Starting", "StatusMessage": "Launching"}
    training = {"Status": "Training", "StatusMessage": "In progress"}
    interrupted = {"Status": "Interrupted", "StatusMessage": "Instance taken back"}
    aws = ScriptedAws(
        DescribeTrainingJob=[
            training_job(SecondaryStatusTransitions=[starting]),
            training_job(SecondaryStatusTransitions=[starting, training]),
            training_job(SecondaryStatusTransitions=[starting, training]),
            {**COMPLETED, "SecondaryStatusTransitions": [starting, training, interrupted]},
        ],
        DescribeLogStreams=[NO_GROUP, log_streams("dogs/algo-1-1700000000")],
        GetLogEvents=[
            log_page("t1", (1, "one")),
            THROTTLED,
            log_page("t2", (2, "two")),
            log_page("t2"),
            EXPIRED,
            log_page("t3", (3, "three")),
            log_page("t3"),
        ],
    )
    TrainingJob("dogs", aws.clients, clock.poller()).wait(logs=True)
    assert capsys.readouterr().out.splitlines() == [
        "Starting: Launching",
        "Training: In progress",
        "one",
        "two",
        "Interrupted: Instance taken back",
        "three",
    ]


def test_dropped_connections_of_a_real_socket_are_borne():
    """A server that closes, then is out of order, then answers: the job is waited for."""
    turns = itertools.count()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            turn = next(turns)
            headers = b""
            while not headers.endswith(b"\r\n\r\n"):
                headers += self.rfile.readline()
            length = int(headers.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            self.rfile.read(length)
            if turn == 0:
                return
            status = b"503 Service Unavailable" if turn == 1 else b"200 OK"
            body = b'{"TrainingJobStatus": "Completed", "ModelArtifacts": {"S3ModelArtifacts": "s3://b/m"}}'
            head = (
                b"Content-Type: application/x-amz-json-1.1\r\nConnection: close\r\nContent-Length: %d"
                % len(body)
            )
            self.wfile.write(b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n\r\n" + body)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            config = Config(retries={"total_max_attempts": 1})
            clients = Clients(lambda: _SessionOf(url), config)
            TrainingJob("dogs", clients, Clock().poller()).wait()
        finally:
            server.shutdown()
            thread.join()
    assert next(turns) == 3


class _SessionOf(boto3.Session):
    def __init__(self, url):
        super().__init__(region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
        self._url = url

    def client(self, service, **options):
        return super().client(service, **options, endpoint_url=self._url)
