"""Puts what a training job needs besides its data where the job finds it: code, weights."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from sagemaker_dogbreed import packaging
from sagemaker_dogbreed.container.debugging.settings import OWN_RULES
from sagemaker_dogbreed.store.interface import Store


def upload_source(store: Store, bucket: str, *requirements: str, own_rules: str | None = None) -> str:
    """Upload the code of jobs and return its URI; the same code ends at the same place, and is sent once.

    Args:
        store: Where to.
        bucket: The bucket.
        requirements: As for ``packaging.source_archive``.
        own_rules: Path of a file of own rules that goes with the code.

    Raises:
        StoreError: The bucket cannot be written.
    """
    more = {} if own_rules is None else {f"{OWN_RULES}.py": Path(own_rules).expanduser().read_bytes()}
    mark = packaging.fingerprint(*requirements, more=more)[:16]
    uri = f"s3://{bucket}/code/{mark}/{packaging.ARCHIVE_NAME}"
    if not store.exists(uri):
        with tempfile.TemporaryDirectory() as folder:
            store.put_file(packaging.source_archive(Path(folder), *requirements, more=more), uri)
    return uri


def upload_weights(store: Store, bucket: str, source: str) -> str:
    """Return the prefix of a weights file, uploading it if it lies on this machine and is not there yet.

    Raises:
        StoreError: The bucket cannot be written.
    """
    if source.startswith("s3://"):
        return source
    path = Path(source).expanduser()
    uri = f"s3://{bucket}/weights/{_digest(path)}/{path.name}"
    if not store.exists(uri):
        store.put_file(path, uri)
    return uri.removesuffix(path.name)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
