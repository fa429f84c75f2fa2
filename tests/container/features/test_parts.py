"""Features on disk: parts that are whole or not there, shared between processes."""

from __future__ import annotations

import multiprocessing

import pytest
import torch

from sagemaker_dogbreed.container.features.parts import PART_ROWS, FeatureError, PartFolder

ROWS, WIDTH = 2 * PART_ROWS + 5, 4


def values(rows: range) -> torch.Tensor:
    """Return rows that tell their own numbers."""
    return torch.tensor([[number, number + 0.5, -number, 0.0] for number in rows])


def filled(folder, **options) -> PartFolder:
    """Return an array of which every part is written."""
    parts = PartFolder(folder, ROWS, WIDTH, **options)
    for number in parts.missing():
        with parts.claim(number, wait=False) as mine:
            assert mine
            parts.write(number, values(parts.span(number)))
    return parts


@pytest.mark.parametrize("limit", [0, 1 << 30], ids=["mapped", "in memory"])
def test_rows_come_back_in_any_order(tmp_path, limit):
    """Rows are taken by number, from one part or several, whether in memory or mapped from disk."""
    rows = filled(tmp_path / "a").read(limit)
    assert len(rows.parts) == (1 if limit else 3)
    assert (len(rows), rows.width) == (ROWS, WIDTH)
    numbers = torch.tensor([ROWS - 1, 0, PART_ROWS, PART_ROWS - 1, 0])
    assert torch.equal(rows.take(numbers)[:, 0], numbers.float().half().float())
    assert rows.take(numbers).dtype == torch.float32


def test_what_is_cut_off_or_damaged_is_missing(tmp_path):
    """Only parts whose content is what their name says are there; the others are written anew."""
    filled(tmp_path / "a")
    first, second, third = sorted((tmp_path / "a").glob("part-*.npy"))
    first.write_bytes(first.read_bytes()[:-1])
    second.rename(second.with_name(f".{second.name}.partial"))
    parts = PartFolder(tmp_path / "a", ROWS, WIDTH)
    assert parts.missing() == [0, 1]
    assert PartFolder(tmp_path / "a", ROWS, WIDTH + 1).missing() == [0, 1, 2]
    again = filled(tmp_path / "a").read()
    assert torch.equal(again.take(torch.tensor([7]))[0], values(range(7, 8))[0])
    assert third.exists()


def test_earlier_parts_are_read_and_not_written(tmp_path):
    """Parts that lie in the earlier folder are used from there."""
    filled(tmp_path / "earlier")
    next(iter(sorted((tmp_path / "earlier").glob("part-00001-*")))).unlink()
    parts = PartFolder(tmp_path / "new", ROWS, WIDTH, earlier=tmp_path / "earlier")
    assert parts.missing() == [1]
    filled(tmp_path / "new", earlier=tmp_path / "earlier")
    assert [path.name[:10] for path in (tmp_path / "new").glob("part-*")] == ["part-00001"]
    assert len(PartFolder(tmp_path / "new", ROWS, WIDTH, earlier=tmp_path / "earlier").read()) == ROWS


def test_values_that_cannot_be_kept_are_refused(tmp_path):
    """Features beyond half precision are an error with a way out, and nothing is written."""
    parts = PartFolder(tmp_path / "a", 1, 2)
    for value in (float("nan"), 70_000.0):
        with parts.claim(0, wait=False), pytest.raises(FeatureError, match="feature_cache: off"):
            parts.write(0, torch.tensor([[value, 0.0]]))
    assert parts.missing() == [0]


def hold(folder, ready, release) -> None:
    """Hold a part's lock in a process of its own, write it when told to, and end."""
    parts = PartFolder(folder, 1, 2)
    with parts.claim(0, wait=True) as mine:
        ready.set()
        release.wait(30)
        if mine:
            parts.write(0, torch.tensor([[1.0, 2.0]]))


@pytest.mark.parametrize("killed", [False, True])
def test_a_part_that_another_process_is_at_is_waited_for(tmp_path, killed):
    """A claimed part is left alone; once its process is done it is there, and if that died it is free."""
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "a", ready, release))
    other.start()
    try:
        assert ready.wait(60)
        parts = PartFolder(tmp_path / "a", 1, 2)
        with parts.claim(0, wait=False) as mine:
            assert not mine
        if killed:
            other.kill()
        else:
            release.set()
        with parts.claim(0, wait=True) as mine:
            assert mine is killed
        assert parts.missing() == ([0] if killed else [])
    finally:
        other.kill()
        other.join()
