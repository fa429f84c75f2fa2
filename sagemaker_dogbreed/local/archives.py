"""Archives of jobs and models: made the same from the same files."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

from sagemaker_dogbreed.data.archive import extract

_MAX_FILES = 1_000_000
_MAX_BYTES = 500 * 10**9


def pack(folder: Path, archive: Path) -> None:
    """Write the files beneath a folder to a tar.gz, with the folder itself as the root.

    Names are sorted and times and owners left out, so that equal files make equal archives. Links
    are written as what they lead to.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    # Weights hardly compress; a higher level costs ten times the time and saves nothing.
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in files:
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = path.stat().st_size
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as file:
                tar.addfile(member, file)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into a folder that is not there yet.

    Raises:
        ArchiveError: The archive is damaged or unsafe; nothing of it is left.
    """
    extract(archive, folder, max_files=_MAX_FILES, max_total_bytes=_MAX_BYTES, progress=False)
