"""Many things at a time."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagemaker_dogbreed.store.transfer import Budget, for_each, run


async def most_at_once(count: int, **limits: int) -> int:
    """Return how many of so many pieces of work were under way at once."""
    under_way = peak = 0

    async def work(_item: int) -> None:
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    await for_each(range(count), work, **limits)
    return peak


def test_so_many_are_under_way_and_no_more() -> None:
    """The limit holds, and is made use of."""
    assert run(lambda: most_at_once(100, in_flight=7)) == 7


def test_a_long_way_takes_more_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each takes long there are as many as allowed, where each is short as few as at first."""
    for step, expected in ((10.0, 30), (0.0, 5)):
        clock = itertools.count(0.0, step)
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda clock=clock: next(clock))
            assert asyncio.run(most_at_once(300, in_flight=5, at_most=30)) == expected


def test_it_works_within_an_event_loop() -> None:
    """A notebook's cell runs in a loop; the transfer has one of its own."""

    async def cell() -> int:
        return run(lambda: most_at_once(10, in_flight=2))

    assert asyncio.run(cell()) == 2


def test_the_first_failure_ends_the_rest() -> None:
    """What failed is raised as it was, and what waits is cancelled."""
    ended: list[int] = []

    async def work(item: int) -> None:
        if item == 3:
            raise KeyError("three")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    with pytest.raises(KeyError, match="three"):
        run(lambda: for_each(range(100), work, in_flight=10))
    assert sorted(ended) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 30), max_size=30), limit=st.integers(1, 20))
def test_no_more_is_lent_than_there_is(sizes: list[int], limit: int) -> None:
    """All get what they want, together never more than the limit unless one alone wants more."""
    lent: list[int] = []

    async def borrow_all() -> int:
        budget, done = Budget(limit), 0

        async def borrow(size: int) -> None:
            nonlocal done
            async with budget.lend(size):
                lent.append(size)
                assert sum(lent) <= limit or [item for item in lent if item] == [size]
                await asyncio.sleep(0)
                lent.remove(size)
            done += 1

        await for_each(sizes, borrow, in_flight=8)
        return done

    assert run(borrow_all) == len(sizes)
