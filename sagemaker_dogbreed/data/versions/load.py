"""A data set that was uploaded earlier, here or elsewhere, found by its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_dogbreed.data.prepare import fingerprint
from sagemaker_dogbreed.data.versions.dataset import Dataset, channel_uris
from sagemaker_dogbreed.data.versions.manifest import LARGEST_MANIFEST, MANIFEST_NAME, Manifest
from sagemaker_dogbreed.data.versions.sync_plan import by_key, is_there, refuse_strays
from sagemaker_dogbreed.errors import DatasetError

if TYPE_CHECKING:
    from sagemaker_dogbreed.store.interface import Store


def load_dataset(store: Store, manifest_uri: str) -> Dataset:
    """Return the data set of a manifest, after making sure that all of it is there, unchanged and alone.

    Raises:
        DatasetError: The file is no manifest, an object is missing or was replaced, or there are objects
            in its channels that are not part of it.
        StoreError: There is no such file, or it cannot be read.
    """
    uri, _, file_name = manifest_uri.rpartition("/")
    if file_name != MANIFEST_NAME:
        raise DatasetError(f"{manifest_uri} is no data set's manifest: its name is not {MANIFEST_NAME}")
    manifest = Manifest.from_json(store.read(manifest_uri, LARGEST_MANIFEST), manifest_uri)
    if not uri.endswith(f"/{manifest.version}") or not _is_of(manifest):
        raise DatasetError(f"{manifest_uri} is not the manifest of the version it lies beneath")
    listing = by_key(store.objects(f"{uri}/", (entry.key for entry in manifest.entries)), uri)
    for entry in manifest.entries:
        if not is_there(entry, listing):
            raise DatasetError(f"{uri}/{entry.key} is missing or was replaced; upload the data set again")
    refuse_strays(uri, (entry.key for entry in manifest.entries), listing)
    return Dataset(
        name=manifest.name,
        version=manifest.version,
        uri=uri,
        channels=channel_uris(uri),
        classes=manifest.classes,
        image_count=manifest.image_count,
    )


def _is_of(manifest: Manifest) -> bool:
    """Return whether the objects are those that the version names; shards do not tell what is in them."""
    actual = fingerprint((entry.key, entry.sha256) for entry in manifest.entries)
    return "-" in manifest.version or actual.startswith(manifest.version)
