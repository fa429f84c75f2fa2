"""Splits of small images packed in tar files, and unpacked again as a job does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sagemaker_dogbreed.container.shards import unpacked
from sagemaker_dogbreed.data.file_stamp import FileStamp
from sagemaker_dogbreed.data.image_file import ImageFile
from sagemaker_dogbreed.data.versions.shards import pack
from sagemaker_dogbreed.data.versions.sync_plan import SourceFile
from sagemaker_dogbreed.errors import DatasetError


def image(folder: Path, key: str, content: bytes) -> ImageFile:
    import hashlib

    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    split, class_name, _ = key.split("/")
    return ImageFile(
        path=path, split=split, class_name=class_name, key=key, size=len(content),
        sha256=hashlib.sha256(content).hexdigest(), width=1, height=1, stamp=FileStamp.of(path),
    )  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> list[ImageFile]:
    """Sixty training images of 10 KB, and two others."""
    keys = [f"train/{name}/{number}.jpg" for name in ("été", "pug", "x" * 120) for number in range(20)]
    keys += ["valid/pug/1.jpg", "test/pug/1.jpg"]
    return [image(tmp_path / "images", key, os.urandom(10_000)) for key in keys]


def digests(shards: list[SourceFile]) -> dict[str, str]:
    return {shard.key: shard.sha256 for shard in shards}


def test_a_job_finds_what_was_packed(images: list[ImageFile], tmp_path: Path) -> None:
    """Every image comes out of the shards as it went in, in its class folder."""
    shards = pack(images, tmp_path / "out", 100_000)
    assert {shard.key.partition("/")[0] for shard in shards} == {"train", "valid", "test"}
    assert sum(shard.key.startswith("train/") for shard in shards) == 8
    for shard in shards:
        assert shard.path == tmp_path / "out" / shard.key
        assert shard.size == shard.path.stat().st_size
    for split in ("train", "valid", "test"):
        folder = unpacked(tmp_path / "out" / split)
        found = {f"{split}/{path.relative_to(folder)}": path for path in folder.rglob("*") if path.is_file()}
        expected = {item.key: item.path for item in images if item.split == split}
        assert {key: path.read_bytes() for key, path in found.items()} == {
            key: path.read_bytes() for key, path in expected.items()
        }


def test_the_same_images_give_the_same_bytes(images: list[ImageFile], tmp_path: Path) -> None:
    """Neither the order of the images nor their times, nor the folder, make a difference."""
    first = pack(images, tmp_path / "one", 100_000)
    for item in images:
        os.utime(item.path, (1, 1))
    assert digests(pack(images[::-1], tmp_path / "two", 100_000)) == digests(first)


def test_another_image_changes_one_shard(images: list[ImageFile], tmp_path: Path) -> None:
    """Shards without the new image stay as they are, so they are not sent again."""
    before = digests(pack(images, tmp_path / "one", 100_000))
    more = [*images, image(tmp_path / "images", "train/pug/another.jpg", b"x")]
    after = digests(pack(more, tmp_path / "two", 100_000))
    assert sum(before[key] != digest for key, digest in after.items()) == 1


def test_an_image_that_changed_is_not_packed(images: list[ImageFile], tmp_path: Path) -> None:
    """The image is named, and no shard with other bytes than were examined is left."""
    images[0].path.write_bytes(os.urandom(10_000))
    with pytest.raises(DatasetError, match=r"été/0\.jpg changed since it was examined"):
        pack(images[:1], tmp_path / "out", 100_000)
    images[1].path.write_bytes(b"longer" * 10_000)
    with pytest.raises(DatasetError, match=r"été/1\.jpg changed"):
        pack(images[1:2], tmp_path / "out", 100_000)
    images[2].path.write_bytes(b"shorter")
    with pytest.raises(DatasetError, match=r"été/2\.jpg changed"):
        pack(images[2:3], tmp_path / "out", 100_000)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_written_is_named(images: list[ImageFile], tmp_path: Path) -> None:
    """The message says where shards were to be written."""
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DatasetError, match=r"shards cannot be written to .*out"):
        pack(images[:1], tmp_path / "out", 100_000)
