"""What is known of files from the last time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sagemaker_dogbreed.data.examination import Look, look_at
from sagemaker_dogbreed.data.examination_index import ExaminationIndex
from sagemaker_dogbreed.data.file_stamp import FileStamp
from sagemaker_dogbreed.data.prepare import PreparedDataset, prepare
from sagemaker_dogbreed.specs.dataset import DatasetSpec

_opened: list[str] = []
_watching = [False]


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _watching[0] and event == "open":
        _opened.append(str(arguments[0]))


sys.addaudithook(_watch)  # it cannot be removed, so it is switched


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The paths of the files that are opened from now on."""
    _opened.clear()
    _watching[0] = True
    yield _opened
    _watching[0] = False


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of five images each, made long ago."""
    folder = tmp_path / "dogs"
    for label, name in enumerate(("beagle", "pug")):
        (folder / name).mkdir(parents=True)
        for number in range(5):
            path = folder / name / f"{number}.png"
            Image.new("RGB", (4, 4), (label * 50, number * 10, 0)).save(path)
            os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


def prepared(root: Path, **options: object) -> PreparedDataset:
    spec = DatasetSpec(source=str(root), **options)  # type: ignore[arg-type]  # of many types
    return prepare(spec, root.parent / "cache", progress=False)


def images(paths: list[str], root: Path) -> list[str]:
    return sorted({path for path in paths if path.startswith(str(root)) and path.endswith(".png")})


def test_an_unchanged_file_is_not_read_again(root: Path, opened: list[str]) -> None:
    """A second look at the folder opens none of its images, and comes to the same result."""
    first = prepared(root)
    assert len(images(opened, root)) == 10
    opened.clear()
    assert prepared(root) == first
    assert images(opened, root) == []


def test_only_what_changed_is_read_again(root: Path, opened: list[str]) -> None:
    """Another time of change, another size or another file of the same name and time is looked at anew."""
    prepared(root)
    touched, longer, replaced = (root / "pug" / f"{number}.png" for number in range(3))
    os.utime(touched, (1_700_000_001, 1_700_000_001))
    longer.write_bytes(longer.read_bytes() + b"x")
    os.utime(longer, (1_700_000_000, 1_700_000_000))
    (root.parent / "new").write_bytes(replaced.read_bytes())
    os.utime(root.parent / "new", (1_700_000_000, 1_700_000_000))
    (root.parent / "new").replace(replaced)
    opened.clear()
    prepared(root)
    assert images(opened, root) == sorted(map(str, (touched, longer, replaced)))


def test_a_change_within_the_clock_tick_is_not_missed(root: Path) -> None:
    """A file that was written a moment before it was read is read again the next time."""
    path = root / "pug" / "0.png"
    now = time.time_ns()
    os.utime(path, ns=(now, now))
    first = prepared(root)
    Image.new("RGB", (4, 4), (50, 1, 0)).save(path)
    os.utime(path, ns=(now, now))
    second = prepared(root)
    assert [image.stamp for image in first.files if image.path == path] == [None]
    assert first.fingerprint != second.fingerprint


def test_another_limit_is_another_examination(root: Path, opened: list[str]) -> None:
    """What was found under one limit of pixels does not count under another."""
    prepared(root)
    opened.clear()
    prepared(root, max_image_megapixels=50.0)
    assert len(images(opened, root)) == 10


def test_findings_are_remembered_too(root: Path, opened: list[str]) -> None:
    """A file that is no usable image is told again without reading it again."""
    path = root / "pug" / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    checks = {"unreadable_image": "warning", "truncated_image": "warning"}
    first = prepared(root, checks=checks)
    opened.clear()
    assert prepared(root, checks=checks).report == first.report
    assert "truncated_image" in {finding.kind for finding in first.report.findings}
    assert images(opened, root) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"header": 1}', b"[" * 100_000, b"\xff\xfe"]
)
def test_a_damaged_index_counts_as_empty(root: Path, content: bytes) -> None:
    """A cache that was damaged costs time, nothing else."""
    first = prepared(root)
    (index,) = (root.parent / "cache" / "examinations").iterdir()
    index.write_bytes(content)
    assert prepared(root) == first
    assert json.loads(index.read_bytes())["entries"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    entry=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=10)
    )
)
def test_a_strange_entry_is_no_entry(root: Path, entry: object) -> None:
    """An entry of another shape is passed over."""
    cache = root.parent / "cache"
    index = ExaminationIndex(cache, root, max_pixels=100)
    path = root / "pug" / "0.png"
    index.add(path, look_at(path, 100))
    index.save()
    (file,) = (cache / "examinations").iterdir()
    whole = json.loads(file.read_bytes())
    whole["entries"]["pug/0.png"] = entry
    file.write_text(json.dumps(whole))
    found = ExaminationIndex(cache, root, max_pixels=100).find(path)
    assert found is None or isinstance(found, Look)
    assert found is None or entry[-3:] == list(FileStamp.of(path))  # type: ignore[index]  # a list, then


def test_a_cache_that_cannot_be_written_is_no_need(root: Path) -> None:
    """The result is the same without an index."""
    (root.parent / "cache").write_text("a file")
    assert prepared(root) == prepared(root)
