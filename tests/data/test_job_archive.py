"""Model artifacts, unpacked on this machine."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from sagemaker_dogbreed.data.job_archive import unpack
from sagemaker_dogbreed.errors import ArchiveError


def write(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"data"))
    return path


def test_a_model_is_unpacked(tmp_path: Path) -> None:
    """All files are in the folder, whose parents are made."""
    archive = write(tmp_path / "model.tar.gz", "model.json", "code/inference.py")
    folder = unpack(archive, tmp_path / "models" / "one")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "code/inference.py",
        "model.json",
    ]


def test_a_hostile_model_leaves_nothing(tmp_path: Path) -> None:
    """A name that leads out of the folder spoils the whole archive."""
    archive = write(tmp_path / "model.tar.gz", "model.json", "../../evil")
    with pytest.raises(ArchiveError, match="leads out of the folder"):
        unpack(archive, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tar.gz"]


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    """Files of the user's are never mixed with, or taken for, the model's."""
    archive = write(tmp_path / "model.tar.gz", "model.json")
    (tmp_path / "out").mkdir()
    with pytest.raises(ArchiveError, match="exists already"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
