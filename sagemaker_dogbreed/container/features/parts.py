"""Features on disk: an array of rows in parts, each part a file that is written whole or not at all.

A part's name holds its number and the beginning of its content's SHA-256. Several processes may fill the
same array at a time: who works on a part holds its lock, which ends with the process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

PART_ROWS = 1024
"""Rows of a part; the last part of an array has what is left."""

_NAME = re.compile(r"part-\d{5}-([0-9a-f]{16})\.npy")
_TOGETHER = 256 << 20  # bytes


class FeatureError(Exception):
    """Features cannot be kept or read; the message names the way out."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """Feature vectors (rows, width) as half-precision numbers, in memory or mapped into it part by part."""

    parts: Sequence[torch.Tensor]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return int(self.parts[0].shape[1])

    def take(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return the rows of such numbers (batch,) as float32 (batch, width)."""
        if len(self.parts) == 1:
            return self.parts[0][numbers].float()
        found = torch.empty(len(numbers), self.width)
        part_numbers = numbers // PART_ROWS
        for part in set(part_numbers.tolist()):
            places = (part_numbers == part).nonzero().squeeze(1)
            found[places] = self.parts[part][numbers[places] - part * PART_ROWS].float()
        return found


class PartFolder:
    """One array's folder, with parts that are there already or to be written."""

    def __init__(self, folder: Path, rows: int, width: int, earlier: Path | None = None) -> None:
        """Name the folder.

        Args:
            folder: Where parts are written.
            rows: How many rows the array has.
            width: How many numbers a row has.
            earlier: A folder of the same layout that may have parts; it is only read.
        """
        self.folder, self.rows, self.width = folder, rows, width
        self._folders = [folder] if earlier is None else [folder, earlier]
        self._sound: dict[int, Path] = {}

    @property
    def count(self) -> int:
        """The number of parts."""
        return -(-self.rows // PART_ROWS)

    def span(self, part: int) -> range:
        """Return the numbers of a part's rows."""
        return range(part * PART_ROWS, min(self.rows, (part + 1) * PART_ROWS))

    def missing(self) -> list[int]:
        """Return the parts that are not there, or are damaged."""
        return [part for part in range(self.count) if self._find(part) is None]

    @contextlib.contextmanager
    def claim(self, part: int, *, wait: bool) -> Iterator[bool]:
        """Hold a part's lock for the block, and tell it whether the part is the block's to write.

        It is not where the part is there by now, or, without ``wait``, where another process is at it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".part-{part:05}.lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield self._find(part) is None

    def write(self, part: int, rows: torch.Tensor) -> None:
        """Write a part whose lock is held: rows (``len(span(part))``, width).

        Raises:
            FeatureError: A value is no finite half-precision number.
        """
        array = rows.to(torch.float16).numpy()
        if not np.isfinite(array).all():
            raise FeatureError(
                "the backbone yields features that are no finite half-precision numbers; its weights may be "
                "damaged. To train without keeping features: feature_cache: off"
            )
        content = io.BytesIO()
        np.save(content, array)
        partial = self.folder / f".part-{part:05}.partial"
        with partial.open("wb") as stream:
            stream.write(content.getbuffer())
            stream.flush()
            os.fsync(stream.fileno())
        digest = hashlib.sha256(content.getbuffer()).hexdigest()[:16]
        partial.replace(self.folder / f"part-{part:05}-{digest}.npy")

    def read(self, together: int = _TOGETHER) -> Rows:
        """Return all rows; every part must be there.

        An array of at most ``together`` bytes is read into memory, a larger one mapped part by part.

        Raises:
            FeatureError: A part is gone.
        """
        parts = [self._mapped(part) for part in range(self.count)]
        if sum(part.nbytes for part in parts) <= together:
            parts = [torch.cat(parts)]
        return Rows(parts)

    def _mapped(self, part: int) -> torch.Tensor:
        path = self._find(part)
        if path is None:
            raise FeatureError(f"part {part} of the features in {self.folder} is gone; repeat the training")
        # Copy on write: torch wants arrays that could be written to.
        return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))

    def _find(self, part: int) -> Path | None:
        if part not in self._sound:
            for folder in self._folders:
                for path in sorted(folder.glob(f"part-{part:05}-*.npy")) if folder.is_dir() else ():
                    if self._is_sound(path, part):
                        self._sound[part] = path
                        return path
        return self._sound.get(part)

    def _is_sound(self, path: Path, part: int) -> bool:
        match = _NAME.fullmatch(path.name)
        try:
            with path.open("rb") as stream:
                if match is None or hashlib.file_digest(stream, "sha256").hexdigest()[:16] != match.group(1):
                    return False
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            return False
        return bool(array.dtype == np.float16) and array.shape == (len(self.span(part)), self.width)
