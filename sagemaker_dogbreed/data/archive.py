"""Zip and tar files, unpacked so that nothing in them can do harm."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from sagemaker_dogbreed.data.locking import exclusive
from sagemaker_dogbreed.data.unpacking import DAMAGE, Unpacking, unpack_tar, unpack_zip
from sagemaker_dogbreed.errors import ArchiveError

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_COMPRESSIONS: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


def recognise(path: Path) -> str | None:
    """Return ``"zip"`` or ``"tar"`` (compressed or not) by a file's content, or None if it is neither.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(_ZIP):
        return "zip"
    try:
        with _decompressed(path) as stream:
            tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # public name, absent from typeshed
        return "tar"
    except DAMAGE:
        return None
    except OSError as error:
        if error.errno is None:  # bz2 and gzip tell of damage so
            return None
        raise
    return "tar"


def guess(path: Path) -> str:
    """Return, for an error message, what a file that is no archive may be; empty if unknown."""
    with path.open("rb") as file:
        start = file.read(512)
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<error")):
        return " but a web page, perhaps of a login or an error"
    if start.startswith((b"Rar!", b"7z\xbc\xaf")):
        return " but a RAR or 7z file: repack it as zip or tar"
    return ""


def extracted(
    archive: Path, cache_dir: Path, *, max_files: int, max_total_bytes: int, progress: bool = True
) -> Path:
    """Return a folder in the cache with an archive's content; it is unpacked once per content.

    Raises:
        ArchiveError: The archive cannot be read, is damaged or unsafe; see ``extract``.
    """
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArchiveError(f"{archive.name} cannot be read: {error.strerror or error}") from error
    return extract(
        archive,
        cache_dir / digest,
        max_files=max_files,
        max_total_bytes=max_total_bytes,
        progress=progress,
    )


def discard(destination: Path) -> None:
    """Remove an unpacked folder, which can be made again; ``extract`` never sees it half removed.

    Raises:
        OSError: It cannot be removed.
    """
    unfinished = _unfinished(destination)
    with exclusive(destination):
        _remove(unfinished)
        if destination.is_dir():
            destination.rename(unfinished)
            _remove(unfinished)


def extract(
    archive: Path,
    destination: Path,
    *,
    max_files: int,
    max_total_bytes: int,
    progress: bool = True,
) -> Path:
    """Unpack a zip or tar file; ``destination`` appears in one step, complete, or not at all.

    A destination that exists is taken to be the result of an earlier call and returned as it is.
    Owners, permissions and times in the archive are ignored.

    Args:
        archive: The file; its kind is recognised by content.
        destination: The folder to make; missing parent folders are made as well.
        max_files: Entries the archive may hold.
        max_total_bytes: Bytes that may come out of it, counted as they come.
        progress: Whether to draw a progress bar.

    Raises:
        ArchiveError: The archive is damaged, encrypted, of an unknown kind or beyond a limit; it holds
            links, devices, or names that lead out of the folder or clash; or the disk is full.
    """
    unfinished = _unfinished(destination)
    try:
        with exclusive(destination):
            if destination.is_dir():
                return destination
            _remove(unfinished)  # left by a process that was killed
            try:
                unfinished.mkdir(mode=0o755)
                target = Unpacking(archive.name, unfinished, max_files=max_files, max_bytes=max_total_bytes)
                _unpack(archive, target, progress=progress)
                unfinished.rename(destination)
            except BaseException:
                _remove(unfinished)
                raise
    except DAMAGE as error:
        raise ArchiveError(f"{archive.name} is damaged: {str(error) or type(error).__name__}") from error
    except OSError as error:
        if error.errno is None:
            raise ArchiveError(f"{archive.name} is damaged: {error}") from error
        raise ArchiveError(
            f"{archive.name} cannot be unpacked to {str(destination)!r}: {error.strerror or error}"
        ) from error
    return destination


def _unpack(archive: Path, target: Unpacking, *, progress: bool) -> None:
    kind = recognise(archive)
    if kind is None:
        raise ArchiveError(f"{archive.name} is neither a zip nor a tar file{guess(archive)}")
    if kind == "zip":
        unpack_zip(archive, target, progress=progress)
    else:
        with _decompressed(archive) as stream:
            unpack_tar(stream, target, progress=progress)
    if not target.files:
        raise ArchiveError(f"{archive.name} holds no files")


def _decompressed(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        start = file.read(6)
    for magic, opener in _COMPRESSIONS.items():
        if start.startswith(magic):
            return cast("BinaryIO", opener(path))
    return path.open("rb")


def _unfinished(destination: Path) -> Path:
    return destination.with_name(f"{destination.name}.part")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
