"""File locks that live exactly as long as the processes that hold them, whatever ends those."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def acquire(path: Path) -> int:
    """Take the lock, waiting for it if need be, and return its file descriptor.

    The lock is held until every copy of the descriptor is closed, those inherited by other
    processes included.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock for the length of a ``with`` block."""
    descriptor = acquire(path)
    try:
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return whether any process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask at the same time do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_holder(path: Path, pid: int) -> None:
    """Note in the lock's file which process the lock is about."""
    path.write_text(str(pid), encoding="ascii")


def read_holder(path: Path) -> int | None:
    """Return the process that ``write_holder`` noted, or None."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() else None
