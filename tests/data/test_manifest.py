"""Manifests and journals, whose bytes may come from anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagemaker_dogbreed.data.versions.journal import Journal
from sagemaker_dogbreed.data.versions.manifest import Entry, Manifest, channel_manifest
from sagemaker_dogbreed.errors import DatasetError

ENTRY = Entry("train/pug/1.jpg", 3, "0" * 64, "etag")
MANIFEST = Manifest(
    name="dogs", version="0123456789abcdef", classes=("beagle", "pug"), image_count=1, entries=(ENTRY,)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
)


def changed(**values: Any) -> bytes:
    return json.dumps({**json.loads(MANIFEST.to_json()), **values}).encode()


def entry(**values: Any) -> bytes:
    return changed(objects=[{**ENTRY._asdict(), **values}])


def test_a_manifest_comes_back_as_it_was() -> None:
    """It is read as it was written, and written the same each time."""
    assert Manifest.from_json(MANIFEST.to_json(), "s3://b/m") == MANIFEST
    assert MANIFEST.to_json() == MANIFEST.to_json()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no manifest"),
        (b"[" * 100_000, "is no manifest"),
        (b"[]", "it is no JSON object"),
        (b"{}", "'format' is missing"),
        (changed(format=2), "its format is 2"),
        (changed(name="../x"), "does not match"),
        (changed(version="../../x"), "does not match"),
        (changed(classes="pug"), "classes is no list"),
        (changed(classes=["pug", "beagle"]), "in order"),
        (changed(classes=["a/b", "pug"]), "does not match"),
        (changed(image_count=-1), "number of anything"),
        (changed(image_count=True), "number of anything"),
        (changed(objects=None), "objects is no list"),
        (changed(objects=["x"]), "no object's description"),
        (changed(objects=[ENTRY._asdict()] * 2), "an object twice"),
        (entry(key="train/../../x"), "not the key of an object"),
        (entry(key="/train/x"), "not the key of an object"),
        (entry(key="train//x"), "not the key of an object"),
        (entry(key="manifest.json"), "not the key of an object"),
        (entry(key="train/pug/a\nb"), "cannot be an object's key"),
        (entry(key="train/pug\\b"), "cannot be an object's key"),
        (entry(key=3), "cannot be an object's key"),
        (entry(size="3"), "number of anything"),
        (entry(sha256="x"), "does not match"),
        (entry(etag="a\nb"), "does not match"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(content: bytes, told: str) -> None:
    """The message names the file and what is wrong with it."""
    with pytest.raises(DatasetError) as caught:
        Manifest.from_json(content, "s3://bucket/manifest.json")
    assert str(caught.value).startswith("s3://bucket/manifest.json is no manifest of a data set")
    assert told in str(caught.value)


@given(content=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50) | JSON.map(
    lambda value: entry(key=value)) | JSON.map(lambda value: changed(objects=value)))  # fmt: skip
def test_any_bytes_are_a_manifest_or_an_error(content: bytes) -> None:
    """Nothing but DatasetError comes of bytes, and no key of a manifest leads elsewhere."""
    try:
        manifest = Manifest.from_json(content, "s3://bucket/manifest.json")
    except DatasetError:
        return
    for item in manifest.entries:
        assert item.key.partition("/")[0] in ("train", "valid", "test")
        assert {"", ".", ".."}.isdisjoint(item.key.split("/"))


def test_a_channel_lists_its_own_objects_only() -> None:
    """The form is SageMaker's: a prefix, then names below it."""
    keys = ["test/pug/1.jpg", "train/été/1.jpg", "train/pug/2.jpg"]
    assert json.loads(channel_manifest("s3://b/data/dogs/0a", "train", keys)) == [
        {"prefix": "s3://b/data/dogs/0a/train/"}, "été/1.jpg", "pug/2.jpg",
    ]  # fmt: skip


def journal_of(cache: Path) -> tuple[Journal, Path]:
    journal = Journal(cache, "s3://bucket/data/dogs", "v1")
    journal.add(ENTRY)
    journal.close()
    (path,) = cache.rglob("*.jsonl")
    return journal, path


def test_a_journal_tells_the_latest_of_each_object(tmp_path: Path) -> None:
    """Of an object that was stored twice the second note counts, and other versions do not mix in."""
    journal, _ = journal_of(tmp_path)
    assert journal.latest_other() is None
    later = ENTRY._replace(etag="later")
    journal.add(later)
    journal.close()
    assert journal.read() == {ENTRY.key: later}
    other = Journal(tmp_path, "s3://bucket/data/dogs", "v2")
    assert (other.read(), other.latest_other()) == ({}, ("v1", {ENTRY.key: later}))
    assert Journal(tmp_path, "s3://bucket/data/dogs", "v2-shards1").latest_other() is None
    assert Journal(tmp_path, "s3://bucket/data/cats", "v2").latest_other() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    torn=st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.lists(JSON, min_size=4, max_size=4).map(lambda value: json.dumps(value).encode())
)
def test_a_torn_line_counts_for_nothing(tmp_path_factory: pytest.TempPathFactory, torn: bytes) -> None:
    """Whatever stands in a journal, what was noted before and after it is found."""
    journal, path = journal_of(tmp_path_factory.mktemp("cache"))
    with path.open("ab") as file:
        file.write(torn)
    second = ENTRY._replace(key="train/pug/2.jpg")
    journal.add(second)
    journal.close()
    found = journal.read()
    assert found[second.key] == second
    assert found[ENTRY.key].key == ENTRY.key
    assert all(isinstance(item.size, int) and isinstance(item.etag, str) for item in found.values())


def test_a_journal_that_cannot_be_written_is_no_need(tmp_path: Path) -> None:
    """It is then empty."""
    (tmp_path / "cache").write_text("a file")
    journal = Journal(tmp_path / "cache", "s3://bucket/data/dogs", "v1")
    journal.add(ENTRY)
    journal.close()
    assert journal.read() == {}
