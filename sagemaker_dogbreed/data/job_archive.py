"""What a job left (``model.tar.gz``, ``output.tar.gz``), unpacked so that nothing in it can do harm."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Protocol

from sagemaker_dogbreed.data.archive import extract
from sagemaker_dogbreed.errors import ArchiveError

_MOST_FILES = 10_000
_MOST_BYTES = 20_000_000_000


class Reads(Protocol):
    """The part of a store that is needed here."""

    def get_file(self, uri: str, destination: Path) -> None:
        """Write an object to a file."""


def get_unpacked(store: Reads, uri: str, destination: Path) -> Path:
    """Download an archive and unpack it to a new folder; see ``unpack`` for the errors.

    Raises:
        StoreError: There is no such object, or it cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / uri.rpartition("/")[2]
        store.get_file(uri, packed)
        return unpack(packed, destination)


def unpack(archive: Path, destination: Path) -> Path:
    """Unpack an artifact to a folder, which appears in one step, complete, or not at all.

    An artifact is what a job's container left, and bucket policies are what they are: it is as hostile
    as any archive.

    Raises:
        ArchiveError: The folder exists already; or the archive is damaged, holds links, devices or names
            that lead out of the folder, or unpacks to more than 10,000 files or 20 GB.
    """
    if destination.exists():
        raise ArchiveError(f"{destination} exists already; name a folder that does not, or remove it")
    destination.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.absolute().parent, prefix=".unpacking-") as folder:
        content = Path(folder) / "content"
        extract(archive, content, max_files=_MOST_FILES, max_total_bytes=_MOST_BYTES, progress=False)
        content.rename(destination)
    return destination
