"""Faults of S3 and of the way to it: each ends in success, or in an error that names the cause."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from faulty_server import FaultyServer, Handler, times

from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.s3 import S3Store


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(os.urandom(100_000))
    return path


def slow_down(handler: Handler) -> None:
    handler.refuse(503, "SlowDown")


def fail(handler: Handler) -> None:
    handler.refuse(500, "InternalError")


def drop_in_body(handler: Handler) -> None:
    """Read a part of the body, then reset the connection."""
    handler.rfile.read(1000)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def flip_a_bit(handler: Handler) -> None:
    """Deliver a body that changed on the way."""
    content = bytearray(handler.body())
    content[len(content) // 2] ^= 1
    handler.answer_put(bytes(content))


def break_off(handler: Handler) -> None:
    """Send half of an object, then close the connection."""
    content = handler.state.objects[handler.key]
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.close_connection = True


def send_flipped(handler: Handler) -> None:
    """Send an object with one bit changed."""
    original = handler.state.objects[handler.key]
    changed = bytearray(original)
    changed[0] ^= 1
    handler.state.objects[handler.key] = bytes(changed)
    handler.answer_get(b"")
    handler.state.objects[handler.key] = original


@pytest.mark.parametrize("fault", [slow_down, fail, drop_in_body, flip_a_bit])
def test_an_upload_outlives_passing_faults(
    faulty: FaultyServer, faulty_store: S3Store, photo: Path, fault: Callable[[Handler], object]
) -> None:
    """What goes wrong twice is tried a third time, and the object is whole."""
    faulty.faults.append(times(2, fault, "PUT"))
    faulty_store.put_file(photo, "s3://bucket/photo.jpg")
    assert faulty.objects == {"photo.jpg": photo.read_bytes()}
    assert faulty.times("PUT") == 3


@pytest.mark.parametrize("fault", [slow_down, fail, break_off, send_flipped])
def test_a_download_outlives_passing_faults(
    faulty: FaultyServer, faulty_store: S3Store, tmp_path: Path, fault: Callable[[Handler], object]
) -> None:
    """What goes wrong twice is tried a third time, and the file is whole."""
    faulty.objects["photo.jpg"] = os.urandom(100_000)
    faulty.faults.append(times(2, fault, "GET"))
    faulty_store.get_file("s3://bucket/photo.jpg", tmp_path / "out" / "photo.jpg")
    assert (tmp_path / "out" / "photo.jpg").read_bytes() == faulty.objects["photo.jpg"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.jpg"]


REFUSALS = {
    "SlowDown": (slow_down, "S3 asks to slow down"),
    "InternalError": (fail, "failed internally"),
    "dropped": (drop_in_body, "the connection to S3 failed"),
    "BadDigest": (flip_a_bit, "arrived damaged at every attempt"),
    "AccessDenied": (lambda handler: handler.refuse(403, "AccessDenied"), "permission s3:PutObject"),
    "KMS": (
        lambda handler: handler.refuse(403, "AccessDenied", "not authorized to perform: kms:GenerateDataKey"),
        "permission kms:GenerateDataKey",
    ),
    "KMS.Disabled": (lambda handler: handler.refuse(400, "KMS.DisabledException"), "KMS key cannot be used"),
    "ExpiredToken": (lambda handler: handler.refuse(400, "ExpiredToken"), "the credentials have expired"),
    "InvalidAccessKeyId": (
        lambda handler: handler.refuse(403, "InvalidAccessKeyId"), "S3 does not know these credentials",
    ),
    "NoSuchBucket": (lambda handler: handler.refuse(404, "NoSuchBucket"), "there is no such bucket"),
    "region": (
        lambda handler: handler.refuse(
            400, "AuthorizationHeaderMalformed", "the region 'eu-west-1' is wrong; expecting 'us-west-2'"
        ),
        "in another region than the session (us-west-2)",
    ),
    "redirect": (lambda handler: handler.refuse(301, "PermanentRedirect"), "in another region"),
    "clock": (lambda handler: handler.refuse(403, "RequestTimeTooSkewed"), "clock is wrong"),
    "new code": (lambda handler: handler.refuse(400, "BrandNewCode"), "BrandNewCode: said the server"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_an_upload_that_cannot_be_says_why(
    faulty: FaultyServer, faulty_store: S3Store, photo: Path, name: str
) -> None:
    """A fault that stays becomes an error that names the object, the cause and the way out."""
    fault, cause = REFUSALS[name]
    faulty.faults.append(times(100, fault, "PUT"))
    with pytest.raises(StoreError) as caught:
        faulty_store.put_tree([("photo.jpg", photo)], "s3://bucket/data")
    assert str(caught.value).startswith(f"cannot store {photo} as s3://bucket/data/photo.jpg: ")
    assert cause in str(caught.value)
    assert "Debug source" not in str(caught.value)
    assert faulty.objects == {}


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (lambda handler: handler.refuse(403, "AccessDenied"), "permission s3:GetObject"),
        (lambda handler: handler.refuse(403, "AccessDenied", "no kms:Decrypt"), "permission kms:Decrypt"),
        (lambda handler: handler.refuse(412, "PreconditionFailed"), "it was replaced meanwhile"),
        (break_off, "the connection to S3 failed"),
        (send_flipped, "it arrived damaged each time"),
    ],
)
def test_a_download_that_cannot_be_says_why(
    faulty: FaultyServer, faulty_store: S3Store, tmp_path: Path, fault: Any, cause: str
) -> None:
    """The file that was there before is left as it was, and nothing beside it."""
    faulty.objects["photo.jpg"] = os.urandom(1000)
    faulty.faults.append(times(100, fault, "GET"))
    (tmp_path / "photo.jpg").write_text("before")
    with pytest.raises(StoreError) as caught:
        faulty_store.get_file("s3://bucket/photo.jpg", tmp_path / "photo.jpg")
    assert "s3://bucket/photo.jpg" in str(caught.value)
    assert cause in str(caught.value)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("photo.jpg", "before")]


def test_a_listing_that_is_not_allowed_says_so(faulty: FaultyServer, faulty_store: S3Store) -> None:
    """The permission to ask for is named."""
    faulty.faults.append(times(100, lambda handler: handler.refuse(403, "AccessDenied"), "GET"))
    with pytest.raises(StoreError, match=r"cannot list s3://bucket/data: .* permission s3:ListBucket"):
        faulty_store.objects("s3://bucket/data/")


def test_nobody_at_home_is_told_as_such(new_clients: Callable[[str], Clients], photo: Path) -> None:
    """An endpoint that does not answer is a matter of the network."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        store = S3Store(new_clients(f"http://127.0.0.1:{unused.getsockname()[1]}"), max_attempts=1)
        with pytest.raises(StoreError, match=r"connection to S3 failed .*refused.* check network"):
            store.put_file(photo, "s3://bucket/photo.jpg")


def test_one_failure_ends_the_whole_transfer(
    faulty: FaultyServer, faulty_store: S3Store, tmp_path: Path
) -> None:
    """What was stored before is whole, and told; after a refusal nothing new is begun."""
    files = []
    for number in range(600):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"x" * (number + 1))
        files.append((path.name, path))
    faulty.faults.append(
        lambda handler: handler.key == "data/0.jpg" and handler.refuse(403, "AccessDenied") is None
    )
    told: dict[str, Any] = {}
    with pytest.raises(StoreError, match=r"0\.jpg"):
        faulty_store.put_tree(files, "s3://bucket/data", told.__setitem__)
    assert len(faulty.requests) < 600
    assert {item.uri.removeprefix("s3://bucket/") for item in told.values()} <= set(faulty.objects)
    assert all(len(content) == int(key[5:-4]) + 1 for key, content in faulty.objects.items())


def test_new_credentials_reach_the_store(faulty: FaultyServer, photo: Path) -> None:
    """After ``Clients.reconnect()`` requests are signed with what the settings hold then."""
    keys = iter(["OLD", "NEW"])
    clients = Clients(lambda: boto3.Session(next(keys), "secret", "token", region_name="eu-west-1"))
    store = S3Store(clients, endpoint_url=faulty.url)
    store.put_file(photo, "s3://bucket/a")
    clients.reconnect()
    store.put_file(photo, "s3://bucket/a")
    used = [headers["authorization"].partition("Credential=")[2][:3] for headers in faulty.headers]
    assert used == ["OLD", "NEW"]
    assert [headers["x-amz-security-token"] for headers in faulty.headers] == ["token", "token"]


def test_without_credentials_nothing_is_tried(faulty: FaultyServer, photo: Path, tmp_path: Path) -> None:
    """The way to log in is named, and no secret is in the representation."""
    clients = Clients(lambda: boto3.Session(region_name="eu-west-1"))
    store = S3Store(clients, endpoint_url=faulty.url)
    for action in (store.check_writable, lambda: store.put_file(photo, "s3://bucket/a")):
        with pytest.raises(StoreError, match="no AWS credentials; log in"):
            action()
    assert faulty.requests == []


def test_a_session_without_region_says_so(faulty: FaultyServer, photo: Path) -> None:
    """A region cannot be guessed."""
    store = S3Store(Clients(lambda: boto3.Session("key", "secret")), endpoint_url=faulty.url)
    with pytest.raises(StoreError, match="no AWS region is set"):
        store.put_file(photo, "s3://bucket/a")


def test_a_key_is_asked_for_where_one_is_given(
    faulty: FaultyServer, new_clients: Callable[[str], Clients], photo: Path
) -> None:
    """Uploads and copies are encrypted with the KMS key, and nothing else is."""
    store = S3Store(new_clients(faulty.url), kms_key="arn:aws:kms:eu-west-1:1:key/k")
    store.put_file(photo, "s3://bucket/a")
    store.copy_tree([("s3://bucket/a", "b")], "s3://bucket/c")
    assert faulty.objects["c/b"] == photo.read_bytes()
    put, copy = [
        headers for headers, request in zip(faulty.headers, faulty.requests, strict=True) if "PUT" in request
    ]
    for headers in (put, copy):
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "arn:aws:kms:eu-west-1:1:key/k"
