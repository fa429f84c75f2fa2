"""What holds for every store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.interface import Store, StoredObject


def _file(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def _uris(store: Store, prefix: str) -> list[str]:
    return [item.uri for item in store.objects(prefix)]


def test_a_file_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    """What is stored is listed with its size, and read back byte for byte, whatever its name."""
    source = _file(tmp_path, "photo.jpg", "bytes")
    uri = "s3://bucket/a b/Größe #1?100%25~.jpg"
    stored = store.put_file(source, uri)
    assert (stored.uri, stored.size) == (uri, 5)
    assert store.objects("s3://bucket/a b") == [stored]
    assert store.list("s3://bucket/a b") == [(uri, 5)]
    store.get_file(uri, tmp_path / "back" / "photo.jpg")
    assert (tmp_path / "back" / "photo.jpg").read_text() == "bytes"
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["photo.jpg"]
    assert store.read(uri, 5) == b"bytes"
    assert store.exists(uri)


def test_an_empty_file_is_an_object_too(store: Store, tmp_path: Path) -> None:
    """An empty file comes back as an empty file."""
    store.put_file(_file(tmp_path, "empty", ""), "s3://bucket/folder/empty")
    assert store.list("s3://bucket/folder") == [("s3://bucket/folder/empty", 0)]
    store.get_tree("s3://bucket/folder", tmp_path / "out")
    assert (tmp_path / "out" / "empty").read_bytes() == b""


def test_the_etag_tells_a_replaced_object(store: Store, tmp_path: Path) -> None:
    """An object has another etag once its content was replaced, and the same while it was not."""
    first = store.put_file(_file(tmp_path, "one", "1"), "s3://bucket/key")
    assert store.objects("s3://bucket/key") == [first]
    second = store.put_file(_file(tmp_path, "two", "2"), "s3://bucket/key")
    assert first.etag
    assert first.etag != second.etag
    assert store.objects("s3://bucket/key") == [second]
    assert store.read("s3://bucket/key", 10) == b"2"


def test_a_tree_goes_and_comes_back(store: Store, tmp_path: Path) -> None:
    """Files keep their names beneath the prefix, and each is told once it is stored."""
    told: dict[str, StoredObject] = {}
    names = [f"train/{number}.jpg" for number in range(20)]
    files = [(name, _file(tmp_path, name, name)) for name in names]
    store.put_tree(files, "s3://bucket/data/", told.__setitem__)
    assert sorted(told) == sorted(names)
    assert sorted(told.values()) == store.objects("s3://bucket/data")
    store.get_tree("s3://bucket/data/train", tmp_path / "out")
    found = {f"train/{path.name}": path.read_text() for path in (tmp_path / "out").iterdir()}
    assert found == {name: name for name in names}


def test_what_the_callback_raises_ends_the_transfer(store: Store, tmp_path: Path) -> None:
    """An error of whoever keeps the books comes out as it is."""

    def refuse(_name: str, _item: StoredObject) -> None:
        raise KeyError("full")

    with pytest.raises(KeyError, match="full"):
        store.put_tree([("a", _file(tmp_path, "a", "a"))], "s3://bucket/data", refuse)


def test_objects_are_copied_within_the_bucket(store: Store, tmp_path: Path) -> None:
    """A copy has the content of its source, is told like an upload, and the source stays."""
    told: dict[str, StoredObject] = {}
    store.put_file(_file(tmp_path, "a", "content"), "s3://bucket/v1/é #1.jpg")
    store.copy_tree([("s3://bucket/v1/é #1.jpg", "train/b.jpg")], "s3://bucket/v2", told.__setitem__)
    assert store.read("s3://bucket/v2/train/b.jpg", 10) == b"content"
    assert list(told.values()) == store.objects("s3://bucket/v2")
    assert store.exists("s3://bucket/v1/é #1.jpg")


def test_a_prefix_is_a_folder_or_one_object(store: Store, tmp_path: Path) -> None:
    """A prefix never takes in what only begins with the same letters."""
    source = _file(tmp_path, "file", "x")
    for key in ("run/model", "run-2/model", "run.txt"):
        store.put_file(source, f"s3://bucket/{key}")
    assert _uris(store, "s3://bucket/run") == ["s3://bucket/run/model"]
    assert _uris(store, "s3://bucket/run/") == ["s3://bucket/run/model"]
    assert _uris(store, "s3://bucket/run.txt") == ["s3://bucket/run.txt"]
    assert _uris(store, "s3://bucket/run.txt/") == []
    assert len(store.objects("s3://bucket")) == 3
    store.get_tree("s3://bucket/run.txt", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.txt"]
    store.delete("s3://bucket/run")
    assert _uris(store, "s3://bucket") == ["s3://bucket/run-2/model", "s3://bucket/run.txt"]


def test_deleting_twice_is_once(store: Store, tmp_path: Path) -> None:
    """A deleted object is gone, its name is free again, and the source is untouched."""
    source = _file(tmp_path, "file", "x")
    store.put_file(source, "s3://bucket/a/b/c")
    store.delete("s3://bucket/a/b/c")
    store.delete("s3://bucket/a/b/c")
    assert store.objects("s3://bucket") == []
    store.put_file(source, "s3://bucket/a")
    assert store.exists("s3://bucket/a")
    assert not store.exists("s3://bucket/a/b")
    assert source.read_text() == "x"


def test_what_cannot_be_stored_or_read_says_so(store: Store, tmp_path: Path) -> None:
    """Every failure is a StoreError that names the object or the file, and no part of a file is left."""
    source = _file(tmp_path, "file", "x" * 10)
    store.put_file(source, "s3://bucket/a")
    failures: dict[str, Callable[[], object]] = {
        "s3://bucket/missing": lambda: store.get_file("s3://bucket/missing", tmp_path / "out" / "file"),
        "s3://bucket/unread": lambda: store.read("s3://bucket/unread", 10),
        "s3://bucket/none": lambda: store.get_tree("s3://bucket/none", tmp_path / "out"),
        "s3://bucket/uncopied": lambda: store.copy_tree([("s3://bucket/uncopied", "b")], "s3://bucket/c"),
        "another": lambda: store.copy_tree([("s3://elsewhere/key", "b")], "s3://bucket/c"),
        "longer than 9 bytes": lambda: store.read("s3://bucket/a", 9),
        "gone": lambda: store.put_file(tmp_path / "gone", "s3://bucket/c"),
        str(tmp_path): lambda: store.put_file(tmp_path, "s3://bucket/c"),
        "s3://bucket/a/": lambda: store.put_file(source, "s3://bucket/a/"),
        "'s3://bucket'": lambda: store.put_file(source, "s3://bucket"),
        "s3://bucket/p/../x": lambda: store.put_tree([("../x", source)], "s3://bucket/p"),
        "s3://bucket/p//x": lambda: store.put_tree([("/x", source)], "s3://bucket/p"),
        "file/below": lambda: store.get_file("s3://bucket/a", source / "below"),
    }
    for named, action in failures.items():
        with pytest.raises(StoreError) as caught:
            action()
        assert named in str(caught.value)
    assert store.list("s3://bucket") == [("s3://bucket/a", 10)]
    assert not list((tmp_path / "out").rglob("*")) if (tmp_path / "out").exists() else True
