"""Whether a file is still what it was, told without reading it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

_GRANULARITY_NS = 2_000_000_000  # of the times that file systems keep: FAT's is the coarsest


class FileStamp(NamedTuple):
    """A file's size in bytes, the time of its last change, and its inode: a change changes the stamp.

    Except a change so soon after another that the file system gives both the same time. A stamp taken
    that soon is not ``settled``, and proves nothing (git calls such files racily clean).
    """

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, file: str | Path | int) -> FileStamp:
        """Return the stamp of a file, by its path or its descriptor.

        Raises:
            OSError: There is no such file.
        """
        status = os.stat(file)  # noqa: PTH116  # Path.stat takes no descriptor, and twice the time
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)

    def settled(self) -> bool:
        """Return whether a change from now on is sure to change the stamp."""
        return self.mtime_ns < time.time_ns() - _GRANULARITY_NS
