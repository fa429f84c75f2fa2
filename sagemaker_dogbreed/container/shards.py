"""Tar shards of a channel, unpacked to class folders; a channel without shards is left as it is."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tarfile
import tempfile
import unicodedata
from pathlib import Path

PATTERN = "shard-*.tar"
"""The names of shards, at the top of a channel's folder."""

_CHUNK = 1 << 20


class ShardError(Exception):
    """A shard cannot be unpacked; the message names it."""


def unpacked(channel: Path) -> Path:
    """Return the folder with a channel's class folders: its own, or that of its unpacked shards.

    Shards are unpacked once, by the first of several processes to come; the others wait for it. The
    folder is beside the channel's, or for temporary files where that cannot be written (FastFile mode).

    Raises:
        ShardError: A shard is damaged or unsafe, or the disk is full.
    """
    shards = sorted(channel.glob(PATTERN))
    if not shards:
        return channel
    target = _place(channel, shards)
    try:
        with target.with_name(f"{target.name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _unpack(shards, target)
    except OSError as error:
        raise ShardError(
            f"the shards of {channel} cannot be unpacked to {target}: {error.strerror}"
        ) from error
    return target


def _place(channel: Path, shards: list[Path]) -> Path:
    status = [(shard.name, shard.stat().st_size, shard.stat().st_mtime_ns) for shard in shards]
    digest = hashlib.sha256(repr((str(channel.absolute()), status)).encode()).hexdigest()[:16]
    name = f".{channel.name}-{digest}"
    if os.access(channel.parent, os.W_OK):
        return channel.parent / name
    folder = Path(tempfile.gettempdir()) / f"dogbreed-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise ShardError(f"{folder} belongs to somebody else; set TMPDIR to a folder of your own")
    return folder / name


def _unpack(shards: list[Path], target: Path) -> None:
    partial = target.with_name(f"{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
    partial.mkdir()
    try:
        for shard in shards:
            try:
                with tarfile.open(shard, "r:") as tar:
                    for member in tar:
                        _write(tar, member, partial)
                        tar.members = []  # type: ignore[attr-defined]  # a million need not stay in memory
            except (tarfile.TarError, ValueError, EOFError, RecursionError) as error:
                raise ShardError(f"the shard {shard} is damaged: {error}") from error
            except FileExistsError as error:
                raise ShardError(f"the shard {shard} holds an image that is there twice: {error}") from error
            except ShardError as error:
                raise ShardError(f"the shard {shard} cannot be unpacked: {error}") from error
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    class_name, _, name = member.name.partition("/")
    if not all(_is_file_name(part) for part in (class_name, name)):
        raise ShardError(f"its entry {member.name!r} is not an image in a class folder")
    content = tar.extractfile(member) if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else None
    if content is None or member.issparse():
        raise ShardError(f"its entry {member.name!r} is no ordinary file")
    (folder / class_name).mkdir(exist_ok=True)
    with (folder / class_name / name).open("xb") as file:
        shutil.copyfileobj(content, file, _CHUNK)


def _is_file_name(name: str) -> bool:
    return (
        name not in ("", ".", "..")
        and "/" not in name
        and "\\" not in name
        and not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
    )
