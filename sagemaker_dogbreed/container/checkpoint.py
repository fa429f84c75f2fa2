"""Checkpoints: one file an epoch, written whole or not at all, checked when read.

A file's name holds the epoch and the beginning of the content's SHA-256; the two newest are kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.resumption import free_to_change

_KEPT = 2
_NAME = re.compile(r"checkpoint-(\d+)-([0-9a-f]{16})\.pt")


class CheckpointError(Exception):
    """A checkpoint is from another training; the message says what differs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """All that changes from epoch to epoch.

    There are no random number generators in it: every epoch seeds them anew from its number.
    """

    epoch: int = 0
    model: Mapping[str, torch.Tensor] = dataclasses.field(default_factory=dict)
    average: Mapping[str, torch.Tensor] = dataclasses.field(default_factory=dict)
    optimizer: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    best_epoch: int = 0
    best_loss: float = math.inf
    best_model: Mapping[str, torch.Tensor] = dataclasses.field(default_factory=dict)
    history: tuple[Mapping[str, float], ...] = ()


class CheckpointStore:
    """The checkpoints of one training in a folder.

    ``configuration`` is what a checkpoint must have been written with to be gone on from: texts and
    numbers by name, and the class names.
    """

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        self.folder = folder
        free = free_to_change(configuration)
        self.configuration = {name: value for name, value in configuration.items() if name not in free}

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and remove those that are no longer needed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / ".checkpoint.partial"
        fields = {field.name: getattr(checkpoint, field.name) for field in dataclasses.fields(Checkpoint)}
        with partial.open("wb") as stream:
            torch.save({"configuration": self.configuration, **fields}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self.folder / f"checkpoint-{checkpoint.epoch:05}-{_digest(partial)}.pt")
        for path in self._files()[_KEPT:]:
            path.unlink()

    def load(self) -> Checkpoint | None:
        """Return the newest checkpoint, or None where there is none; damaged ones are set aside.

        Raises:
            CheckpointError: The checkpoint was written with another configuration.
        """
        for path in self._files():
            content = self._read(path)
            if content is None:
                path.replace(path.with_name(path.name + ".damaged"))
                log.line(f"Checkpoint {path} is damaged: set aside as {path.name}.damaged")
                continue
            self._check_configuration(path, content.pop("configuration"))
            return Checkpoint(**content)
        return None

    def _files(self) -> list[Path]:
        """Return the checkpoint files, newest first."""
        if not self.folder.is_dir():
            return []
        found = [
            (int(match.group(1)), path)
            for path in self.folder.iterdir()
            if (match := _NAME.fullmatch(path.name))
        ]
        return [path for _, path in sorted(found, reverse=True)]

    def _read(self, path: Path) -> dict[str, Any] | None:
        match = _NAME.fullmatch(path.name)
        if match is None or _digest(path) != match.group(2):
            return None
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # a file that only claims its digest raises whatever its bytes lead to
            return None
        names = {"configuration", *(field.name for field in dataclasses.fields(Checkpoint))}
        return content if isinstance(content, dict) and set(content) == names else None

    def _check_configuration(self, path: Path, theirs: Mapping[str, Any]) -> None:
        ours = self.configuration
        different = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
        if different:
            changes = ", ".join(
                name
                if isinstance(ours.get(name), list)
                else f"{name} (was {theirs.get(name)}, is {ours.get(name)})"
                for name in different
            )
            raise CheckpointError(
                f"{path} was written by a training with another configuration: {changes}. Use the same "
                "configuration to go on from it, or another (or an empty) checkpoint location to begin anew"
            )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
