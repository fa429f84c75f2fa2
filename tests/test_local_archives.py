"""Archives of the local SageMaker: the same from the same, and nothing outside the folder."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_local_support import archive

from sagemaker_dogbreed.local import archives


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_equal_files_make_equal_archives(tmp_path: Path) -> None:
    """Neither times nor the order of writing show; what was packed comes back."""
    for name, order in (("one", ("b", "a")), ("two", ("a", "b"))):
        for file in order:
            path = tmp_path / name / "code" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.encode() * 1000)
            os.utime(path, (len(name) + ord(file), 5))
        archives.pack(tmp_path / name, tmp_path / f"{name}.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    archives.unpack(tmp_path / "one.tar.gz", tmp_path / "back")
    assert _tree(tmp_path / "back") == {"code/a": b"a" * 1000, "code/b": b"b" * 1000}


def test_links_are_packed_as_what_they_lead_to(tmp_path: Path) -> None:
    """An archive stands alone."""
    (tmp_path / "model").mkdir()
    (tmp_path / "weights").write_text("w")
    (tmp_path / "model" / "link").symlink_to(tmp_path / "weights")
    archives.pack(tmp_path / "model", tmp_path / "a.tar.gz")
    archives.unpack(tmp_path / "a.tar.gz", tmp_path / "back")
    assert not (tmp_path / "back" / "link").is_symlink()
    assert _tree(tmp_path / "back") == {"link": b"w"}


def _with_link(kind: bytes, target: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = kind, target
        tar.addfile(link)
        inside = tarfile.TarInfo("link/escaped")
        tar.addfile(inside, io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        archive({"../escaped": "x"}),
        archive({"a/../../escaped": "x"}),
        _with_link(tarfile.SYMTYPE, ".."),
        _with_link(tarfile.SYMTYPE, "/tmp"),
        _with_link(tarfile.LNKTYPE, "../outside"),
        _with_link(tarfile.FIFOTYPE, ""),
    ],
    ids=["parent", "hidden-parent", "symlink", "absolute-symlink", "hardlink", "fifo"],
)
def test_an_archive_that_leads_outside_is_refused(tmp_path: Path, data: bytes) -> None:
    """It is refused whole: not one file of it is left, inside or outside."""
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "a.tar.gz").write_bytes(data)
    with pytest.raises(ValueError, match="not safe to unpack"):
        archives.unpack(tmp_path / "a.tar.gz", tmp_path / "folder")
    assert _tree(tmp_path).keys() == {"outside", "a.tar.gz"}
    assert not (tmp_path / "folder").exists()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.floats(0, 1))
def test_a_damaged_archive_is_refused_or_read(
    tmp_path: Path, position: float, value: int, cut: float
) -> None:
    """Whatever the damage, the answer is files or a ValueError, and nothing half unpacked."""
    data = bytearray(archive({"train.py": "print(1)" * 50, "deep/er.txt": "text"}))
    data[int(position * len(data))] = value
    (tmp_path / "a.tar.gz").write_bytes(data[: int(cut * len(data)) + 1])
    folder = tmp_path / "folder"
    try:
        archives.unpack(tmp_path / "a.tar.gz", folder)
    except ValueError:
        assert not folder.exists()
    else:
        shutil.rmtree(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]
