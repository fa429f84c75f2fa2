"""Clients of AWS itself: retried, with time limits, and with credentials that can be read again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sagemaker_dogbreed import __version__
from sagemaker_dogbreed.aws.environment import access_from_environment
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError

if TYPE_CHECKING:
    import boto3

_ATTEMPTS = 8
_CONNECT_SECONDS = 10
_READ_SECONDS = 70
"""SageMaker gives a model 60 seconds to answer."""


def connect(*, region: str | None = None, profile: str | None = None) -> Clients:
    """Return the clients of an AWS account; nothing is sent yet.

    Calls are retried with boto3's adaptive mode, which slows down while AWS throttles.

    Args:
        region: AWS region; default: ``AWS_DEFAULT_REGION``, ``AWS_REGION``, or as boto3 finds it.
        profile: Profile of the AWS configuration; default: as boto3 finds it.

    Raises:
        AccountError: There is no such profile.
    """
    region = region or os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
    clients = Clients(
        lambda: _session(region, profile), access=lambda: access_from_environment(region, profile)
    )
    if clients.access() is None:
        _ = clients.session  # a profile that does not exist is told now
    return clients


def _session(region: str | None, profile: str | None) -> boto3.Session:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from botocore.session import get_session

    core = get_session()
    core.set_default_client_config(
        Config(
            retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            user_agent_extra=f"sagemaker-dogbreed/{__version__}",
        )
    )
    try:
        return boto3.Session(region_name=region, profile_name=profile, botocore_session=core)
    except BotoCoreError as error:
        raise AccountError(
            f"the AWS configuration cannot be used: {error}. Name another profile, or write one with "
            "'aws configure'"
        ) from error
