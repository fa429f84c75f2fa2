"""Names of archive members: which are safe to unpack, and that no two of them clash."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import NoReturn

from sagemaker_dogbreed.errors import ArchiveError

_LONGEST_NAME = 1024
_DEEPEST = 32
_JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db"}


def is_junk(path: PurePosixPath) -> bool:
    """Return whether a member is a by-product of a file manager and not worth unpacking."""
    return not _JUNK.isdisjoint(path.parts)


def fold(name: str) -> str:
    """Return a name as file systems see it that ignore case and composition of characters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def unprintable(name: str) -> bool:
    """Return whether a name holds control characters, line separators or bytes that are not text."""
    # Nearly all names are printable to Python too, which is stricter and tells it at once.
    return not name.isprintable() and any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name
    )


class MemberNames:
    """The names of one archive, checked one by one as they are met."""

    def __init__(self, archive: str, max_files: int) -> None:
        self._archive, self._max_files = archive, max_files
        self._count = 0
        self._seen: dict[str, tuple[str, bool]] = {}  # folded path -> path, whether it is a folder

    def add(self, name: str, *, is_folder: bool) -> PurePosixPath:
        """Return the relative path at which a member may be unpacked.

        Raises:
            ArchiveError: The name leads out of the folder, clashes with another one or is one too many.
        """
        self._count += 1
        if self._count > self._max_files:
            raise ArchiveError(
                f"{self._archive} holds more than max_files ({self._max_files:,}) entries; "
                "raise max_files if that is right"
            )
        path = self._relative(name)
        if not is_folder and not path.parts:
            self._refuse(name, "has no name")
        again = fold(str(path)) in self._seen
        for folder in path.parents[:-1]:
            self._claim(str(folder), name, is_folder=True)
        if path.parts:
            self._claim(str(path), name, is_folder=is_folder)
        if again and not is_folder:
            self._refuse(name, "is there twice")
        return path

    def _relative(self, name: str) -> PurePosixPath:
        if unprintable(name):
            self._refuse(name, "holds control characters or bytes that are not UTF-8")
        if "\\" in name:
            self._refuse(name, "holds a backslash; pack with a tool that writes forward slashes")
        if name.startswith("/") or re.match(r"[A-Za-z]:", name):
            self._refuse(name, "is an absolute path")
        parts = [part for part in name[: _LONGEST_NAME + 1].split("/") if part not in ("", ".")]
        if ".." in parts:
            self._refuse(name, "leads out of the folder")
        if len(name) > _LONGEST_NAME or len(parts) > _DEEPEST:
            self._refuse(name, f"is longer than {_LONGEST_NAME} characters or deeper than {_DEEPEST} folders")
        return PurePosixPath(*parts)

    def _claim(self, path: str, name: str, *, is_folder: bool) -> None:
        known, was_folder = self._seen.setdefault(fold(path), (path, is_folder))
        if known != path:
            self._refuse(name, f"differs from {known!r} only in letter case or accents' encoding")
        if was_folder != is_folder:
            self._refuse(name, "is both a file and a folder")

    def _refuse(self, name: str, why: str) -> NoReturn:
        readable = name if len(name) <= 100 else f"{name[:100]}..."
        raise ArchiveError(
            f"{self._archive} is not safe to unpack: the entry {readable!r} {why}. "
            "Make the archive anew without it, or unpack it yourself and give the folder"
        )
