"""The source of a data set as a path on this machine."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sagemaker_dogbreed.errors import DatasetError, DownloadError
from sagemaker_dogbreed.specs.dataset import DatasetSpec

_KINDS = "a folder, a zip or tar file, or an http(s) URL of one"


def fetch(
    spec: DatasetSpec,
    cache_dir: Path,
    *,
    progress: bool = True,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Return the folder or archive that the spec's source names, downloading it if it is a URL.

    A download that finished before is used again; one that was cut off is continued. To fetch a
    changed file from an unchanged URL, delete it from the cache or give its ``sha256``.

    Args:
        spec: The data set.
        cache_dir: Where downloads are kept; it is made if it is missing.
        progress: Whether to draw a progress bar.
        sleep: Waits between attempts; seconds.

    Raises:
        DatasetError: There is no such folder or file, or it does not match ``sha256``.
        DownloadError: The URL cannot be downloaded, or what came is not what was asked for.
    """
    if not spec.is_url:
        return _local(spec)
    # Most sources are folders, which need none of it.
    from sagemaker_dogbreed.data import archive
    from sagemaker_dogbreed.data.download import download, shown

    target = cache_dir / _cache_name(spec.source)

    def verify(path: Path) -> None:
        digest = _digest(path) if spec.sha256 is not None else None
        if spec.sha256 is not None and digest != spec.sha256.lower():
            raise DownloadError(
                f"{shown(spec.source)} is not the file that was expected: its sha256 is {digest}, "
                f"but the spec's is {spec.sha256.lower()}. Correct source or sha256"
            )
        if archive.recognise(path) is None:
            raise DownloadError(
                f"{shown(spec.source)} did not deliver a zip or tar file{archive.guess(path)}. "
                "Check that the URL leads to the file itself"
            )

    download(
        spec.source,
        target,
        max_bytes=int(spec.max_total_gb * 1e9),
        verify=verify,
        progress=progress,
        sleep=sleep,
    )
    return target


def _local(spec: DatasetSpec) -> Path:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", spec.source):
        from sagemaker_dogbreed.data.download import shown

        raise DatasetError(f"source {shown(spec.source)!r} cannot be fetched: it must be {_KINDS}")
    path = Path(spec.source)
    try:
        path = path.expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
        if not path.exists():
            parent = next(parent for parent in path.absolute().parents if parent.is_dir())
            raise DatasetError(
                f"source {spec.source!r} does not exist; the nearest folder that does is {str(parent)!r}"
            )
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"source {spec.source!r} cannot be read: {error}") from error
    if not is_folder and not is_file:
        raise DatasetError(f"source {spec.source!r} is neither a folder nor a file; it must be {_KINDS}")
    if spec.sha256 is not None:
        _check_local_digest(path, spec)
    return path


def _check_local_digest(path: Path, spec: DatasetSpec) -> None:
    if path.is_dir():
        raise DatasetError(
            f"source {spec.source!r} is a folder, and sha256 is that of an archive: leave sha256 out"
        )
    try:
        digest = _digest(path)
    except OSError as error:
        raise DatasetError(f"source {spec.source!r} cannot be read: {error}") from error
    if digest != str(spec.sha256).lower():
        raise DatasetError(
            f"source {spec.source!r} is not the file that was expected: its sha256 is {digest}, "
            f"but the spec's is {str(spec.sha256).lower()}. Correct source or sha256"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cache_name(url: str) -> str:
    """Return a file name for a URL: the same URL has the same name, and secrets do not show."""
    try:
        base = unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:
        base = ""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", base).strip(".-")[-80:]
    url_hash = hashlib.sha256(url.partition("#")[0].encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{url_hash}-{readable}" if readable else url_hash
