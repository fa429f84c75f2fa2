"""The source tree that training jobs run, staged as a folder or packed as a deterministic archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

from sagemaker_dogbreed.container import source

ARCHIVE_NAME = "sourcedir.tar.gz"

_REQUIREMENTS = "# Nothing is installed when a job starts: the container image has all that is needed.\n"


def stage(destination: Path) -> Path:
    """Write the tree below a folder and return the folder.

    It holds ``train.py``, ``inference.py``, ``requirements.txt`` and the package's container modules.
    """
    source.write_files(_files(), destination)
    return destination


def source_archive(destination: Path) -> Path:
    """Write ``sourcedir.tar.gz`` into a folder and return its path; the same source gives the same bytes."""
    destination.mkdir(parents=True, exist_ok=True)
    path = destination / ARCHIVE_NAME
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(_archive())
    partial.replace(path)
    return path


def fingerprint() -> str:
    """Return the SHA-256 of the source archive."""
    return hashlib.sha256(_archive()).hexdigest()


def _files() -> dict[str, bytes]:
    return {
        "train.py": source.TRAIN_SCRIPT.encode(),
        "requirements.txt": _REQUIREMENTS.encode(),
        **source.serving_files(),
    }


def _archive() -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in sorted(_files().items()):
            # A TarInfo starts out with no owner, no time and mode 0644.
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
