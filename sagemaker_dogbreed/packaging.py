"""The source tree that training jobs run, staged as a folder or packed as a deterministic archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from sagemaker_dogbreed.container import source

ARCHIVE_NAME = "sourcedir.tar.gz"

OPTUNA = "optuna>=4"
"""What a job that runs a tuning itself needs beside what AWS's images have."""

_NO_REQUIREMENTS = "# Nothing is installed when a job starts: the container image has all that is needed.\n"


def stage(destination: Path) -> Path:
    """Write the tree below a folder and return the folder.

    It holds ``train.py``, ``inference.py``, ``requirements.txt`` and the package's container modules.
    """
    source.write_files(_files(), destination)
    return destination


def source_archive(destination: Path, *requirements: str, more: Mapping[str, bytes] | None = None) -> Path:
    """Write ``sourcedir.tar.gz`` into a folder and return its path; the same source gives the same bytes.

    Args:
        destination: The folder.
        requirements: What AWS's containers are to install when the job starts, for pip.
        more: Further files beside ``train.py``, by name.
    """
    destination.mkdir(parents=True, exist_ok=True)
    path = destination / ARCHIVE_NAME
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(_archive(*requirements, more=more))
    partial.replace(path)
    return path


def fingerprint(*requirements: str, more: Mapping[str, bytes] | None = None) -> str:
    """Return the SHA-256 of the source archive with such requirements and further files."""
    return hashlib.sha256(_archive(*requirements, more=more)).hexdigest()


def _files(*requirements: str) -> dict[str, bytes]:
    return {
        "train.py": source.TRAIN_SCRIPT.encode(),
        "requirements.txt": "".join(f"{name}\n" for name in requirements).encode()
        or _NO_REQUIREMENTS.encode(),
        **source.serving_files(),
    }


def _archive(*requirements: str, more: Mapping[str, bytes] | None = None) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in sorted({**_files(*requirements), **(more or {})}.items()):
            # A TarInfo starts out with no owner, no time and mode 0644.
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
