"""Turns what goes wrong in a call to AWS into errors that name the cause and the way out."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from botocore.exceptions import ClientError, NoRegionError

from sagemaker_dogbreed.clients import NO_REGION
from sagemaker_dogbreed.errors import DogbreedError
from sagemaker_dogbreed.jobs.diagnosis import diagnose
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS, details, is_missing, kind_of

T = TypeVar("T")

_ACTION = re.compile(r"perform:? ([a-z0-9-]+:[A-Za-z]+)")
_S3_ACTIONS = {  # S3 does not tell what was missing, and its actions are not named as its operations are
    "CreateBucket": "CreateBucket",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketTagging": "PutBucketTagging",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
_LOGS_OPERATIONS = ("DescribeLogStreams", "GetLogEvents", "FilterLogEvents")
_CAUSES = {
    "expired": "the AWS credentials have expired or cannot be renewed",
    "credentials": "there are no AWS credentials that are accepted",
    "connection": "AWS cannot be reached",
    "busy": "AWS is busy or in trouble of its own",
}
_STEPS = {
    "expired": "renew them, with aws sso login say, and call again",
    "credentials": "set AWS_PROFILE, log in (aws sso login) or give the session a profile, and call again",
    "connection": "check network, proxy and region, and call again",
    "busy": "call again in a while",
    "denied": "have it added to the policy of this identity; session.preflight() tells of others",
}


@contextlib.contextmanager
def reported(
    error_type: Callable[[str], DogbreedError], what: str, *, missing: str | None = None
) -> Iterator[None]:
    """Raise what botocore raises inside the block as an error of the library.

    Args:
        error_type: The error to raise; called with the message.
        what: What did not come about, as the start of the message: ``training job 'x' was not created``.
        missing: The whole message where AWS knows no such resource; default: as for other refusals.
    """
    try:
        yield
    except AWS_ERRORS as error:
        if missing is not None and kind_of(error) == "missing":
            raise error_type(missing) from error
        raise error_type(f"{what}: {explain(error)}") from error


def with_fresh_credentials(clients: Any, send: Callable[[], T]) -> T:
    """Return what ``send`` returns; once more, with credentials read again, where they were refused.

    So a handle goes on to work when its session's token has expired and been renewed elsewhere.
    """
    try:
        return send()
    except AWS_ERRORS as error:
        if kind_of(error) not in ("expired", "credentials"):
            raise
        clients.reconnect()
        return send()


def described(describe: Callable[..., Any], **name: Any) -> dict[str, Any]:
    """Return what a Describe call answers; empty where there is no such resource.

    Raises:
        ClientError: AWS refused for another reason; other errors of botocore likewise.
    """
    try:
        answer: dict[str, Any] = describe(**name)
    except ClientError as error:
        if is_missing(error):
            return {}
        raise
    return answer


def explain(error: BaseException) -> str:
    """Return the cause and the next step for an exception of botocore's."""
    code, message = details(error)
    step = _STEPS.get(kind_of(error))
    if isinstance(error, NoRegionError):
        return NO_REGION
    if step is not None:
        return f"{cause_of(error)}; {step}"
    if not isinstance(error, ClientError):
        return message
    diagnosis = diagnose(f"{code}: {message}")
    return f"{error}. Next step: {diagnosis.next_step}" if diagnosis.kind != "unknown" else str(error)


def cause_of(error: BaseException) -> str:
    """Return the cause alone."""
    code, message = details(error)
    kind = kind_of(error)
    if kind == "denied":
        return f"the permission {missing_action(error)} is missing ({message})"
    return f"{_CAUSES[kind]} ({code}: {message})" if kind in _CAUSES else str(error)


def missing_action(error: BaseException) -> str:
    """Return the IAM action that was denied, ``sagemaker:DescribeTrainingJob`` say."""
    named = _ACTION.search(details(error)[1])
    if named:
        return named.group(1)
    operation = getattr(error, "operation_name", "")
    if operation in _S3_ACTIONS:
        return f"s3:{_S3_ACTIONS[operation]}"
    return f"{'logs' if operation in _LOGS_OPERATIONS else 'sagemaker'}:{operation}"
