"""Region and credentials from environment variables alone, as pipelines set them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sagemaker_dogbreed.clients import Access

_ENDPOINT_SETTINGS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
)
_DECIDED_BY_BOTO3 = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION")


def access_from_environment(region: str | None, profile: str | None) -> Access | None:
    """Return what boto3 would find, where the environment tells it, or None where boto3 has to be asked.

    Importing boto3 takes longer than finding out that nothing of a data set has changed.
    Source: "Credentials" and "Configuration" in the boto3 guide.

    Args:
        region: AWS region; default: ``AWS_DEFAULT_REGION``.
        profile: Profile of the AWS configuration; with one, boto3 is asked.
    """
    environment = os.environ
    region = region or environment.get("AWS_DEFAULT_REGION")
    access_key = environment.get("AWS_ACCESS_KEY_ID")
    secret_key = environment.get("AWS_SECRET_ACCESS_KEY")
    if profile is not None or any(environment.get(name) for name in _DECIDED_BY_BOTO3):
        return None
    if not (region and access_key and secret_key):
        return None
    # A configuration file may say otherwise; reading it right is boto3's business.
    config = environment.get("AWS_CONFIG_FILE", "~/.aws/config")
    if Path(os.path.expandvars(config)).expanduser().exists():
        return None
    token = environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_SECURITY_TOKEN")
    return Access(
        region=region,
        s3_endpoint=_s3_endpoint(region),
        access_key=access_key,
        secret_key=secret_key,
        token=token or None,
    )


def _s3_endpoint(region: str) -> str | None:
    if any(os.environ.get(name) for name in _ENDPOINT_SETTINGS):
        return None
    if re.fullmatch(r"(us|ca|mx|sa|eu|ap|me|il|af)-[a-z]+-\d", region):
        return f"https://s3.{region}.amazonaws.com"
    return None  # another partition, with a domain of its own
