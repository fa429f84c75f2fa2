"""A data set made ready for upload: fetched, unpacked, divided and inspected."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import attrs

from sagemaker_dogbreed.data.fetch import fetch
from sagemaker_dogbreed.data.image_file import Candidate
from sagemaker_dogbreed.data.image_file import ImageFile as ImageFile
from sagemaker_dogbreed.data.inspection import inspect
from sagemaker_dogbreed.data.keys import class_label
from sagemaker_dogbreed.data.layout import Layout, find_layout
from sagemaker_dogbreed.data.report import InspectionReport
from sagemaker_dogbreed.errors import DatasetError
from sagemaker_dogbreed.specs.dataset import DatasetSpec


@attrs.frozen(kw_only=True)
class PreparedDataset:
    """A data set on this machine, ready for upload.

    ``classes`` are sorted; ``files`` are sorted by key and hold usable images only. ``fingerprint`` is
    the SHA-256 of all keys and contents in hex digits: the same images have the same, whatever folder
    or archive they came from.
    """

    spec: DatasetSpec = attrs.field(repr=False)
    name: str
    classes: tuple[str, ...] = attrs.field(repr=False)
    files: tuple[ImageFile, ...] = attrs.field(repr=False)
    report: InspectionReport = attrs.field(repr=False)
    fingerprint: str


def prepare(
    spec: DatasetSpec, cache_dir: str | os.PathLike[str], *, progress: bool = True
) -> PreparedDataset:
    """Fetch, unpack, divide and inspect a data set. A folder of the user's is only read.

    Args:
        spec: The data set.
        cache_dir: Where downloads, unpacked archives and what is known of images are kept for the next
            time.
        progress: Whether to draw progress bars.

    Raises:
        DownloadError: The URL cannot be downloaded.
        ArchiveError: The archive is damaged or unsafe.
        InspectionError: Something of severity "error" was found; it carries the report.
        DatasetError: There is no such folder, it holds no data set, or no two classes are usable.
    """
    layout = _layout(spec, Path(cache_dir), progress=progress)
    inspection = inspect(
        spec,
        _candidates(layout),
        root=layout.root,
        class_names={class_label(name) for classes in layout.splits.values() for name in classes},
        strays=layout.strays,
        nested=layout.nested,
        missing=layout.missing,
        cache_dir=Path(cache_dir),
        progress=progress,
    )
    inspection.report.raise_for_errors()
    classes = tuple(sorted({image.class_name for image in inspection.images}))
    if len(classes) < 2:
        raise DatasetError(
            f"data set {spec.dataset_name!r} has fewer than two classes with usable training images, and a "
            f"classifier needs two:\n{inspection.report}"
        )
    return PreparedDataset(
        spec=spec,
        name=spec.dataset_name,
        classes=classes,
        files=inspection.images,
        report=inspection.report,
        fingerprint=fingerprint((image.key, image.sha256) for image in inspection.images),
    )


def fingerprint(images: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 over the keys of images and the SHA-256s of their contents, in hex digits."""
    whole = hashlib.sha256()
    for key, digest in sorted(images):
        whole.update(f"{digest}  {key}\n".encode())
    return whole.hexdigest()


def _layout(spec: DatasetSpec, cache_dir: Path, *, progress: bool) -> Layout:
    source = fetch(spec, cache_dir / "downloads", progress=progress)
    if source.is_dir():
        return find_layout(source)
    from sagemaker_dogbreed.data.archive import discard, extracted
    from sagemaker_dogbreed.data.download import shown

    folder = extracted(
        source,
        cache_dir / "unpacked",
        max_files=spec.max_files,
        max_total_bytes=int(spec.max_total_gb * 1e9),
        progress=progress,
    )
    try:
        return find_layout(folder)
    except DatasetError as error:
        with contextlib.suppress(OSError):
            discard(folder)
        # The cache means nothing to the user: paths are told as they are in the archive.
        message = str(error).replace(f"{folder}{os.sep}", "").replace(str(folder), "its top level")
        archive = shown(spec.source) if spec.is_url else spec.source
        raise DatasetError(f"archive {archive!r} cannot be used: {message}") from None


def _candidates(layout: Layout) -> list[Candidate]:
    return [
        Candidate(path=path, split=split, class_name=class_label(folder_name))
        for split, classes in layout.splits.items()
        for folder_name, paths in classes.items()
        for path in paths
    ]
