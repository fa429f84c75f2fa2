"""The job's log: one line at a time on standard output, where SageMaker reads metrics."""

from __future__ import annotations

import os


def line(text: str) -> None:
    """Write a line at once, so that nothing is lost when the job is killed.

    Of processes that train together (torchrun numbers them in ``RANK``) the first one speaks for all.
    """
    if os.environ.get("RANK", "0") == "0":
        print(text, flush=True)  # noqa: T201 - a job's standard output is its log
