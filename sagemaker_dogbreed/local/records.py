"""Resources as folders: one folder each, its state a JSON file that is only ever replaced whole.

The state is ``{"Description": ..., "Tags": ..., "Local": ...}``: what Describe answers, the tags,
and what only this machine needs to know.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from sagemaker_dogbreed.local import locks

REGION, ACCOUNT = "us-east-1", "000000000000"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,62}")

State = dict[str, Any]


def now() -> float:
    """Return the time as SageMaker states it: seconds since the epoch, to the millisecond."""
    return round(time.time(), 3)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file beside its place and move it there."""
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with staged.open("w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


@attrs.frozen
class Record:
    """One resource of this root."""

    folder: Path

    def read(self) -> State | None:
        """Return the state, or None where the resource is gone."""
        try:
            state: State = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return state

    @contextlib.contextmanager
    def update(self) -> Iterator[State | None]:
        """Change the state under the resource's lock: what the block leaves in it is written.

        The state is None where the resource is gone; nothing is written then.
        """
        try:
            lock = locks.acquire(self.folder / "state.lock")
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        try:
            state = self.read()
            before = json.dumps(state)
            yield state
            if state is not None and json.dumps(state) != before:
                if "LastModifiedTime" in state["Description"]:
                    state["Description"]["LastModifiedTime"] = now()
                write_json(self.folder / "state.json", state)
        finally:
            os.close(lock)

    def remove(self) -> None:
        """Take the resource away, in one step for whoever looks."""
        trash = self.folder.with_name(f".{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):
            self.folder.rename(trash)
            shutil.rmtree(trash)


@attrs.frozen
class Records:
    """All resources of one kind, such as ``training-job``."""

    root: Path
    kind: str

    def arn(self, name: str) -> str:
        """Return the ARN of a resource of this name, whether there is one or not."""
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{self.kind}/{name}"

    def get(self, name: str) -> Record:
        """Return the record of this name, whether there is one or not.

        Raises:
            ValueError: The name is none, and could lead out of the root.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name of a {self.kind}: {name!r}")
        return Record(self.root / self.kind / name)

    def all(self) -> Iterator[Record]:
        """Yield every record, in no order."""
        parent = self.root / self.kind
        if parent.is_dir():
            yield from (Record(folder) for folder in parent.iterdir() if _NAME.fullmatch(folder.name))

    @contextlib.contextmanager
    def new(self, name: str, state: State) -> Iterator[Path]:
        """Create a resource: the block may add files to its folder before anybody sees it.

        Raises:
            FileExistsError: There is one of this name; of several at a time one wins.
        """
        target = self.get(name).folder
        staged = target.with_name(f".{uuid.uuid4().hex}")
        staged.mkdir(parents=True)
        try:
            write_json(staged / "state.json", state)
            (staged / "state.lock").touch()
            yield staged
            try:
                staged.rename(target)
            except OSError:
                if target.exists():
                    raise FileExistsError(f"there is a {self.kind} {name!r} already") from None
                raise
        finally:
            shutil.rmtree(staged, ignore_errors=True)
