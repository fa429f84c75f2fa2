"""How many threads torch computes with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """Compute the block on one thread, if that is wanted.

    A step of a head takes less time than threads need to meet: two take twice as long as one, and seven
    times where something else runs beside them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if wanted else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
