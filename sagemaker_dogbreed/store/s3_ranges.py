"""A listing in ranges of keys that are asked for at once: page after page, each waits for the one before."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.location import parse_s3_uri

if TYPE_CHECKING:
    import obstore.store
    from obstore import ObjectMeta

_IN_A_RANGE = 900  # expected keys: S3 tells 1,000 in a page, so some that nobody expects fit in
_MOST_RANGES = 16
_CHUNK = 50  # objects taken over at a time


def range_ends(bucket: str, prefix: str, expected: Iterable[str]) -> list[str]:
    """Return keys that divide the names expected beneath a prefix into ranges of about a page each."""
    names = sorted(expected)
    size = max(_IN_A_RANGE, -(-len(names) // _MOST_RANGES))
    ends = []
    for name in names[size - 1 : -1 : size]:
        with contextlib.suppress(StoreError):  # a name that no key can have divides nothing
            ends.append(
                parse_s3_uri(f"s3://{bucket}/{prefix}/{name}" if prefix else f"s3://{bucket}/{name}")[1]
            )
    return ends


def list_ranges(
    connected: obstore.store.S3Store, prefix: str | None, ends: Sequence[str]
) -> list[ObjectMeta]:
    """Return every object beneath a prefix, in no order, whether expected or not.

    A range holds the keys after the end of the one before, up to its own end; the last has none. A marker
    ``folder/`` of an empty folder may come twice, as it goes by the name ``folder``, which sorts elsewhere.
    """
    found: list[list[ObjectMeta]] = [[] for _ in range(len(ends) + 1)]
    failures: list[BaseException] = []
    stopped = threading.Event()

    def collect(number: int, after: str | None, end: str | None) -> None:
        try:
            for chunk in _chunks(connected, prefix, after, end):
                found[number] += chunk
                if stopped.is_set():
                    return
        except BaseException as error:  # it is raised in the caller's thread
            failures.append(error)
            stopped.set()

    threads = [
        threading.Thread(target=collect, args=bounds, name="listing")
        for bounds in zip(range(len(found)), [None, *ends], [*ends, None], strict=True)
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stopped.set()
    if failures:
        raise failures[0]
    return [meta for part in found for meta in part]


def _chunks(
    connected: obstore.store.S3Store, prefix: str | None, after: str | None, end: str | None
) -> Iterator[list[ObjectMeta]]:
    import obstore

    for chunk in obstore.list(connected, prefix, offset=after, chunk_size=_CHUNK):
        inside = [meta for meta in chunk if end is None or meta["path"] <= end]
        yield inside
        if len(inside) < len(chunk):  # S3 tells them in order, so the rest is another range's
            return
