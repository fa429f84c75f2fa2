"""Region and credentials that environment variables tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagemaker_dogbreed.aws.connection import connect
from sagemaker_dogbreed.aws.environment import access_from_environment


@pytest.fixture(autouse=True)
def _pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def test_what_is_found_is_what_boto3_finds() -> None:
    """Keys, token, region and the address of S3 are those of a boto3 session."""
    found = access_from_environment(None, None)
    assert found is not None
    session = connect().session
    frozen = session.get_credentials().get_frozen_credentials()
    assert (found.access_key, found.secret_key, found.token) == tuple(frozen)[:3]
    assert found.region == session.region_name
    assert found.s3_endpoint == session.client("s3").meta.endpoint_url
    assert "hush" not in repr(found)
    assert "token" not in repr(found).replace("token=", "")


def test_a_region_that_is_given_comes_first() -> None:
    """An argument counts more than a variable."""
    found = access_from_environment("us-west-2", None)
    assert found is not None
    assert (found.region, found.s3_endpoint) == ("us-west-2", "https://s3.us-west-2.amazonaws.com")


@pytest.mark.parametrize(
    "variable",
    ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"],
)
def test_addresses_that_settings_change_are_left_to_boto3(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No address is guessed where a setting may name another, or in a partition with its own domain."""
    in_china = access_from_environment("cn-north-1", None)
    assert in_china is not None
    assert in_china.s3_endpoint is None
    monkeypatch.setenv(variable, "http://127.0.0.1:1" if "URL" in variable else "true")
    found = access_from_environment(None, None)
    assert found is not None
    assert found.s3_endpoint is None


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION"])
def test_what_only_boto3_understands_is_left_to_it(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile, or credentials that expire, are boto3's business."""
    monkeypatch.setenv(variable, "2030-01-01T00:00:00Z")
    assert access_from_environment(None, None) is None


def test_a_configuration_file_is_left_to_boto3(tmp_path: Path) -> None:
    """A file may say more than the variables."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\nregion = us-east-1\n")
    assert access_from_environment(None, None) is None


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"])
def test_half_of_it_is_not_enough(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys or region, boto3 looks elsewhere."""
    monkeypatch.delenv(variable)
    assert access_from_environment(None, None) is None
    assert access_from_environment(None, "profile") is None
