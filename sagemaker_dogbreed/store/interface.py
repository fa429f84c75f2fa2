"""What the library needs of S3, wherever it is.

A *prefix* names one object, or everything beneath it as a folder: ``s3://b/run`` covers
``s3://b/run/model`` and never ``s3://b/run-2/model``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

Progress = Callable[[int], object]
"""Called with the size of each file, in bytes, once it is stored."""


class Store(Protocol):
    """What the library needs of S3, wherever it is."""

    def put_file(self, source: Path, uri: str) -> None:
        """Store a file as an object, in place of the one that may be there."""

    def put_tree(
        self, files: Iterable[tuple[str, Path]], prefix_uri: str, progress: Progress | None = None
    ) -> None:
        """Store files beneath a prefix; each comes with its relative name (``train/dog/1.jpg``)."""

    def get_file(self, uri: str, destination: Path) -> None:
        """Write an object to a file."""

    def get_tree(self, prefix_uri: str, destination: Path) -> None:
        """Write the objects beneath a prefix to a folder."""

    def list(self, prefix_uri: str) -> Sequence[tuple[str, int]]:
        """Return the URI and the size, bytes, of each object of a prefix, sorted by URI."""

    def exists(self, uri: str) -> bool:
        """Return whether there is an object of exactly this URI."""

    def check_writable(self) -> None:
        """Raise StoreError where objects could not be stored."""

    def delete(self, prefix_uri: str) -> None:
        """Delete the objects of a prefix; none is no error."""
