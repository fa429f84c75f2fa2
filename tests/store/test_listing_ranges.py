"""Listings whose ranges are asked for at once tell what one listing from end to end tells."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import obstore
import obstore.store
import pytest
from faulty_server import FaultyServer, Handler, serve, times
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.interface import Store
from sagemaker_dogbreed.store.local import LocalStore
from sagemaker_dogbreed.store.s3 import S3Store
from sagemaker_dogbreed.store.s3_ranges import list_ranges, range_ends

PARTS = st.text(st.sampled_from("ab-.0é日 %#+&~"), min_size=1, max_size=3).filter(
    lambda part: part not in {".", ".."}
)
KEYS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
_MARKER = b"m" * 99  # longer than any key
EXPECTED = [f"train/dog/{number:06}.jpg" for number in range(2000)]


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    """A server for all examples of a property."""
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def bucket(server: FaultyServer) -> obstore.store.S3Store:
    """A bucket of that server."""
    return obstore.store.S3Store(
        "bucket",
        endpoint=server.url,
        region="eu-west-1",
        access_key_id="key",
        secret_access_key="secret",
        client_options={"allow_http": True},
    )


@given(
    keys=st.sets(KEYS, max_size=150),
    markers=st.sets(KEYS, max_size=3),
    others=st.sets(KEYS, max_size=3),
    data=st.data(),
)
def test_ranges_tell_what_one_listing_tells(
    server: FaultyServer,
    bucket: obstore.store.S3Store,
    keys: set[str],
    markers: set[str],
    others: set[str],
    data: st.DataObject,
) -> None:
    """Wherever ranges end, at keys or between them, each object comes, and only markers may come twice."""
    chosen = data.draw(st.sets(st.sampled_from(sorted(keys)), max_size=5)) if keys else set()
    ends = sorted(f"p/{key}" for key in others | chosen)
    server.objects = {f"p/{key}": key.encode() for key in keys}
    server.objects |= {f"p/{key}/": _MARKER for key in markers} | {"o": b"", "p-2/a": b"", "q": b""}
    plain = sorted(_told(obstore.list(bucket, "p").collect()))
    ranged = sorted(_told(list_ranges(bucket, "p", ends)))
    assert sorted(set(ranged)) == sorted(set(plain))
    assert len(ranged) - len(plain) <= len(markers) * len(ends)
    assert _without_markers(ranged) == _without_markers(plain)


def test_what_is_expected_changes_nothing_of_what_is_found(store: Store, tmp_path: Path) -> None:
    """Objects before, between and after the expected ones are told, and none that is not there."""
    last = EXPECTED[899]
    names = ["a.jpg", EXPECTED[0], last, f"{last}-b", EXPECTED[900], EXPECTED[-1], "train/dog", "zz/z.jpg"]
    if isinstance(store, LocalStore):
        names.remove("train/dog")  # no file has a folder's name
    (tmp_path / "file").write_bytes(b"x")
    for name in names:
        store.put_file(tmp_path / "file", f"s3://bucket/v/{name}")
    store.put_file(tmp_path / "file", "s3://bucket/v-2/train/dog/000001.jpg")
    found = store.objects("s3://bucket/v/", EXPECTED)
    assert [item.uri for item in found] == sorted(f"s3://bucket/v/{name}" for name in names)
    assert found == store.objects("s3://bucket/v/")


def test_the_pages_are_asked_for_at_once(faulty: FaultyServer, faulty_store: S3Store) -> None:
    """No page is answered before all of them have been asked for."""
    together = threading.Barrier(3)

    def wait(_handler: Handler) -> bool:
        together.wait(timeout=20)
        return False

    faulty.faults = [wait]
    faulty.objects = {f"v/{name}": b"x" for name in (EXPECTED[0], EXPECTED[1000], EXPECTED[-1])}
    assert len(faulty_store.objects("s3://bucket/v/", EXPECTED)) == 3
    assert faulty.times("GET") == 3


def test_a_range_that_cannot_be_listed_is_told(faulty: FaultyServer, faulty_store: S3Store) -> None:
    """What the other ranges found is not taken for all there is."""
    faulty.objects = {f"v/{name}": b"x" for name in (EXPECTED[0], EXPECTED[1000])}
    faulty.faults = [times(1, lambda handler: handler.refuse(403, "AccessDenied"))]
    with pytest.raises(StoreError, match=r"cannot list s3://bucket/v: .*s3:ListBucket"):
        faulty_store.objects("s3://bucket/v/", EXPECTED)


def test_ranges_are_about_a_page_each_and_not_too_many() -> None:
    """A page has up to 1,000 keys; names that no key can have end no range."""
    assert range_ends("bucket", "v", EXPECTED[:900]) == []
    assert range_ends("bucket", "v", reversed(EXPECTED)) == [f"v/{EXPECTED[899]}", f"v/{EXPECTED[1799]}"]
    assert range_ends("bucket", "", EXPECTED[:901]) == [EXPECTED[899]]
    assert len(range_ends("bucket", "v", map(str, range(100_000)))) == 15
    assert range_ends("bucket", "v", [f"a//{number}" for number in range(2000)]) == []


def _told(metas: Sequence[obstore.ObjectMeta]) -> list[tuple[str, str | None, int]]:
    return [(meta["path"], meta["e_tag"], meta["size"]) for meta in metas]


def _without_markers(found: list[tuple[str, str | None, int]]) -> list[tuple[str, str | None, int]]:
    return [item for item in found if item[2] != len(_MARKER)]
