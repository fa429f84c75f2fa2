"""Objects of earlier versions of a data set: S3 can copy them, so they need not be sent again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sagemaker_dogbreed.data.versions.journal import Journal
from sagemaker_dogbreed.data.versions.manifest import LARGEST_MANIFEST, MANIFEST_NAME, Entry, Manifest
from sagemaker_dogbreed.data.versions.sync_plan import by_key, is_there
from sagemaker_dogbreed.errors import DatasetError, StoreError

if TYPE_CHECKING:
    from sagemaker_dogbreed.store.interface import Store, StoredObject

_MANIFESTS = 5  # that are read, where this machine has not uploaded an earlier version itself


def find_twins(store: Store, dataset_uri: str, journal: Journal) -> dict[str, str]:
    """Return the URIs of objects that are still as they were stored, by SHA-256.

    They are those of the version that this machine uploaded last; failing that, of up to five versions
    whose manifests are in S3.

    Raises:
        StoreError: The data set's prefix cannot be listed.
    """
    if (latest := journal.latest_other()) is not None:
        version, entries = latest
        uri = f"{dataset_uri}/{version}"
        return _unchanged(uri, entries.values(), by_key(store.objects(f"{uri}/", entries), uri))
    twins: dict[str, str] = {}
    versions: dict[str, dict[str, StoredObject]] = {}
    for key, item in by_key(store.objects(f"{dataset_uri}/"), dataset_uri).items():
        version, _, name = key.partition("/")
        versions.setdefault(version, {})[name] = item
    complete = [version for version, listing in versions.items() if MANIFEST_NAME in listing]
    for version in complete[:_MANIFESTS]:
        uri = f"{dataset_uri}/{version}"
        with contextlib.suppress(DatasetError, StoreError):  # the file is then sent
            content = store.read(f"{uri}/{MANIFEST_NAME}", LARGEST_MANIFEST)
            manifest = Manifest.from_json(content, f"{uri}/{MANIFEST_NAME}")
            twins |= _unchanged(uri, manifest.entries, versions[version])
    return twins


def _unchanged(uri: str, entries: Iterable[Entry], listing: Mapping[str, StoredObject]) -> dict[str, str]:
    return {entry.sha256: f"{uri}/{entry.key}" for entry in entries if is_there(entry, listing)}
