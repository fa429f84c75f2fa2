"""S3 as a folder of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.local import LocalStore
from sagemaker_dogbreed.store.location import parse_s3_uri


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "root")


def _file(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/key", ("bucket", "key")),
        ("s3://my.bucket-1/a/b/", ("my.bucket-1", "a/b/")),
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket/Größe ä/#1?.jpg", ("bucket", "Größe ä/#1?.jpg")),
    ],
)
def test_a_uri_is_bucket_and_key(uri: str, expected: tuple[str, str]) -> None:
    """The first part is the bucket, the rest the key as it stands."""
    assert parse_s3_uri(uri) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "", "bucket/key", "https://bucket/key", "s3:/bucket/key", "s3://", "s3:///key", "s3://B/key",
        "s3://ab/key", "s3://../key", "s3://a..b/key", "s3://.incoming/key", "s3://bucket/../x",
        "s3://bucket/a/../x", "s3://bucket/a/./x", "s3://bucket//x", "s3://bucket/a//x",
        "s3://bucket/a//", "s3://bucket/a\0b", "s3://bucket/a\nb", "s3://bucket/a\x7fb",
    ],
)  # fmt: skip
def test_hostile_uris_are_refused_by_name(store: LocalStore, uri: str) -> None:
    """A URI that could name a file elsewhere, or none, is refused, and the message names it."""
    with pytest.raises(StoreError) as caught:
        store.path(uri)
    assert repr(uri) in str(caught.value)


@given(key=st.text(min_size=1, max_size=40))
def test_no_key_leads_out_of_its_bucket(key: str) -> None:
    """Whatever the key, the path is refused or beneath the bucket's folder."""
    store = LocalStore(Path("/root-of-the-store"))
    try:
        path = store.path(f"s3://bucket/{key}")
    except StoreError:
        return
    assert os.path.normpath(path) == str(path)
    assert path.is_relative_to("/root-of-the-store/s3/bucket")


def test_a_file_comes_back_as_it_was(store: LocalStore, tmp_path: Path) -> None:
    """What is stored is read back byte for byte, without a second copy on the disk."""
    source = _file(tmp_path, "photo.jpg", "bytes")
    store.put_file(source, "s3://bucket/a/photo.jpg")
    store.get_file("s3://bucket/a/photo.jpg", tmp_path / "back" / "photo.jpg")
    assert (tmp_path / "back" / "photo.jpg").read_text() == "bytes"
    assert (tmp_path / "back" / "photo.jpg").stat().st_ino == source.stat().st_ino
    assert store.list("s3://bucket/a") == [("s3://bucket/a/photo.jpg", 5)]


def test_replacing_an_object_leaves_the_old_bytes_alone(store: LocalStore, tmp_path: Path) -> None:
    """Files handed out, and the source, keep their content when the object is replaced."""
    source = _file(tmp_path, "one", "1")
    store.put_file(source, "s3://bucket/key")
    store.get_file("s3://bucket/key", tmp_path / "out")
    store.put_file(_file(tmp_path, "two", "2"), "s3://bucket/key")
    contents = [path.read_text() for path in (source, tmp_path / "out", store.path("s3://bucket/key"))]
    assert contents == ["1", "1", "2"]
    store.put_file(_file(tmp_path, "two", "2"), "s3://bucket/key")
    assert store.list("s3://bucket") == [("s3://bucket/key", 1)]
    assert list((store.root / "s3" / ".incoming").iterdir()) == []


def test_where_links_are_refused_files_are_copied(store: LocalStore, tmp_path: Path) -> None:
    """A source on another file system is stored all the same."""
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has no second file system to store from")
    source = elsewhere / f"dogbreed-{os.getpid()}"
    try:
        source.write_text("far")
        store.put_file(source, "s3://bucket/key")
    finally:
        source.unlink()
    assert store.path("s3://bucket/key").read_text() == "far"


def test_a_tree_goes_and_comes_back(store: LocalStore, tmp_path: Path) -> None:
    """Files keep their names beneath the prefix, and progress counts their bytes."""
    sizes: list[int] = []
    files = [("train/b.jpg", _file(tmp_path, "b", "bb")), ("train/a.jpg", _file(tmp_path, "a", "a"))]
    store.put_tree(files, "s3://bucket/data/", lambda _name, item: sizes.append(item.size))
    store.get_tree("s3://bucket/data/train", tmp_path / "out")
    assert sizes == [2, 1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.jpg"]
    assert store.list("s3://bucket/data") == [
        ("s3://bucket/data/train/a.jpg", 1),
        ("s3://bucket/data/train/b.jpg", 2),
    ]


def test_a_prefix_is_a_folder_or_one_object(store: LocalStore, tmp_path: Path) -> None:
    """A prefix never takes in what only begins with the same letters."""
    source = _file(tmp_path, "file", "x")
    for key in ("run/model", "run-2/model", "run.txt"):
        store.put_file(source, f"s3://bucket/{key}")
    assert [uri for uri, _ in store.list("s3://bucket/run")] == ["s3://bucket/run/model"]
    assert [uri for uri, _ in store.list("s3://bucket/run.txt")] == ["s3://bucket/run.txt"]
    store.get_tree("s3://bucket/run.txt", tmp_path / "out")
    assert (tmp_path / "out" / "run.txt").is_file()
    store.delete("s3://bucket/run")
    assert [uri for uri, _ in store.list("s3://bucket")] == ["s3://bucket/run-2/model", "s3://bucket/run.txt"]


def test_deleting_leaves_nothing_and_twice_is_once(store: LocalStore, tmp_path: Path) -> None:
    """A deleted prefix is gone with its empty folders, so its name is free again."""
    source = _file(tmp_path, "file", "x")
    store.put_file(source, "s3://bucket/a/b/c")
    store.delete("s3://bucket/a/b/c")
    store.delete("s3://bucket/a/b/c")
    assert store.list("s3://bucket") == []
    store.put_file(source, "s3://bucket/a")
    assert store.exists("s3://bucket/a")
    assert not store.exists("s3://bucket/a/b")
    assert source.read_text() == "x"


def test_what_cannot_be_stored_or_read_says_so(store: LocalStore, tmp_path: Path) -> None:
    """Every failure is a StoreError that names the object or the file."""
    source = _file(tmp_path, "file", "x")
    store.put_file(source, "s3://bucket/a/b")
    failures: dict[str, Callable[[], object]] = {
        "s3://bucket/missing": lambda: store.get_file("s3://bucket/missing", tmp_path / "out"),
        "s3://bucket/none": lambda: store.get_tree("s3://bucket/none", tmp_path / "out"),
        "gone": lambda: store.put_file(tmp_path / "gone", "s3://bucket/c"),
        str(tmp_path): lambda: store.put_file(tmp_path, "s3://bucket/c"),
        "s3://bucket/a": lambda: store.put_file(source, "s3://bucket/a"),
        "part of its key is an object": lambda: store.put_file(source, "s3://bucket/a/b/x"),
        "s3://bucket/a/b/c": lambda: store.put_file(source, "s3://bucket/a/b/c"),
        "s3://bucket/a/": lambda: store.put_file(source, "s3://bucket/a/"),
        "s3://bucket": lambda: store.put_file(source, "s3://bucket"),
        "x" * 300: lambda: store.put_file(source, f"s3://bucket/{'x' * 300}"),
    }
    for named, action in failures.items():
        with pytest.raises(StoreError) as caught:
            action()
        assert named in str(caught.value)
    assert store.list("s3://bucket") == [("s3://bucket/a/b", 1)]


def test_a_root_that_can_be_written_is_made_and_left_empty(store: LocalStore) -> None:
    """The check makes the folder and leaves nothing in it, however often it is made."""
    store.check_writable()
    store.check_writable()
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        ("file", "it, or a part of its path, is a file"),
        ("file/beneath", "it, or a part of its path, is a file"),
        ("/proc/self/fdinfo", ""),
        ("/proc/nowhere/root", ""),
        ("a\0b", ""),
    ],
)
def test_a_root_that_cannot_be_written_is_blamed_itself(tmp_path: Path, root: str, reason: str) -> None:
    """Checking, storing and deleting name the root, why it is no good, and how to choose another."""
    if root.startswith("/proc") and sys.platform != "linux":
        pytest.skip("this machine has no /proc")
    source = _file(tmp_path, "file", "x")
    store = LocalStore(tmp_path / root)
    actions: list[Callable[[], object]] = [
        store.check_writable,
        lambda: store.put_file(source, "s3://bucket/a"),
        lambda: store.put_tree([("a", source)], "s3://bucket"),
        lambda: store.delete("s3://bucket/a"),
    ]
    for action in actions:
        with pytest.raises(StoreError) as caught:
            action()
        assert str(caught.value).startswith(f"the folder {store.root} cannot be written: {reason}")
        assert str(caught.value).endswith(
            "; choose another with Session.local(root), --root or SAGEMAKER_DOGBREED_HOME"
        )
    assert source.read_text() == "x"
