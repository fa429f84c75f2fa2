"""The store that is a folder of this machine: ``s3://bucket/key`` is ``<root>/s3/bucket/key``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.interface import Stored, StoredObject
from sagemaker_dogbreed.store.location import parse_s3_uri

_INCOMING = ".incoming"  # no bucket can have this name


@attrs.frozen
class LocalStore:
    """S3 as a folder of this machine.

    Objects are hard links wherever the file system allows it, so that storing and handing out data
    costs neither time nor disk. An object therefore shares its bytes with the file it was made from
    and with the files made from it. What keeps them whole: objects are replaced by renaming, never
    written in place; a job gets links in a folder of its own, so deleting, renaming and replacing
    files there touches neither the object nor the original. The one thing that would go through is
    opening an existing file for writing in place: the bundled training script opens its input for
    reading only, and whatever a job writes (checkpoints, models) is copied or made anew.

    Attributes:
        root: Folder of the local SageMaker; objects are beneath ``<root>/s3``.
    """

    root: Path = attrs.field(converter=Path)

    def path(self, uri: str) -> Path:
        """Return the file that stands for an object, or the folder that stands for a prefix.

        Raises:
            StoreError: The URI is none, or no file name can stand for its key.
        """
        bucket, key = parse_s3_uri(uri)
        return self.root.joinpath("s3", bucket, *key.removesuffix("/").split("/"))

    def check_writable(self) -> None:
        """Make the root if it is missing, and make sure that files can be made in it.

        Raises:
            StoreError: They cannot; the message names the root and how to choose another.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.root, prefix=".probe-"):
                pass
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            if isinstance(error, FileExistsError | NotADirectoryError):
                reason = "it, or a part of its path, is a file"
            raise StoreError(
                f"the folder {self.root} cannot be written: {reason}; choose another with "
                "Session.local(root), --root or SAGEMAKER_DOGBREED_HOME"
            ) from error

    def put_file(self, source: Path, uri: str) -> StoredObject:
        """Store a file as an object: a hard link, or a copy where links are refused.

        Raises:
            StoreError: The file cannot be read, or the object cannot be written.
        """
        target = self._object_path(uri)
        with _store_errors(f"store {source} as {uri}", self.check_writable):
            if target.is_dir():
                raise IsADirectoryError(f"there are objects beneath {uri}/")
            try:
                _place(Path(source), target, self._incoming())
            except (FileExistsError, NotADirectoryError) as error:
                raise OSError("part of its key is an object, and here a folder cannot be one too") from error
            return _described(uri, target)

    def put_tree(
        self, files: Iterable[tuple[str, Path]], prefix_uri: str, stored: Stored | None = None
    ) -> None:
        """Store files beneath a prefix; each comes with its relative name (``train/dog/1.jpg``).

        Raises:
            StoreError: A file cannot be stored; the message names it.
        """
        prefix = prefix_uri.removesuffix("/")
        for name, source in files:
            result = self.put_file(source, f"{prefix}/{name}")
            if stored is not None:
                stored(name, result)

    def copy_tree(
        self, copies: Iterable[tuple[str, str]], prefix_uri: str, stored: Stored | None = None
    ) -> None:
        """Store objects once more beneath a prefix of the same bucket; each comes with its relative name.

        Raises:
            StoreError: An object is in another bucket, is gone, or cannot be copied.
        """
        prefix = prefix_uri.removesuffix("/")
        for source, name in copies:
            if parse_s3_uri(source)[0] != parse_s3_uri(prefix_uri)[0]:
                raise StoreError(f"cannot copy {source} to {prefix}: it is in another bucket")
            if not self.exists(source):
                raise StoreError(f"there is no object {source}")
            result = self.put_file(self._object_path(source), f"{prefix}/{name}")
            if stored is not None:
                stored(name, result)

    def get_file(self, uri: str, destination: Path) -> None:
        """Write an object to a file: a hard link, or a copy where links are refused.

        Raises:
            StoreError: There is no such object, or the file cannot be written.
        """
        source = self._object_path(uri)
        if not source.is_file():
            raise StoreError(f"there is no object {uri}")
        with _store_errors(f"write {uri} to {destination}"):
            _place(source, Path(destination), Path(destination).parent)

    def get_tree(self, prefix_uri: str, destination: Path) -> None:
        """Write the objects of a prefix to a folder, named as beneath the prefix.

        A prefix that is one object becomes one file, named by the last part of its key.

        Raises:
            StoreError: There is no object of this prefix, or the folder cannot be written.
        """
        base = self.path(prefix_uri)
        found = self.list(prefix_uri)
        if not found:
            raise StoreError(f"there are no objects of the prefix {prefix_uri}")
        parent = base.parent if base.is_file() else base
        for uri, _size in found:
            self.get_file(uri, Path(destination) / self.path(uri).relative_to(parent))

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Return the content of an object.

        Raises:
            StoreError: There is no such object, it cannot be read, or it is longer than ``max_bytes``.
        """
        path = self._object_path(uri)
        if not path.is_file():
            raise StoreError(f"there is no object {uri}")
        with _store_errors(f"read {uri}"), path.open("rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise StoreError(f"{uri} is longer than {max_bytes:,} bytes; it is not what it should be")
        return content

    def objects(
        self,
        prefix_uri: str,
        expected: Iterable[str] = (),  # noqa: ARG002  # a folder has no pages
    ) -> Sequence[StoredObject]:
        """Return the objects of a prefix, sorted by URI.

        Raises:
            StoreError: The URI is none, or the folder cannot be read.
        """
        base = self.path(prefix_uri)
        bucket = parse_s3_uri(prefix_uri)[0]
        bucket_folder = self.root / "s3" / bucket
        with _store_errors(f"list {prefix_uri}"):
            one_object = base.is_file() and not prefix_uri.endswith("/")
            files = [base] if one_object else [path for path in base.rglob("*") if path.is_file()]
            return sorted(
                _described(f"s3://{bucket}/{path.relative_to(bucket_folder).as_posix()}", path)
                for path in files
            )

    def list(self, prefix_uri: str) -> Sequence[tuple[str, int]]:
        """Return the URI and the size, bytes, of each object of a prefix, sorted by URI.

        Raises:
            StoreError: The URI is none, or the folder cannot be read.
        """
        return [(item.uri, item.size) for item in self.objects(prefix_uri)]

    def exists(self, uri: str) -> bool:
        """Return whether there is an object of exactly this URI."""
        return not uri.endswith("/") and self.path(uri).is_file()

    def has_content(self, uri: str, sha256: str) -> bool:
        """Return whether an object has this SHA-256: its etag tells of the file's times as well."""
        try:
            with self.path(uri).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def delete(self, prefix_uri: str) -> None:
        """Delete the objects of a prefix; none is no error.

        Raises:
            StoreError: The objects cannot be deleted.
        """
        target = self.path(prefix_uri)
        with _store_errors(f"delete {prefix_uri}", self.check_writable):
            trash = self._incoming() / uuid.uuid4().hex
            try:
                target.rename(trash)
            except (FileNotFoundError, NotADirectoryError):
                return
            if trash.is_dir():
                shutil.rmtree(trash)
            else:
                trash.unlink()
        with contextlib.suppress(OSError):  # ends at the first parent that is not empty
            while (target := target.parent) != self.root / "s3":
                target.rmdir()

    def _object_path(self, uri: str) -> Path:
        if parse_s3_uri(uri)[1].endswith("/") or not parse_s3_uri(uri)[1]:
            raise StoreError(f"{uri!r} names no object; the key must not be empty or end in a slash")
        return self.path(uri)

    def _incoming(self) -> Path:
        folder = self.root / "s3" / _INCOMING
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _described(uri: str, path: Path) -> StoredObject:
    """Return the object that a file stands for; which bytes it has is told by inode and time of change."""
    status = path.stat()
    return StoredObject(uri, status.st_size, f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}")


def _place(source: Path, target: Path, staging: Path) -> None:
    """Make ``target`` a link to (or a copy of) ``source`` in one step, replacing what is there."""
    source = source.resolve(strict=True)
    if not source.is_file():
        raise OSError(f"{source} is not a regular file")
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = staging / f".{uuid.uuid4().hex}"
    try:
        try:
            os.link(source, staged)
        except OSError:  # another file system, or links are refused
            shutil.copyfile(source, staged)
        try:
            staged.replace(target)
        except FileNotFoundError:  # somebody's delete has just pruned the empty folder
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(target)
    finally:
        # Renaming one link of a file onto another link of it does nothing and leaves both.
        staged.unlink(missing_ok=True)


@contextlib.contextmanager
def _store_errors(action: str, check_root: Callable[[], None] | None = None) -> Iterator[None]:
    """Raise StoreError about an action that failed, unless ``check_root`` raises one about the root."""
    try:
        yield
    except (OSError, ValueError) as error:
        if check_root is not None:
            check_root()
        raise StoreError(f"cannot {action}: {error}") from error
