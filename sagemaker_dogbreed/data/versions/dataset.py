"""An uploaded data set: one immutable version of labelled images in S3."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sagemaker_dogbreed.container.metrics import SPLITS
from sagemaker_dogbreed.data.report import InspectionReport
from sagemaker_dogbreed.data.versions.manifest import MANIFEST_NAME
from sagemaker_dogbreed.specs.dataset import DatasetSpec


def dataset_uri(spec: DatasetSpec, default_bucket: str, version: str) -> str:
    """Return the ``s3://`` prefix of one version of a data set.

    >>> dataset_uri(DatasetSpec(source="dogs.zip", prefix="data/"), "my-bucket", "0a1b")
    's3://my-bucket/data/dogs/0a1b'
    """
    return f"s3://{spec.bucket or default_bucket}/{spec.prefix.strip('/')}/{spec.dataset_name}/{version}"


def channel_uris(uri: str) -> dict[str, str]:
    """Return the prefixes of the channels train, valid and test of an uploaded data set."""
    return {split: f"{uri}/{split}/" for split in SPLITS}


def manifest_uris(uri: str) -> dict[str, str]:
    """Return the manifest files of the channels train, valid and test of an uploaded data set."""
    return {split: f"{uri}/{split}.manifest" for split in SPLITS}


@attrs.frozen(kw_only=True)
class Dataset:
    """One version of a data set, as training jobs read it.

    ``uri`` is its ``s3://`` prefix, ``channels`` maps train, valid and test to theirs, and
    ``version`` is the fingerprint of names and contents: other images, other version. ``report`` is
    what the inspection found, or None where the data set was not inspected here but loaded.
    """

    name: str
    version: str
    uri: str
    channels: Mapping[str, str]
    classes: tuple[str, ...]
    image_count: int
    report: InspectionReport | None = attrs.field(default=None, repr=False)

    @property
    def manifest_uri(self) -> str:
        """The file that lists every object of this version with its size and checksum."""
        return f"{self.uri}/{MANIFEST_NAME}"

    @property
    def manifests(self) -> Mapping[str, str]:
        """The URI of each channel's manifest file: a job that is given it loads what it lists, no more."""
        return manifest_uris(self.uri)
