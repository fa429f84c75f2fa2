"""A data set that was uploaded earlier, here or elsewhere, found by its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_dogbreed.data.prepare import fingerprint
from sagemaker_dogbreed.data.versions.dataset import Dataset, channel_uris
from sagemaker_dogbreed.data.versions.manifest import LARGEST_MANIFEST, MANIFEST_NAME, Entry, Manifest
from sagemaker_dogbreed.data.versions.sync_plan import by_key, is_there, refuse_strays
from sagemaker_dogbreed.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_dogbreed.store.interface import Store, StoredObject


def load_dataset(store: Store, manifest_uri: str) -> Dataset:
    """Return the data set of a manifest, after making sure that all of it is there, unchanged and alone.

    Raises:
        DatasetError: The file is no manifest, an object is missing or was replaced, or there are objects
            in its channels that are not part of it.
        StoreError: There is no such file, or it cannot be read.
    """
    uri, _, name = manifest_uri.removesuffix("/").rpartition("/")
    if "." not in name:  # a version's own URI names it as well
        uri, name = f"{uri}/{name}", MANIFEST_NAME
    if name != MANIFEST_NAME:
        raise DatasetError(f"{manifest_uri} is no data set's manifest: its name is not {MANIFEST_NAME}")
    manifest_uri = f"{uri}/{name}"
    manifest = Manifest.from_json(store.read(manifest_uri, LARGEST_MANIFEST), manifest_uri)
    if not uri.endswith(f"/{manifest.version}") or not _is_of(manifest):
        raise DatasetError(f"{manifest_uri} is not the manifest of the version it lies beneath")
    listing = by_key(store.objects(f"{uri}/", (entry.key for entry in manifest.entries)), uri)
    for entry in manifest.entries:
        if not is_there(entry, listing) and not _is_same(entry, listing, store):
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


def _is_same(entry: Entry, listing: Mapping[str, StoredObject], store: Store) -> bool:
    """Return whether an object that looks replaced still has its content, where the store can tell."""
    found = listing.get(entry.key)
    return found is not None and found.size == entry.size and store.has_content(found.uri, entry.sha256)


def _is_of(manifest: Manifest) -> bool:
    """Return whether the objects are those that the version names; shards do not tell what is in them."""
    actual = fingerprint((entry.key, entry.sha256) for entry in manifest.entries)
    return "-" in manifest.version or actual.startswith(manifest.version)
