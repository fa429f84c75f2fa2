"""The job's log: one line at a time on standard output, where SageMaker reads metrics."""

from __future__ import annotations


def line(text: str) -> None:
    """Write a line at once, so that nothing is lost when the job is killed."""
    print(text, flush=True)  # noqa: T201 - a job's standard output is its log
