"""Stores, one on a folder and one on a server that answers as S3 does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from faulty_server import FaultyServer, serve
from moto.server import ThreadedMotoServer

from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.store.interface import Store
from sagemaker_dogbreed.store.local import LocalStore
from sagemaker_dogbreed.store.s3 import S3Store

REGION = "eu-west-1"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A server on this machine that keeps S3's state in memory, and its URL."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def new_clients(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Clients]:
    """Make clients of an endpoint, as a user's settings would."""

    def make(url: str) -> Clients:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        return Clients(
            lambda: boto3.Session(aws_access_key_id="key", aws_secret_access_key="secret", region_name=REGION)
        )

    return make


@pytest.fixture
def clients(s3_server: str, new_clients: Callable[[str], Clients]) -> Iterator[Clients]:
    """The clients of an account in which there is an empty bucket named ``bucket``."""
    made = new_clients(s3_server)
    made.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    yield made
    _remove_bucket(made.client("s3"))


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each store in turn."""
    if request.param == "local":
        return LocalStore(tmp_path / "root")
    return S3Store(request.getfixturevalue("clients"))


def _remove_bucket(s3: Any) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket"):
        for item in page.get("Contents", ()):
            s3.delete_object(Bucket="bucket", Key=item["Key"])
    s3.delete_bucket(Bucket="bucket")


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    """A server whose faults a test chooses."""
    with serve() as server:
        yield server


@pytest.fixture
def faulty_store(faulty: FaultyServer, new_clients: Callable[[str], Clients]) -> S3Store:
    """A store on that server that tries each request three times."""
    return S3Store(new_clients(faulty.url), max_attempts=3)
