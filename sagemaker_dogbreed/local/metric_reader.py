"""A job's metrics, read from its log lines with the regular expressions of the request."""

from __future__ import annotations

import contextlib
import math
import re
import signal
import types
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from sagemaker_dogbreed.local.records import now

_PATIENCE = 1.0  # seconds that all expressions together may take on one line


class _TooSlow(Exception):  # noqa: N818 - never leaves this module
    pass


class MetricReader:
    """Keeps the last value of each metric.

    The expressions are the user's, and one that backtracks without end would stop the job's
    supervisor; so a line has a time limit, and the expression that breaks it is not used again.
    Works in a process's main thread only, because the limit is a signal.
    """

    def __init__(self, definitions: Sequence[dict[str, str]]) -> None:
        self._expressions = {item["Name"]: re.compile(item["Regex"]) for item in definitions}
        self._latest: dict[str, dict[str, Any]] = {}

    @property
    def latest(self) -> list[dict[str, Any]]:
        """The metrics so far, as ``FinalMetricDataList``."""
        return list(self._latest.values())

    def read(self, line: str) -> list[str]:
        """Take a line's metrics in, and return the names of those given up for slowness.

        As in CloudWatch, values that are not finite are not metrics.
        """
        given_up = []
        for name, expression in list(self._expressions.items()):
            try:
                with _time_limit():
                    match = expression.search(line)
            except _TooSlow:
                del self._expressions[name]
                given_up.append(name)
                continue
            if match is None:
                continue
            with contextlib.suppress(ValueError, TypeError):  # not a number, or a group that took no part
                value = float(match.group(1 if expression.groups else 0))
                if math.isfinite(value):
                    self._latest[name] = {"MetricName": name, "Value": value, "Timestamp": now()}
        return given_up


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(_signal: int, _frame: types.FrameType | None) -> NoReturn:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
