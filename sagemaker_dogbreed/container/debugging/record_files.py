"""The files that hold records: appended to line by line, and read whatever they hold."""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from sagemaker_dogbreed.container.debugging.records import Record, RecordError, from_line, to_line

_LONGEST_LINE = 4_000_000  # characters; a step's tensors take some 300 each


class RecordFile:
    """A file that records are appended to; each is on its way to the disk when ``write`` returns."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. What a process that was killed left of its last line is ended first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._lock = threading.Lock()
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, record: Record) -> None:
        """Append a record.

        Raises:
            OSError: The disk is full, or the like.
        """
        data = memoryview(f"{to_line(record)}\n".encode())
        with self._lock:
            while data:
                data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_records(folder: Path) -> Iterator[Record]:
    """Yield the records of all files in a folder, in order of time; other lines are passed over."""
    files = [path for path in sorted(folder.glob("*.jsonl")) if path.is_file()]
    yield from heapq.merge(*map(_records, files), key=lambda record: record.time)


def _records(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        while line := lines.readline(_LONGEST_LINE):
            try:
                yield from_line(line)
            except RecordError:
                continue
