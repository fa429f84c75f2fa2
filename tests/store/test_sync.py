"""Uploads of data sets: what is sent, what is not, and what an interruption leaves."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from faulty_server import FaultyServer, Handler
from PIL import Image

from sagemaker_dogbreed.data.prepare import PreparedDataset, prepare
from sagemaker_dogbreed.data.versions.dataset import Dataset
from sagemaker_dogbreed.data.versions.load import load_dataset
from sagemaker_dogbreed.data.versions.sync import sync
from sagemaker_dogbreed.errors import DatasetError, StoreError
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.store.interface import Store
from sagemaker_dogbreed.store.local import LocalStore
from sagemaker_dogbreed.store.s3 import S3Store

IMAGES = 30
MANIFESTS = 4  # manifest.json, and one for each channel


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of ten images each, made long ago."""
    folder = tmp_path / "dogs"
    for label, name in enumerate(("beagle", "été", "pug")):
        for number in range(10):
            draw(folder / name / f"{number}.png", (label * 50, number * 10, 0))
    return folder


def draw(path: Path, color: tuple[int, int, int], made: int = 1_700_000_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), color).save(path)
    os.utime(path, (made, made))


@pytest.fixture
def server(faulty: FaultyServer) -> FaultyServer:
    return faulty


@pytest.fixture
def s3(faulty_store: S3Store) -> S3Store:
    return faulty_store


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each store in turn."""
    if request.param == "local":
        return LocalStore(tmp_path / "root")
    found: S3Store = request.getfixturevalue("faulty_store")
    return found


def prepared(root: Path, **options: Any) -> PreparedDataset:
    return prepare(DatasetSpec(source=str(root), **options), root.parent / "cache", progress=False)


def upload(store: Store, root: Path, cache: str = "cache", **options: Any) -> Dataset:
    return sync(prepared(root, **options), store, "bucket", cache_dir=root.parent / cache, progress=False)


def sent(server: FaultyServer) -> list[str]:
    """Return the keys of the objects that were sent, and forget them."""
    keys = [
        request.partition(" ")[2]
        for request, headers in zip(server.requests, server.headers, strict=True)
        if request.startswith("PUT") and "x-amz-copy-source" not in headers
    ]
    server.requests.clear()
    server.headers.clear()
    return keys


def images(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if key.endswith((".png", ".tar"))]


def test_a_version_is_its_images_and_what_lists_them(store: Store, root: Path, tmp_path: Path) -> None:
    """Beneath the prefix are the images and four manifests, and the data set is found by its manifest."""
    data_set = upload(store, root)
    keys = [item.uri.removeprefix(f"{data_set.uri}/") for item in store.objects(data_set.uri)]
    manifest = json.loads(store.read(data_set.manifest_uri, 1 << 20))
    assert sorted(item["key"] for item in manifest["objects"]) == images(keys)
    assert len(images(keys)) == IMAGES
    assert sorted(set(keys) - set(images(keys))) == [
        "manifest.json", "test.manifest", "train.manifest", "valid.manifest",
    ]  # fmt: skip
    listed = json.loads(store.read(data_set.manifests["train"], 1 << 20))
    assert listed[0] == {"prefix": data_set.channels["train"]}
    assert sorted(f"train/{name}" for name in listed[1:]) == [
        key for key in images(keys) if key.startswith("train/")
    ]
    loaded = load_dataset(store, data_set.manifest_uri)
    assert (loaded.classes, loaded.image_count, loaded.report) == (("beagle", "pug", "été"), IMAGES, None)
    assert (loaded.name, loaded.version, loaded.uri) == (data_set.name, data_set.version, data_set.uri)


def test_what_is_there_is_not_sent_again(s3: S3Store, server: FaultyServer, root: Path) -> None:
    """An unchanged data set costs one listing and nothing else."""
    first = upload(s3, root)
    assert len(sent(server)) == IMAGES + MANIFESTS
    assert upload(s3, root) == first
    prefix = quote(first.uri.removeprefix("s3://bucket/") + "/", safe="")
    assert server.requests == [f"GET list-type=2&prefix={prefix}"]


def test_another_machine_sends_nothing_either(s3: S3Store, server: FaultyServer, root: Path) -> None:
    """Without notes of its own the manifest in S3 tells what is there."""
    upload(s3, root)
    sent(server)
    upload(s3, root, cache="another")
    assert images(sent(server)) == []


def test_a_replaced_object_is_sent_again(s3: S3Store, server: FaultyServer, root: Path) -> None:
    """An object that somebody else put in the place of ours, of whatever size, is put right."""
    data_set = upload(s3, root)
    sent(server)
    key = next(key for key in server.objects if key.endswith(".png"))
    original = server.objects[key]
    server.objects[key] = original[:-1] + b"?"
    with pytest.raises(DatasetError, match="is missing or was replaced"):
        load_dataset(s3, data_set.manifest_uri)
    upload(s3, root)
    assert images(sent(server)) == [key]
    assert server.objects[key] == original


def test_what_an_earlier_version_has_is_copied(s3: S3Store, server: FaultyServer, root: Path) -> None:
    """Of a new version only what is new is sent; with notes or, on another machine, without."""
    upload(s3, root)
    sent(server)
    for number, cache in enumerate(("cache", "another")):
        draw(root / "pug" / f"new {number}.png", (200, 200, number))
        data_set = upload(s3, root, cache=cache)
        assert [key.rpartition("/")[2] for key in images(sent(server))] == [f"new {number}.png"]
        assert load_dataset(s3, data_set.manifest_uri).image_count == IMAGES + 1 + number


def test_an_interrupted_upload_goes_on(s3: S3Store, server: FaultyServer, root: Path) -> None:
    """What was stored before a failure is not sent again; a note that was torn counts for nothing."""
    last = prepared(root).files[-1].key

    def refuse_the_last(handler: Handler) -> bool:
        """Refuse one image, once all others have been noted."""
        if not handler.key.endswith(last):
            return False
        for _ in range(2000):
            if len(notes(root)) == IMAGES - 1:
                break
            threading.Event().wait(0.005)
        handler.refuse(403, "AccessDenied")
        return True

    server.faults.append(refuse_the_last)
    with pytest.raises(StoreError, match="access denied"):
        upload(s3, root)
    assert not any(key.endswith("manifest.json") for key in server.objects)
    server.faults.clear()
    sent(server)
    (journal,) = (root.parent / "cache" / "uploads").rglob("*.jsonl")
    torn = json.loads(notes(root)[-1])[0]
    journal.write_bytes(journal.read_bytes()[:-9])  # as if the process had been killed as it wrote
    data_set = upload(s3, root)
    again = [key.removeprefix(f"data/dogs/{data_set.version}/") for key in images(sent(server))]
    assert sorted(again) == sorted([torn, last])
    assert load_dataset(s3, data_set.manifest_uri).image_count == IMAGES
    upload(s3, root)
    assert sent(server) == []


def notes(root: Path) -> list[str]:
    """Return the lines of the only journal."""
    return [
        line
        for path in (root.parent / "cache" / "uploads").rglob("*.jsonl")
        for line in path.read_text().splitlines()
        if line
    ]


def test_a_file_that_changes_meanwhile_is_noticed(store: Store, root: Path) -> None:
    """The version never holds other bytes than its fingerprint says, and is not complete without them."""
    ready = prepared(root)
    victim = ready.files[0].path
    draw(victim, (1, 2, 3), made=1_700_000_999)
    with pytest.raises(DatasetError, match=r"changed since it was examined"):
        sync(ready, store, "bucket", cache_dir=root.parent / "cache", progress=False)
    assert not any(uri.endswith("manifest.json") for uri, _ in store.list("s3://bucket"))


def test_a_file_made_a_moment_ago_is_compared_by_content(store: Store, root: Path) -> None:
    """Where the time of change proves nothing, the file is read again after it was sent."""
    path = root / "pug" / "fresh.png"
    Image.new("RGB", (4, 4), (9, 9, 9)).save(path)
    ready = prepared(root)
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(DatasetError, match=r"fresh\.png changed since it was examined"):
        sync(ready, store, "bucket", cache_dir=root.parent / "cache", progress=False)


def test_strays_do_not_train_silently(store: Store, root: Path, tmp_path: Path) -> None:
    """An object that somebody added to a channel is named, at the upload and when loading."""
    data_set = upload(store, root)
    stray = tmp_path / "stray"
    stray.write_text("x")
    store.put_file(stray, f"{data_set.uri}/notes.txt")  # in no channel: no job reads it
    upload(store, root)
    store.put_file(stray, f"{data_set.uri}/train/pug/stray.jpg")
    actions: list[Callable[[], object]] = [
        lambda: upload(store, root),
        lambda: load_dataset(store, data_set.manifest_uri),
    ]
    for action in actions:
        with pytest.raises(DatasetError, match=r"not part of this version.*train/pug/stray\.jpg"):
            action()


def test_a_manifest_of_another_place_is_refused(store: Store, root: Path, tmp_path: Path) -> None:
    """A manifest counts only beneath the version that it describes, and that its objects make up."""
    data_set = upload(store, root)
    path = tmp_path / "manifest.json"
    content = json.loads(store.read(data_set.manifest_uri, 1 << 20))
    path.write_text(json.dumps(content))
    store.put_file(path, "s3://bucket/data/dogs/0123456789abcdef/manifest.json")
    content["objects"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(content))
    store.put_file(path, data_set.manifest_uri)
    for uri in ("s3://bucket/data/dogs/0123456789abcdef/manifest.json", data_set.manifest_uri):
        with pytest.raises(DatasetError, match="not the manifest of the version"):
            load_dataset(store, uri)
    with pytest.raises(DatasetError, match=r"its name is not manifest\.json"):
        load_dataset(store, f"{data_set.uri}/train.manifest")
    upload(store, root)
    assert load_dataset(store, data_set.manifest_uri).version == data_set.version


def test_a_data_set_may_be_packed_in_shards(s3: S3Store, server: FaultyServer, root: Path) -> None:
    """Shards are another version beside the images; unchanged ones are neither packed nor sent again."""
    plain = upload(s3, root)
    sent(server)
    packed = upload(s3, root, shard_size_mb=1)
    assert packed.version == f"{plain.version}-shards1"
    assert [key.removeprefix(f"data/dogs/{packed.version}/") for key in sorted(images(sent(server)))] == [
        f"{split}/shard-00000.tar" for split in ("test", "train", "valid")
    ]
    assert not (root.parent / "cache" / "shards" / f"dogs-{packed.version}").exists()
    for cache in ("cache", "another"):
        assert upload(s3, root, cache=cache, shard_size_mb=1).image_count == IMAGES
        assert images(sent(server)) == []
    assert load_dataset(s3, packed.manifest_uri).image_count == IMAGES


def test_a_bar_shows_files_and_bytes(store: Store, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the end all files and bytes are there, whether they were sent or not."""
    for _ in range(2):
        sync(prepared(root), store, "bucket", cache_dir=root.parent / "cache")
        assert f"{IMAGES}/{IMAGES} files" in capsys.readouterr().err
