"""The rule that stops trials which fall behind, as SageMaker's early stopping does.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html
"""

from __future__ import annotations

import statistics

_FEWEST_TRIALS = 3
"""With fewer ended trials than these, a median says little and nothing is stopped."""


class MedianRule:
    """Compares a trial with the ended ones at the same epoch.

    A trial falls behind where its objective is worse than the median of what the ended trials had
    on average up to that epoch.
    """

    def __init__(self, *, minimize: bool) -> None:
        self._sign = 1 if minimize else -1
        self._running: dict[int, dict[int, float]] = {}
        self._ended: list[dict[int, float]] = []

    def falls_behind(self, number: int, epoch: int, value: float) -> bool:
        """Take in a running trial's objective of an epoch, and return whether it has fallen behind."""
        self._running.setdefault(number, {})[epoch] = value
        averages = [
            statistics.fmean(reached)
            for curve in self._ended
            if (reached := [objective for at, objective in curve.items() if at <= epoch])
        ]
        if len(averages) < _FEWEST_TRIALS:
            return False
        return self._sign * value > self._sign * statistics.median(averages)

    def end(self, number: int, *, counts: bool) -> None:
        """Note that a trial has ended; one that failed does not count."""
        curve = self._running.pop(number, None)
        if curve and counts:
            self._ended.append(curve)
