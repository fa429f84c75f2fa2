"""The members of a zip or tar file, written to a folder under limits."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, NoReturn

from sagemaker_dogbreed.data.members import MemberNames, is_junk
from sagemaker_dogbreed.errors import ArchiveError

if TYPE_CHECKING:
    from tqdm import tqdm

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    IndexError,
    OverflowError,
    RuntimeError,  # zipfile and NotImplementedError: unknown features; RecursionError: endless headers
)
"""What the standard library raises on damaged archives; besides OSError without an errno."""

_CHUNK = 1 << 20
_HEADERS = 4 << 20  # bytes of metadata between two files of a tar
_SPECIAL = {stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK}


class Unpacking:
    """A folder being filled, and what has been written to it so far."""

    def __init__(self, archive: str, folder: Path, *, max_files: int, max_bytes: int) -> None:
        self.archive, self.folder, self.max_bytes = archive, folder, max_bytes
        self.names = MemberNames(archive, max_files)
        self.files, self.bytes = 0, 0

    def add_folder(self, name: str) -> None:
        """Make a folder."""
        path = self.names.add(name, is_folder=True)
        if not is_junk(path):
            (self.folder / path).mkdir(mode=0o755, parents=True, exist_ok=True)

    def add_file(self, name: str, content: IO[bytes], bar: tqdm[NoReturn]) -> None:
        """Write a file, counting the bytes that really come.

        Raises:
            ArchiveError: More bytes come than the limit allows.
        """
        path = self.names.add(name, is_folder=False)
        junk = is_junk(path)
        target = Path(os.devnull) if junk else self.folder / path
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with target.open("wb" if junk else "xb") as file:
            while chunk := content.read(_CHUNK):
                self.bytes += len(chunk)
                if self.bytes > self.max_bytes:
                    raise ArchiveError(
                        f"{self.archive} unpacks to more than max_total_gb allows ({self.max_bytes:,} "
                        "bytes); raise max_total_gb if that is right"
                    )
                file.write(chunk)
                bar.update(len(chunk))
        self.files += not junk

    def refuse(self, name: str, what: str) -> NoReturn:
        """Raise ArchiveError for a member that is no ordinary file or folder."""
        raise ArchiveError(
            f"{self.archive} is not safe to unpack: the entry {name[:100]!r} is {what}. "
            "Make the archive anew without it, or unpack it yourself and give the folder"
        )


def unpack_zip(archive: Path, target: Unpacking, *, progress: bool) -> None:
    """Unpack a zip file.

    Raises:
        ArchiveError: A member is encrypted, a link or a device, has an unsafe name, or goes beyond a limit.
        Exception: One of DAMAGE, or an OSError without errno: the archive is damaged.
    """
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        total = sum(member.file_size for member in members)
        with _bar(archive.name, total, progress=progress) as bar:
            for member in members:
                name = member.orig_filename  # ``filename`` ends at the first NUL
                if member.flag_bits & 0x1:
                    target.refuse(name, "encrypted")
                if stat.S_IFMT(member.external_attr >> 16) in _SPECIAL:
                    target.refuse(name, "a link or a device")
                if name.endswith("/"):
                    target.add_folder(name)
                    continue
                with file.open(member) as content:
                    target.add_file(name, content, bar)


def unpack_tar(stream: BinaryIO, target: Unpacking, *, progress: bool) -> None:
    """Unpack the uncompressed stream of a tar file, front to back.

    Raises:
        ArchiveError: A member is a link or a device, has an unsafe name, or goes beyond a limit.
        Exception: One of DAMAGE, or an OSError without errno: the archive is damaged.
    """
    metered = _Metered(stream)
    with (
        tarfile.open(
            fileobj=metered,  # type: ignore[call-overload]  # only read() is used of it
            mode="r|",
            encoding="utf-8",
            errors="surrogateescape",
        ) as file,
        _bar(target.archive, None, progress=progress) as bar,
    ):
        while member := file.next():
            if member.size < 0:
                raise tarfile.ReadError("a member has a negative size")
            if member.isdir():
                target.add_folder(member.name)
            elif member.isreg() and not member.issparse():
                with file.extractfile(member) as content:
                    metered.left = None
                    target.add_file(member.name, content, bar)
                metered.left = _HEADERS
            else:
                target.refuse(member.name, "a link, a device or a sparse file")
            file.members.clear()  # a million of them need not stay in memory
        _check_end(file.fileobj)


def _check_end(rest: IO[bytes]) -> None:
    """Raise ReadError unless only zeros are left.

    tarfile ends without a word at a header it cannot read, and where a file is cut off between members.
    """
    blocks = 0
    while block := rest.read(tarfile.BLOCKSIZE):
        blocks += 1
        if block.strip(b"\0"):
            raise tarfile.ReadError("there is unreadable data after its last readable file")
    if not blocks:
        raise tarfile.ReadError("its end is missing")


class _Metered:
    """A stream of which only so much may be read at a time, as headers are read into memory whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.left: int | None = _HEADERS

    def read(self, size: int) -> bytes:
        if self.left is not None and self.left < 0:
            raise tarfile.ReadError("the metadata of a member is absurdly long")
        chunk = self._stream.read(size)
        if self.left is not None:
            self.left -= len(chunk)
        return chunk


def _bar(name: str, total: int | None, *, progress: bool) -> tqdm[NoReturn]:
    from tqdm.auto import tqdm

    return tqdm(total=total, unit="B", unit_scale=True, desc=f"unpack {name}", disable=not progress)
