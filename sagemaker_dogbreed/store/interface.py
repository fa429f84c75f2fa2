"""What the library needs of S3, wherever it is.

A *prefix* names one object, or everything beneath it as a folder: ``s3://b/run`` covers
``s3://b/run/model`` and never ``s3://b/run-2/model``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol


class StoredObject(NamedTuple):
    """An object as the store tells of it.

    ``size`` is in bytes. ``etag`` changes whenever the content does (without the quotes it has in
    HTTP); it is the MD5 of the content only where S3 chose it to be.
    """

    uri: str
    size: int
    etag: str


Stored = Callable[[str, StoredObject], object]
"""Called with each file's relative name and its object once it is stored; its errors end the transfer."""


class Store(Protocol):
    """What the library needs of S3, wherever it is."""

    def put_file(self, source: Path, uri: str) -> StoredObject:
        """Store a file as an object, in place of the one that may be there."""

    def put_tree(
        self, files: Iterable[tuple[str, Path]], prefix_uri: str, stored: Stored | None = None
    ) -> None:
        """Store files beneath a prefix; each comes with its relative name (``train/dog/1.jpg``)."""

    def copy_tree(
        self, copies: Iterable[tuple[str, str]], prefix_uri: str, stored: Stored | None = None
    ) -> None:
        """Copy objects to beneath a prefix of the same bucket; each URI comes with its new relative name."""

    def get_file(self, uri: str, destination: Path) -> None:
        """Write an object to a file."""

    def get_tree(self, prefix_uri: str, destination: Path) -> None:
        """Write the objects beneath a prefix to a folder."""

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Return the content of an object that must not be longer than so many bytes."""

    def objects(self, prefix_uri: str, expected: Iterable[str] = ()) -> Sequence[StoredObject]:
        """Return the objects of a prefix, sorted by URI.

        ``expected`` are relative names that are probably there: many are then listed in less time.
        """

    def list(self, prefix_uri: str) -> Sequence[tuple[str, int]]:
        """Return the URI and the size, bytes, of each object of a prefix, sorted by URI."""

    def exists(self, uri: str) -> bool:
        """Return whether there is an object of exactly this URI."""

    def has_content(self, uri: str, sha256: str) -> bool:
        """Return whether an object is known to have this SHA-256, whatever its etag; False if it is not."""

    def check_writable(self) -> None:
        """Raise StoreError where objects could not be stored."""

    def delete(self, prefix_uri: str) -> None:
        """Delete the objects of a prefix; none is no error."""
