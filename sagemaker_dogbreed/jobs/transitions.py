"""Tells the changes of a job's secondary status: Starting, Downloading, Training, Interrupted, ..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TransitionReader:
    """Tells what is new in one DescribeTrainingJob answer after another.

    >>> reader = TransitionReader()
    >>> answer = {"SecondaryStatusTransitions": [{"Status": "Starting", "StatusMessage": "Launching"}]}
    >>> reader.new_lines(answer), reader.new_lines(answer)
    (['Starting: Launching'], [])
    """

    def __init__(self) -> None:
        self._told: list[str] = []

    def new_lines(self, answer: Mapping[str, Any]) -> list[str]:
        """Return a line for each new status, and for each new message of the present one."""
        lines = [_text(each) for each in answer.get("SecondaryStatusTransitions") or ()]
        new = [line for index, line in enumerate(lines) if self._told[index : index + 1] != [line]]
        self._told = lines or self._told
        return new


def _text(transition: Mapping[str, Any]) -> str:
    message = transition.get("StatusMessage")
    status = transition.get("Status", "Unknown")
    return f"{status}: {message}" if message else str(status)
