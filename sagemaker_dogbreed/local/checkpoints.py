"""Checkpoints: brought back before a job, and copied to S3 while it runs."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path

from sagemaker_dogbreed.store.local import LocalStore
from sagemaker_dogbreed.store.location import parse_s3_uri

_INTERVAL = 1.0  # seconds between looks at the folder
_REST = 0.15  # seconds for which a file must not have changed; quick epochs soon replace theirs

_Seen = tuple[int, int, int]


class CheckpointSync:
    """Keeps an S3 prefix in step with a job's checkpoint folder.

    Files are copied, never linked: a job may write to its checkpoints in place. As on AWS, what the
    job deletes stays in S3.
    """

    def __init__(self, folder: Path, store: LocalStore, uri: str) -> None:
        self._folder, self._store, self._uri = folder, store, uri.removesuffix("/")
        self._stored: dict[Path, _Seen] = {}
        self._last_look: dict[Path, _Seen] = {}
        self._next_look = 0.0

    def restore(self) -> None:
        """Copy the checkpoints of an earlier job into the folder.

        Raises:
            StoreError: They cannot be listed.
            OSError: They cannot be written.
        """
        prefix = parse_s3_uri(self._uri)[1]
        for uri, _size in self._store.list(f"{self._uri}/"):
            target = self._folder / parse_s3_uri(uri)[1].removeprefix(prefix).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._store.path(uri), target)
        self._stored = self._look()

    def sync(self, *, final: bool = False) -> None:
        """Store what changed; while the job runs, only files that have come to rest.

        Raises:
            StoreError: A checkpoint cannot be stored.
            OSError: A checkpoint cannot be read.
        """
        if not final and time.monotonic() < self._next_look:
            return
        now = self._look()
        is_changing = False
        for path, seen in now.items():
            # A file of lines is appended to, and whole but for its last line at any time.
            at_rest = final or path.suffix == ".jsonl" or self._last_look.get(path) == seen
            if at_rest and self._stored.get(path) != seen:
                self._put(path)
                self._stored[path] = seen
            is_changing |= not at_rest
        self._last_look = now
        self._next_look = time.monotonic() + (_REST if is_changing else _INTERVAL)

    def _put(self, path: Path) -> None:
        copy = self._folder.with_name(f".{uuid.uuid4().hex}")
        try:
            shutil.copyfile(path, copy)
            self._store.put_file(copy, f"{self._uri}/{path.relative_to(self._folder).as_posix()}")
        except FileNotFoundError:  # the job has just replaced or removed it
            return
        finally:
            copy.unlink(missing_ok=True)

    def _look(self) -> dict[Path, _Seen]:
        found = {}
        for path in self._folder.rglob("*"):
            try:
                status = path.stat()
            except OSError:  # gone since it was listed
                continue
            if path.is_file():
                found[path] = (status.st_ino, status.st_mtime_ns, status.st_size)
        return found
