"""Brings a prepared data set to S3."""

from __future__ import annotations

from tqdm import tqdm

from sagemaker_dogbreed.data.dataset import Dataset, channel_uris, dataset_uri
from sagemaker_dogbreed.data.prepare import PreparedDataset
from sagemaker_dogbreed.store.interface import Store

VERSION_DIGITS = 16


def sync(prepared: PreparedDataset, store: Store, bucket: str, *, progress: bool = True) -> Dataset:
    """Upload a prepared data set below ``<prefix>/<name>/<version>/`` and return it.

    Versions never mix: the same files end at the same place, changed files at another.

    Raises:
        StoreError: The bucket cannot be written.
    """
    version = prepared.fingerprint[:VERSION_DIGITS]
    uri = dataset_uri(prepared.spec, bucket, version)
    with tqdm(
        total=sum(file.size for file in prepared.files),
        desc=f"uploading {prepared.name}",
        unit="B",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        store.put_tree(
            ((file.key, file.path) for file in prepared.files), uri, lambda _name, item: bar.update(item.size)
        )
    return Dataset(
        name=prepared.name,
        version=version,
        uri=uri,
        channels=channel_uris(uri),
        classes=prepared.classes,
        image_count=len(prepared.files),
        report=prepared.report,
    )
