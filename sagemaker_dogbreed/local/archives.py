"""Archives of jobs and models: made the same from the same files, and unpacked with suspicion."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import uuid
import zlib
from pathlib import Path


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
    """Unpack a tar.gz into a folder that is not there yet; nothing is left of an archive that is refused.

    Raises:
        ValueError: The archive is damaged, or would write outside the folder.
    """
    staged = folder.with_name(f".{uuid.uuid4().hex}")
    staged.mkdir(parents=True)
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            tar.extractall(staged, filter="data")
        staged.rename(folder)
    except tarfile.FilterError as error:
        raise ValueError(f"it is not safe to unpack: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ValueError(f"it cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
