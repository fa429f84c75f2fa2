"""The URIs of objects and prefixes."""

from __future__ import annotations

import re

from sagemaker_dogbreed.errors import StoreError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of an S3 URI; the key may be empty or end in a slash.

    >>> parse_s3_uri("s3://my-bucket/data/train/")
    ('my-bucket', 'data/train/')

    Raises:
        StoreError: It is no S3 URI, or no file name can stand for its key.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3":
        raise StoreError(f"not an S3 location: {uri!r}; it must look like s3://bucket/key")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise StoreError(
            f"{uri!r} has no proper bucket name: 3 to 63 lower-case letters, digits, dots and dashes"
        )
    segments = key.removesuffix("/").split("/") if key else []
    if any(segment in {"", ".", ".."} for segment in segments) or _CONTROL.search(key):
        raise StoreError(
            f"{uri!r} has a key with empty parts, '.' or '..' parts, or control characters; rename it"
        )
    return bucket, key
