"""What has been stored of a data set's version, noted as it happens: where an interrupted upload goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from sagemaker_dogbreed.data.versions.manifest import Entry

_KINDS = (str, int, str, str)


class Journal:
    """One file of lines for one version, beneath a folder for its data set.

    Each line is an object as it was stored. Lines are only ever added, so a process that is killed
    leaves at worst one torn line, which counts for nothing. It is a help, not a need: a journal that
    cannot be written costs the next upload time, and no more.
    """

    def __init__(self, cache_dir: Path, dataset_uri: str, version: str) -> None:
        """Name the journal of ``<dataset_uri>/<version>``."""
        digest = hashlib.sha256(dataset_uri.encode()).hexdigest()[:32]
        self._path = cache_dir / "uploads" / digest / f"{version}.jsonl"
        self._form = version.partition("-")[2]  # in shards, and of which size
        self._file: BinaryIO | None = None

    def read(self) -> dict[str, Entry]:
        """Return what was stored, by key; of an object stored twice, the later."""
        return _read(self._path)

    def latest_other(self) -> tuple[str, dict[str, Entry]] | None:
        """Return the data set's version of the same form that was uploaded last before, and its objects."""
        with contextlib.suppress(OSError):
            others = [
                path
                for path in self._path.parent.glob("*.jsonl")
                if path != self._path and path.stem.partition("-")[2] == self._form
            ]
            for path in sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True):
                if entries := _read(path):
                    return path.stem, entries
        return None

    def add(self, entry: Entry) -> None:
        """Note an object that was stored."""
        with contextlib.suppress(OSError):
            if self._file is None:
                self._file = self._opened()
            self._file.write(json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        """Close the file; adding opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab", buffering=0)
        if file.tell():
            file.write(b"\n")  # ends a torn line; an empty one counts for nothing
        return file


def _read(path: Path) -> dict[str, Entry]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return {}
    entries = {}
    for values in _parsed([line for line in lines if line]):
        if isinstance(values, list) and tuple(map(type, values)) == _KINDS:
            entry = Entry(*values)
            entries[entry.key] = entry
    return entries


def _parsed(lines: Sequence[bytes]) -> list[Any]:
    """Return what lines hold, without those that hold nothing; in one go, or else each by itself."""
    try:
        found: list[Any] = json.loads(b"[%s]" % b",".join(lines))
        if len(found) == len(lines):
            return found
    except (ValueError, RecursionError):
        pass
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            found.append(json.loads(line))
    return found
