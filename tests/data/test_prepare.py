from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_type_hints

import pytest
from PIL import Image

from sagemaker_dogbreed.data.keys import complaint
from sagemaker_dogbreed.data.prepare import prepare
from sagemaker_dogbreed.errors import ArchiveError, DatasetError
from sagemaker_dogbreed.specs.dataset import DatasetSpec, SplitSpec

CLASSES = ("Ibizan hound", "été", "pug")


class SilentFiles(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Three class folders of 20 images, all different."""
    root = tmp_path / "flat"
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (4, 4), (label * 50, number * 10, 0)).save(root / name / f"image {number}.png")
    return root


def prepared(source: Path, **options: object):
    spec = DatasetSpec(source=str(source), **options)  # type: ignore[arg-type]  # of many types
    return prepare(spec, source.parent / "cache", progress=False)


def test_a_flat_folder_is_divided(flat: Path) -> None:
    """Every image is in one split, with its key, size and digest; classes and files are sorted."""
    result = prepared(flat)
    assert (result.name, result.classes) == ("flat", tuple(sorted(CLASSES)))
    assert len(result.files) == 60
    assert [file.key for file in result.files] == sorted(file.key for file in result.files)
    for file in result.files:
        content = file.path.read_bytes()
        assert file.key == f"{file.split}/{file.class_name}/{file.path.name}"
        assert file.path == flat / file.class_name / file.path.name
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert {name: tuple(counts.values()) for name, counts in result.report.counts.items()} == dict.fromkeys(
        sorted(CLASSES), (14, 3, 3)
    )
    assert not (flat.parent / "cache" / "unpacked").exists()


def test_folder_zip_and_tar_give_one_version(flat: Path) -> None:
    """The fingerprint is that of names and contents, wherever they come from and in what order."""
    expected = prepared(flat).fingerprint
    shutil.make_archive(str(flat.parent / "z"), "zip", flat)
    shutil.make_archive(str(flat.parent / "t"), "gztar", flat.parent, "flat")
    with tarfile.open(flat.parent / "reversed.tar", "w") as file:
        for path in sorted(flat.rglob("*.png"), reverse=True):
            file.add(path, f"a/b/{path.relative_to(flat)}")
    for name in ("z.zip", "t.tar.gz", "reversed.tar", "z.zip"):
        result = prepared(flat.parent / name)
        assert result.fingerprint == expected
        assert all(file.path.is_file() for file in result.files)


def test_another_content_name_or_seed_is_another_version(flat: Path) -> None:
    """Whatever changes what is trained on changes the fingerprint."""
    versions = [prepared(flat).fingerprint, prepared(flat, split=SplitSpec(seed=1)).fingerprint]
    (flat / "pug" / "image 0.png").rename(flat / "pug" / "renamed.png")
    versions.append(prepared(flat).fingerprint)
    Image.new("RGB", (4, 4), (1, 2, 3)).save(flat / "pug" / "renamed.png")
    versions.append(prepared(flat).fingerprint)
    assert len(set(versions)) == 4
    assert [len(version) for version in versions] == [64] * 4


def test_an_existing_division_is_kept(flat: Path) -> None:
    """Images in split folders stay in their splits; what is missing is carved from train alone."""
    for split, numbers in (("train", range(15)), ("test", range(15, 20))):
        for name in CLASSES:
            (flat.parent / "tree" / split / name).mkdir(parents=True)
            for number in numbers:
                file = flat / name / f"image {number}.png"
                file.rename(flat.parent / "tree" / split / name / file.name)
    result = prepared(flat.parent / "tree")
    splits = {file.key: file.split for file in result.files}
    assert {name: tuple(counts.values()) for name, counts in result.report.counts.items()} == dict.fromkeys(
        sorted(CLASSES), (13, 2, 5)
    )
    assert all(
        file.path.parts[-3] == ("test" if splits[file.key] == "test" else "train") for file in result.files
    )


def test_unusable_files_take_no_place_in_the_division(flat: Path) -> None:
    """Of three good images each split has one, however many files are left out."""
    for name in CLASSES:
        for number in range(3, 20):
            (flat / name / f"image {number}.png").write_bytes(b"damaged")
    result = prepared(flat, checks={"unreadable_image": "warning"})
    assert {name: tuple(counts.values()) for name, counts in result.report.counts.items()} == dict.fromkeys(
        sorted(CLASSES), (1, 1, 1)
    )


def test_the_folder_of_the_user_is_not_touched(flat: Path) -> None:
    """Preparing reads the folder and nothing else."""
    before = {path: path.stat().st_mtime_ns for path in (flat, *flat.rglob("*"))}
    prepared(flat)
    assert {path: path.stat().st_mtime_ns for path in (flat, *flat.rglob("*"))} == before


def test_limits_of_the_spec_hold_for_archives(flat: Path) -> None:
    """The spec's limits on files and bytes reach the unpacking."""
    archive = flat.parent / "z.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in flat.rglob("*.png"):
            file.write(path, str(path.relative_to(flat)))
    with pytest.raises(ArchiveError, match="max_files"):
        prepared(archive, max_files=59)
    with pytest.raises(ArchiveError, match="max_total_gb"):
        prepared(archive, max_total_gb=0.000001)
    assert len(prepared(archive, max_files=60).files) == 60


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["notes.txt"], "its top level holds no folders"),
        (["dogs/plain.zip", "dogs/a.csv"], "its top level holds dogs/plain.zip: unpack it first"),
        (["dogs/train/a/1.jpg", "dogs/train/b/1.jpg", "dogs/val/1.jpg"], "dogs/val holds images, but no"),
    ],
)
def test_layouts_in_archives_are_told_by_the_archive(tmp_path: Path, files: list[str], told: str) -> None:
    """The error names archive and path inside it, and what was unpacked in vain does not stay."""
    with zipfile.ZipFile(tmp_path / "dogs.zip", "w") as file:
        for name in files:
            file.writestr(name, b"x")
    archive = tmp_path / "dogs.zip"
    for _attempt in range(2):
        with pytest.raises(DatasetError) as caught:
            prepared(archive)
        assert str(caught.value).startswith(f"archive {str(archive)!r} cannot be used: {told}")
        assert "unpacked" not in str(caught.value)
    assert [path.suffix for path in (tmp_path / "cache" / "unpacked").iterdir()] == [".lock"]


def test_layouts_in_downloads_are_told_by_the_url(tmp_path: Path) -> None:
    """The error names the URL without its secrets."""
    with zipfile.ZipFile(tmp_path / "dogs.zip", "w") as file:
        file.writestr("notes.txt", b"x")
    handler = functools.partial(SilentFiles, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            host = f"127.0.0.1:{server.server_address[1]}"
            spec = DatasetSpec(source=f"http://me:hunter2@{host}/dogs.zip?hunter2")
            with pytest.raises(DatasetError) as caught:
                prepare(spec, tmp_path / "cache", progress=False)
        finally:
            server.shutdown()
            thread.join()
    assert str(caught.value).startswith(f"archive 'http://{host}/dogs.zip' cannot be used: its top level")
    assert "hunter2" not in str(caught.value)


def test_the_cache_may_be_given_as_text(flat: Path) -> None:
    """A path as text is as good as a Path, and the annotation says so."""
    shutil.make_archive(str(flat.parent / "z"), "zip", flat)
    spec = DatasetSpec(source=str(flat.parent / "z.zip"))
    assert len(prepare(spec, str(flat.parent / "cache"), progress=False).files) == 60
    assert get_type_hints(prepare)["cache_dir"] == str | os.PathLike[str]


def test_a_missing_source_is_an_error(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(DatasetError, match="nowhere"):
        prepared(tmp_path / "nowhere")


def test_progress_bars_are_drawn_on_request(flat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With progress on, unpacking and inspection show how far they are."""
    shutil.make_archive(str(flat.parent / "z"), "zip", flat)
    prepare(DatasetSpec(source=str(flat.parent / "z.zip")), flat.parent / "cache")
    drawn = capsys.readouterr().err
    assert "unpack z.zip: 100%" in drawn
    assert "inspect: 100%" in drawn
    prepared(flat)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("train/Ibizan hound/été 1.jpg", None),
        ("train/" + "a" * 255 + "/1.jpg", None),
        ("train/" + "a" * 256 + "/1.jpg", "too long"),
        ("train/" + "é" * 128 + "/1.jpg", "too long"),
        ("train/" + "/".join(["a" * 200] * 5), "too long"),
        ("train/a\x7f/1.jpg", "control characters"),
    ],
)
def test_keys_are_safe(key: str, why: str | None) -> None:
    """Spaces and any language's letters are fine; control characters and overlong names are not."""
    reason = complaint(key)
    assert (reason is None) == (why is None)
    assert why is None or why in str(reason)


def test_preparing_loads_no_torch() -> None:
    """Data sets can be prepared where torch is not installed."""
    code = "import sys, sagemaker_dogbreed.data.prepare; print({'torch', 'boto3'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
