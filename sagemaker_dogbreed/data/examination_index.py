"""What earlier examinations found, so that an unchanged file is neither read nor decoded again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from sagemaker_dogbreed import __version__
from sagemaker_dogbreed.data.examination import Look
from sagemaker_dogbreed.data.file_stamp import FileStamp

_KINDS = (
    (str, int, int, str, str, str, int, int, int),
    (str, int, int, type(None), str, str, int, int, int),
)
_KEPT = 6  # of a look that are kept; its file's stamp follows
_FORMAT = 1  # to be raised whenever an examination would find something else in the same bytes


class ExaminationIndex:
    """The looks at the files of one folder, kept in one file of the cache.

    An entry holds as long as its file has the same stamp (size, time of change, inode), and the index
    as a whole for one limit of pixels and one version of this library and of Pillow. It is a help, not
    a need: one that is damaged counts as empty, one that cannot be written is not.
    """

    def __init__(self, cache_dir: Path | None, root: Path, *, max_pixels: int) -> None:
        """Read the index of a folder; without a cache it is empty and stays so."""
        from PIL import __version__ as pillow_version

        self.max_pixels = max_pixels
        self._root = root
        self._beneath = os.path.join(root, "")  # noqa: PTH118  # with the slash, which a Path drops
        self._header = {
            "format": _FORMAT,
            "root": str(root.absolute()),
            "max_pixels": max_pixels,
            "versions": [__version__, pillow_version],
        }
        digest = hashlib.sha256(b"%d %s" % (max_pixels, os.fsencode(root.absolute()))).hexdigest()[:32]
        self._path = None if cache_dir is None else cache_dir / "examinations" / f"{digest}.json"
        self._entries: dict[str, list[Any]] = {}
        self._used: dict[str, list[Any]] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            self._entries = self._read()

    def find(self, path: Path) -> Look | None:
        """Return what a file was found to be, or None if it is not known or has changed."""
        name = self._name(path)
        entry = self._entries.get(name)
        if entry is None:
            return None
        try:
            stamp = FileStamp.of(os.fspath(path))
        except (OSError, ValueError):
            return None
        if entry[_KEPT:] != [*stamp]:
            return None
        self._used[name] = entry
        return Look._make((*entry[:_KEPT], stamp.size, stamp))

    def add(self, path: Path, look: Look) -> None:
        """Note what a file was found to be, if a change of it is sure to be seen."""
        if look.stamp is not None:
            self._used[self._name(path)] = [
                *look[:_KEPT],
                *look.stamp,
            ]

    def save(self) -> None:
        """Write what was found or noted since this index was read, in one step."""
        if self._path is None or not self._used:
            return
        content = json.dumps({"header": self._header, "entries": self._used}, separators=(",", ":"))
        partial = self._path.with_name(f".{uuid.uuid4().hex}.part")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_text(content, encoding="ascii")
                partial.replace(self._path)
            finally:
                partial.unlink(missing_ok=True)

    def _read(self) -> dict[str, list[Any]]:
        if self._path is None:
            return {}
        whole = json.loads(self._path.read_bytes())
        if not isinstance(whole, dict) or whole.get("header") != self._header:
            return {}
        entries = whole.get("entries")
        if not isinstance(entries, dict):
            return {}
        return {name: entry for name, entry in entries.items() if _is_entry(entry)}

    def _name(self, path: Path) -> str:
        name = os.fspath(path)
        return (
            name[len(self._beneath) :]
            if name.startswith(self._beneath)
            else os.path.relpath(path, self._root)
        )


def _is_entry(entry: object) -> bool:
    return isinstance(entry, list) and tuple(map(type, entry)) in _KINDS
