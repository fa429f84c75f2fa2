"""The file in which a download gathers, and what is needed to continue it."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path


class Partial:
    """``<target>.part``, with ``<target>.part.json`` beside it, which tells the server's version."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    def range_headers(self) -> dict[str, str]:
        """Return the headers that ask for the missing rest of the same version; empty to start anew.

        A weak ETag does not identify bytes, so it does not do (RFC 9110, section 13.1.5).
        """
        version = self._version()
        etag = version.get("etag", "")
        validator = etag if etag.startswith('"') else version.get("last-modified", "")
        if not validator or not self.size:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": validator}

    def start(self, headers: Mapping[str, str]) -> None:
        """Empty the file for a body from its first byte, and note its version."""
        self.discard()
        version = {name: headers[name] for name in ("ETag", "Last-Modified") if name in headers}
        self._notes.write_text(json.dumps({name.lower(): value for name, value in version.items()}))
        self.path.touch()

    def is_continued_by(self, headers: Mapping[str, str]) -> bool:
        """Return whether a 206 brings the missing rest, or a 416 says that nothing is missing."""
        for name, noted in self._version().items():
            if headers.get(name, noted) != noted:
                return False
        place = re.fullmatch(r"bytes (?:(\d+)-\d+/(?:\d+|\*)|\*/(\d+))", headers.get("Content-Range", ""))
        return place is not None and int(place[1] or place[2]) == self.size

    def discard(self) -> None:
        """Remove the file and its note."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def finish(self) -> None:
        """Put the complete file in its place, in one step."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        self._notes.unlink(missing_ok=True)

    def _version(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            notes = json.loads(self._notes.read_text())
            if isinstance(notes, dict):
                return {name: value for name, value in notes.items() if isinstance(value, str)}
        return {}
