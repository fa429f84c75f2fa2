"""Amazon S3, as far as it differs from a folder."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from faulty_server import PAGE, FaultyServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.interface import StoredObject
from sagemaker_dogbreed.store.s3 import S3Store
from sagemaker_dogbreed.store.s3_upload import PART_SIZE


@pytest.fixture
def s3(clients: Clients) -> Any:
    """boto3's client: what somebody else does in the bucket."""
    return clients.client("s3")


@pytest.fixture
def store(clients: Clients) -> S3Store:
    return S3Store(clients)


@pytest.mark.parametrize("key", ["p/../x", "p//x", "p/./x", "p/a//b", "p//"])
def test_a_key_that_could_lead_elsewhere_is_named(store: S3Store, s3: Any, tmp_path: Path, key: str) -> None:
    """A prefix with such an object is not downloaded, the object is named, and it can be deleted."""
    s3.put_object(Bucket="bucket", Key="p/good", Body=b"x")
    s3.put_object(Bucket="bucket", Key=key, Body=b"x")
    with pytest.raises(StoreError) as caught:
        store.get_tree("s3://bucket/p", tmp_path / "out")
    assert repr(f"s3://bucket/{key}") in str(caught.value)
    assert not (tmp_path / "out").exists()
    store.delete("s3://bucket/p")
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    keys=st.lists(
        st.text(st.sampled_from("./\\a~:é\x00\x1f"), min_size=1, max_size=12)
        | st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12),
        min_size=1,
        max_size=4,
    )
)
def test_no_listing_leads_out_of_the_folder(
    faulty: FaultyServer, faulty_store: S3Store, tmp_path_factory: pytest.TempPathFactory, keys: list[str]
) -> None:
    """Whatever keys S3 tells, files appear in the destination's folder or nowhere."""
    base = tmp_path_factory.mktemp("base")
    faulty.objects.clear()
    faulty.objects.update({f"p/{key}": b"content" for key in keys})
    with contextlib.suppress(StoreError):
        faulty_store.get_tree("s3://bucket/p", base / "in" / "out")
    for path in base.rglob("*"):
        assert path.is_dir() or path.is_relative_to(base / "in" / "out")
        assert path.is_dir() or path.read_bytes() == b"content"


def test_markers_of_folders_are_no_objects(store: S3Store, s3: Any, tmp_path: Path) -> None:
    """What the S3 console leaves for a folder is neither listed nor downloaded, an empty file is."""
    for key in ("p/", "p/folder/", "p/folder/file", "p/lone/", "p/empty"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"x" if key.endswith("file") else b"")
    assert [item.uri for item in store.objects("s3://bucket/p")] == [
        "s3://bucket/p/empty",
        "s3://bucket/p/folder/file",
    ]
    store.get_tree("s3://bucket/p", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["empty", "file", "folder"]


def test_a_long_listing_comes_in_one_pass(faulty: FaultyServer, faulty_store: S3Store) -> None:
    """More objects than S3 lists in one answer are all there, in order, each page asked for once."""
    faulty.objects.update({f"many/{number:05}": b"x" for number in range(2 * PAGE + 1)})
    found = faulty_store.objects("s3://bucket/many")
    assert [item.uri.removeprefix("s3://bucket/") for item in found] == sorted(faulty.objects)
    assert faulty.times("GET") == 3


def test_a_long_file_goes_and_comes_in_parts(store: S3Store, s3: Any, tmp_path: Path) -> None:
    """It is one whole object, whose checksum over all parts was compared, and so is the file of it."""
    source = tmp_path / "model.tar.gz"
    source.write_bytes(os.urandom(2 * PART_SIZE + 12345))
    stored = store.put_file(source, "s3://bucket/model.tar.gz")
    assert stored == store.objects("s3://bucket/model.tar.gz")[0]
    assert stored.etag.endswith("-3")
    assert s3.head_object(Bucket="bucket", Key="model.tar.gz", ChecksumMode="ENABLED")["ChecksumSHA256"]
    store.get_file("s3://bucket/model.tar.gz", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_an_interruption_ends_the_transfer_at_once(
    faulty: FaultyServer, faulty_store: S3Store, tmp_path: Path
) -> None:
    """Ctrl-C is raised as such; what is in the bucket is whole, and much is not sent any more."""
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    files = []
    for number in range(800):
        path = tmp_path / f"{number:04}"
        path.write_bytes(b"x" * 1000)
        files.append((path.name, path))

    def interrupt(name: str, _item: StoredObject) -> None:
        if name == "0010":
            signal.pthread_kill(main_thread, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        faulty_store.put_tree(files, "s3://bucket/data", interrupt)
    assert 0 < len(faulty.objects) < 800
    assert set(map(len, faulty.objects.values())) == {1000}
