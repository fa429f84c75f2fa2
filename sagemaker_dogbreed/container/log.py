"""The job's log: one line at a time on standard output, where SageMaker reads metrics."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_muted: list[bool] = []


def line(text: str) -> None:
    """Write a line at once, so that nothing is lost when the job is killed.

    Of processes that train together (torchrun numbers them in ``RANK``) the first one speaks for all.
    """
    if os.environ.get("RANK", "0") == "0" and not any(_muted):
        print(text, flush=True)  # noqa: T201 - a job's standard output is its log


@contextlib.contextmanager
def muted(mute: bool = True) -> Iterator[None]:
    """Write no lines in the block."""
    _muted.append(mute)
    try:
        yield
    finally:
        _muted.pop()
