"""How SageMaker moves files between S3 and an instance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def split(uri: str) -> tuple[str, str]:
    """Return the bucket and the key (or prefix) of an ``s3://`` URI."""
    parts = urlsplit(uri)
    assert parts.scheme == "s3", uri
    return parts.netloc, parts.path.lstrip("/")


def get_channel(s3: Any, source: dict[str, str], folder: Path) -> None:
    """Download what an ``S3DataSource`` names.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
    """
    folder.mkdir(parents=True)
    bucket, key = split(source["S3Uri"])
    if source["S3DataType"] == "S3Prefix":
        get_tree(s3, source["S3Uri"], folder)
        return
    assert source["S3DataType"] == "ManifestFile", source
    first, *names = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    for name in names:
        bucket, key = split(first["prefix"] + name)
        _get(s3, bucket, key, folder / name)


def get_tree(s3: Any, uri: str, folder: Path) -> None:
    """Download every object whose key begins with a prefix; names go on from the prefix's last slash."""
    bucket, prefix = split(uri)
    start = prefix.rfind("/") + 1
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            _get(s3, bucket, found["Key"], folder / found["Key"][start:])


def get_file(s3: Any, uri: str, path: Path) -> Path:
    """Download one object and return the file's path."""
    _get(s3, *split(uri), path)
    return path


def put_tree(s3: Any, folder: Path, uri: str) -> None:
    """Upload every file of a folder beneath a prefix."""
    bucket, prefix = split(uri.rstrip("/") + "/")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            s3.upload_file(str(path), bucket, prefix + path.relative_to(folder).as_posix())


def _get(s3: Any, bucket: str, key: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    s3.download_file(bucket, key, str(path))
