"""Tar shards: a split of many small images as few large objects."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from sagemaker_dogbreed.data.file_stamp import FileStamp
from sagemaker_dogbreed.data.image_file import ImageFile
from sagemaker_dogbreed.data.versions.sync_plan import SourceFile
from sagemaker_dogbreed.errors import DatasetError


def pack(images: Iterable[ImageFile], folder: Path, shard_bytes: int) -> list[SourceFile]:
    """Write the images of each split to tar files ``<split>/shard-00000.tar``, and return these.

    The same images give the same bytes. Which shard an image is in depends on its key and the number
    of shards only, a power of two: adding or changing an image changes one shard, until the number
    doubles. Shards have ``shard_bytes`` at most on average, and half of that at least.

    Raises:
        DatasetError: An image changed since it was examined, or the disk is full.
    """
    by_split: dict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        by_split[image.split].append(image)
    shards = []
    try:
        for split, members in sorted(by_split.items()):
            (folder / split).mkdir(parents=True, exist_ok=True)
            for number, part in sorted(_divided(members, shard_bytes).items()):
                key = f"{split}/shard-{number:05}.tar"
                shards.append(_write(key, folder / key, part))
    except OSError as error:
        raise DatasetError(f"shards cannot be written to {folder}: {error.strerror or error}") from error
    return shards


def _divided(images: Sequence[ImageFile], shard_bytes: int) -> dict[int, list[ImageFile]]:
    total, count = sum(image.size for image in images), 1
    while total > count * shard_bytes and count < len(images):
        count *= 2
    parts: dict[int, list[ImageFile]] = defaultdict(list)
    for image in sorted(images, key=lambda image: image.key):
        parts[int.from_bytes(hashlib.sha256(image.key.encode()).digest()[:8], "big") % count].append(image)
    return parts


def _write(key: str, path: Path, images: Iterable[ImageFile]) -> SourceFile:
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            target = _Hashed(file)
            with tarfile.open(
                fileobj=target,  # type: ignore[call-overload]  # only write() is used of it
                mode="w|",
                format=tarfile.PAX_FORMAT,
            ) as tar:
                for image in images:
                    with image.path.open("rb") as content:
                        member = tarfile.TarInfo(image.key.partition("/")[2])
                        member.size = os.fstat(content.fileno()).st_size
                        source = _Hashed(content)
                        tar.addfile(member, source)
                        if source.digest.hexdigest() != image.sha256 or content.read(1):
                            raise DatasetError(f"{image.path} changed since it was examined; repeat the call")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return SourceFile(key, path, path.stat().st_size, target.digest.hexdigest(), FileStamp.of(path))


class _Hashed:
    """A file whose bytes are hashed as they pass."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self._file.write(content)
