"""The staged source tree and its archive."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import sagemaker_dogbreed
from sagemaker_dogbreed import packaging
from sagemaker_dogbreed.data.archive import extract

PACKAGE = Path(sagemaker_dogbreed.__file__).parent


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_staged_tree(tmp_path):
    """It holds two scripts, an empty requirements file and an exact copy of what containers need."""
    tree = packaging.stage(tmp_path / "source")
    assert tree == tmp_path / "source"
    staged = content_of(tree)
    modules = (PACKAGE / "container").rglob("*.py")
    container = {path.relative_to(PACKAGE.parent).as_posix() for path in modules}
    scripts = {"train.py", "inference.py", "requirements.txt"}
    assert set(staged) == scripts | {"sagemaker_dogbreed/__init__.py"} | container
    for name in container | {"sagemaker_dogbreed/__init__.py"}:
        assert staged[name] == (PACKAGE.parent / name).read_bytes()
    requirements = staged["requirements.txt"].decode().splitlines()
    assert [line for line in requirements if not line.startswith("#")] == []


def test_staging_again_gives_the_same(tmp_path):
    """Staging over a staged tree is harmless."""
    before = content_of(packaging.stage(tmp_path))
    assert content_of(packaging.stage(tmp_path)) == before


def test_the_archive_is_the_tree_and_deterministic(tmp_path):
    """Two archives have the same bytes, with no trace of who made them or when; inside is the tree."""
    one = packaging.source_archive(tmp_path / "one")
    two = packaging.source_archive(tmp_path / "two")
    assert one == tmp_path / "one" / "sourcedir.tar.gz"
    assert one.read_bytes() == two.read_bytes()
    assert packaging.fingerprint() == hashlib.sha256(one.read_bytes()).hexdigest()
    assert one.read_bytes()[4:8] == bytes(4)  # the time in gzip's header
    with tarfile.open(one) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in members} == {
        (0, 0, 0, "", 0o644)
    }
    unpacked = extract(one, tmp_path / "unpacked", max_files=100, max_total_bytes=10**7, progress=False)
    assert content_of(unpacked) == content_of(packaging.stage(tmp_path / "tree"))
    assert [path.name for path in one.parent.iterdir()] == ["sourcedir.tar.gz"]


def test_packaging_needs_no_torch():
    """A machine that only sends jobs need not have torch."""
    program = (
        "import sys; from sagemaker_dogbreed import packaging; packaging.fingerprint(); print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"torch", "numpy", "PIL", "boto3"} & set(run.stdout.split()) == set()
