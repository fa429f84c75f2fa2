"""The lean S3 of the benchmarks answers as S3 does, to the clients that it times."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import obstore.store
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

SERVER = Path(__file__).parents[2] / "benchmarks" / "lean_s3.py"
KEYS = {"aws_access_key_id": "benchmark", "aws_secret_access_key": "benchmark"}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


@pytest.fixture
def s3(port: int) -> Iterator[Any]:
    endpoint = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "s3", "us-east-1", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}), **KEYS
    )
    yield client
    client.close()


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> str:
    return request.node.name.replace("_", "-").removeprefix("test-")[:60].rstrip("-")


def test_an_object_comes_back_as_it_was_put(s3: Any, bucket: str) -> None:
    """Bytes, size, MD5, content type, metadata and checksum are those of the upload."""
    data = bytes(range(256)) * 600
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    s3.put_object(
        Bucket=bucket,
        Key="dogs/ä b.jpg",
        Body=data,
        ContentType="image/jpeg",
        Metadata={"a": "b"},
        ChecksumSHA256=digest,
    )
    head = s3.head_object(Bucket=bucket, Key="dogs/ä b.jpg", ChecksumMode="ENABLED")
    assert head["ContentLength"] == len(data)
    assert head["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert (head["ContentType"], head["Metadata"], head["ChecksumSHA256"]) == (
        "image/jpeg",
        {"a": "b"},
        digest,
    )
    assert s3.get_object(Bucket=bucket, Key="dogs/ä b.jpg")["Body"].read() == data
    part = s3.get_object(Bucket=bucket, Key="dogs/ä b.jpg", Range="bytes=255-256")
    assert (part["Body"].read(), part["ContentRange"]) == (b"\xff\x00", f"bytes 255-256/{len(data)}")


def test_a_listing_is_paged_by_thousands(s3: Any, bucket: str) -> None:
    """All keys come, in order, each once, over the pages; a delimiter folds folders."""
    keys = [f"train/{number % 7}/{number:05}.jpg" for number in range(1203)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="train/"))
    assert [len(page["Contents"]) for page in pages] == [1000, 203]
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == sorted(keys)
    folded = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="train/", Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    found = [entry["Prefix"] for page in folded for entry in page["CommonPrefixes"]]
    assert found == [f"train/{number}/" for number in range(7)]


def test_a_large_object_arrives_in_parts(s3: Any, bucket: str) -> None:
    """A multipart upload is the concatenation of its parts."""
    data = bytes(range(256)) * 50_000
    config = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)
    s3.upload_fileobj(io.BytesIO(data), bucket, "model.tar.gz", Config=config)
    got = s3.get_object(Bucket=bucket, Key="model.tar.gz")
    assert got["ETag"].endswith('-3"')
    assert got["Body"].read() == data


def test_copies_and_deletions(s3: Any, bucket: str) -> None:
    """An object can be copied and removed, alone and with others."""
    s3.put_object(Bucket=bucket, Key="a", Body=b"a")
    s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "a"})
    s3.delete_object(Bucket=bucket, Key="a")
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["b", "c"]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}, {"Key": "c"}]})
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=bucket, Key="a")


def test_damaged_bodies_are_refused(s3: Any, bucket: str) -> None:
    """A body that is not what its checksum says is never stored."""
    wrong = base64.b64encode(bytes(32)).decode()
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=bucket, Key="a", Body=b"a", ChecksumSHA256=wrong)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_chunks_with_trailers_are_taken_apart(port: int, s3: Any, bucket: str) -> None:
    """The body that clients send over TLS, in chunks with a checksum behind, is stored without them."""
    data = b"0123456789" * 30_000
    digest = base64.b64encode(hashlib.sha256(data).digest())
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(data[at : at + 65_536]), data[at : at + 65_536])
        for at in range(0, len(data), 65_536)
    )
    body = chunks + b"0\r\nx-amz-checksum-sha256:" + digest + b"\r\n\r\n"
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Decoded-Content-Length": str(len(data)),
        "X-Amz-Trailer": "x-amz-checksum-sha256",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for name, framing in (("counted", body), ("chunked", iter([body[:99_999], body[99_999:]]))):
        connection.request("PUT", f"/{bucket}/{name}", framing, headers, encode_chunked=name == "chunked")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == data
    connection.request("PUT", f"/{bucket}/bad", body.replace(digest, digest[::-1]), headers)
    assert connection.getresponse().status == 400
    connection.close()


def test_obstore_finds_what_it_put(port: int, bucket: str) -> None:
    """The client that the library uses puts, creates once, lists, reads and deletes."""
    store = obstore.store.S3Store(
        bucket,
        endpoint=f"http://127.0.0.1:{port}",
        region="us-east-1",
        access_key_id="benchmark",
        secret_access_key="benchmark",
        checksum_algorithm="SHA256",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    for number in range(3):
        obstore.put(store, f"dogs/{number}.jpg", bytes([number]) * 1000)
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.put(store, "dogs/0.jpg", b"other", mode="create")
    listed = [(entry["path"], entry["size"]) for page in obstore.list(store, "dogs") for entry in page]
    assert listed == [(f"dogs/{number}.jpg", 1000) for number in range(3)]
    assert bytes(obstore.get(store, "dogs/2.jpg").bytes()) == b"\x02" * 1000
    obstore.delete(store, [path for path, _size in listed])
    assert list(obstore.list(store, "dogs")) == []
