"""Archives of the local SageMaker: the same from the same."""

from __future__ import annotations

import os
from pathlib import Path

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
