"""Channels whose objects a manifest lists: ``[{"prefix": "s3://bucket/data/"}, "dog/1.jpg", ...]``.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.local import LocalStore
from sagemaker_dogbreed.store.location import parse_s3_uri


def get(store: LocalStore, uri: str, destination: Path) -> None:
    """Write the objects that a manifest lists to a folder, named as in the manifest.

    Raises:
        StoreError: The manifest or an object in it is missing, or the manifest is not well-formed; the
            message names the entry. Nothing is written then.
    """
    prefix, names = _read(store, uri)
    missing = next((name for name in names if not store.exists(prefix + name)), None)
    if missing is not None:
        raise StoreError(f"the manifest {uri} lists {missing!r}, but there is no object {prefix}{missing}")
    for name in names:
        store.get_file(prefix + name, destination / name)


def _read(store: LocalStore, uri: str) -> tuple[str, list[str]]:
    """Return the prefix and the relative names, checked."""
    if not store.exists(uri):
        raise StoreError(f"there is no manifest {uri}")
    try:
        entries: Any = json.loads(store.path(uri).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"the manifest {uri} cannot be read as JSON: {error}") from error
    first = entries[0] if isinstance(entries, list) and entries else None
    if not isinstance(first, dict) or set(first) != {"prefix"} or not isinstance(first["prefix"], str):
        raise StoreError(
            f'the manifest {uri} must be a list that begins with {{"prefix": "s3://bucket/folder/"}}'
        )
    prefix, names = first["prefix"], entries[1:]
    if not names:
        raise StoreError(f"the manifest {uri} lists no objects")
    for number, name in enumerate(names, 1):
        try:
            _check_name(prefix, name)
        except StoreError as error:
            raise StoreError(f"entry {number} of the manifest {uri}: {error}") from error
    return prefix, names


def _check_name(prefix: str, name: object) -> None:
    if not isinstance(name, str):
        raise StoreError(f"expected a name, got {str(name)[:100]}")
    # The name alone becomes a path below the channel; whole, it must name an object.
    parts = name.split("/")
    if PurePosixPath(name).is_absolute() or {"", ".", ".."} & set(parts):
        raise StoreError(f"{name[:200]!r} is not a relative name below the prefix")
    parse_s3_uri(prefix + name)
