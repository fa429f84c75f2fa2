"""Channels that come as tar shards."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.container.shards import ShardError, unpacked


def write_shard(path: Path, members: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in extra:
            tar.addfile(member)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_channel_without_shards_is_left_as_it_is(tmp_path: Path) -> None:
    """Class folders are read where they are."""
    (tmp_path / "train" / "pug").mkdir(parents=True)
    assert unpacked(tmp_path / "train") == tmp_path / "train"
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_shards_become_class_folders(tmp_path: Path) -> None:
    """All shards end in one tree, and a second look finds it as it is."""
    write_shard(tmp_path / "train" / "shard-00000.tar", {"été/1.jpg": b"one", "pug/1.jpg": b"two"})
    write_shard(tmp_path / "train" / "shard-00001.tar", {"pug/2.jpg": b"three"})
    folder = unpacked(tmp_path / "train")
    assert contents(folder) == {"été/1.jpg": b"one", "pug/1.jpg": b"two", "pug/2.jpg": b"three"}
    (folder / "pug" / "2.jpg").unlink()
    assert unpacked(tmp_path / "train") == folder
    assert not (folder / "pug" / "2.jpg").exists()


def test_processes_of_one_machine_share_the_tree(tmp_path: Path) -> None:
    """Whoever comes while another one unpacks gets the complete tree too."""
    members = {f"pug/{number}.jpg": b"x" for number in range(300)}
    write_shard(tmp_path / "train" / "shard-00000.tar", members)
    found: list[tuple[Path, int]] = []

    def look() -> None:
        folder = unpacked(tmp_path / "train")
        found.append((folder, len(contents(folder))))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(found[0][0], 300)] * 4


def test_what_a_killed_process_left_is_made_anew(tmp_path: Path) -> None:
    """Half a tree counts for nothing."""
    write_shard(tmp_path / "train" / "shard-00000.tar", {"pug/1.jpg": b"one"})
    folder = unpacked(tmp_path / "train")
    shutil.rmtree(folder)
    partial = folder.with_name(f"{folder.name}.part")
    partial.mkdir()
    (partial / "pug").write_bytes(b"half")
    assert contents(unpacked(tmp_path / "train")) == {"pug/1.jpg": b"one"}
    assert not partial.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../x.jpg",
        "/pug/x.jpg",
        "pug/../x.jpg",
        "pug/a/b.jpg",
        "x.jpg",
        "pug/",
        "./x.jpg",
        "pug/..",
        "pug/a\\b",
        "p\n/x",
    ],
)
def test_names_that_are_no_image_in_a_class_folder_are_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written outside of the folder, and nothing of the channel is left half unpacked."""
    shard = write_shard(tmp_path / "data" / "train" / "shard-00000.tar", {"pug/1.jpg": b"x", name: b"x"})
    with pytest.raises(ShardError) as caught:
        unpacked(tmp_path / "data" / "train")
    assert str(shard) in str(caught.value)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == [shard]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    """Only ordinary files come out of a shard."""
    member = tarfile.TarInfo("pug/link.jpg")
    member.type, member.linkname = kind, "../../../etc/passwd"
    write_shard(tmp_path / "train" / "shard-00000.tar", {"pug/1.jpg": b"x"}, member)
    with pytest.raises(ShardError, match="no ordinary file"):
        unpacked(tmp_path / "train")


def test_an_image_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """No shard overwrites what another one brought."""
    for number in range(2):
        write_shard(tmp_path / "train" / f"shard-0000{number}.tar", {"pug/1.jpg": b"x"})
    with pytest.raises(ShardError, match=r"shard-00001\.tar holds an image that is there twice"):
        unpacked(tmp_path / "train")


@given(content=st.binary(max_size=1200), cut=st.integers(0, 2048))
def test_damage_is_told_as_such(tmp_path_factory: pytest.TempPathFactory, content: bytes, cut: int) -> None:
    """Whatever the bytes, the outcome is a tree or a ShardError, and never a file elsewhere."""
    base = tmp_path_factory.mktemp("shards")
    shard = write_shard(base / "train" / "shard-00000.tar", {"pug/1.jpg": content})
    whole = shard.read_bytes()
    shard.write_bytes(content + whole[cut:])
    try:
        folder = unpacked(base / "train")
    except ShardError as error:
        assert str(shard) in str(error)  # noqa: PT017
    else:
        assert folder.parent == base
    assert all(path.is_relative_to(base) for path in base.rglob("*"))


def test_where_the_channel_cannot_be_written_beside_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel that is streamed is unpacked to the folder for temporary files."""
    import tempfile

    write_shard(tmp_path / "data" / "train" / "shard-00000.tar", {"pug/1.jpg": b"one"})
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    folder = unpacked(tmp_path / "data" / "train")
    assert folder.is_relative_to(tmp_path / "scratch")
    assert contents(folder) == {"pug/1.jpg": b"one"}
