"""The progress of a tuning job on one line: trials done, the best so far, the time left."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import attrs

if TYPE_CHECKING:
    from tqdm.auto import tqdm

_FORMAT = "{desc}: {n_fmt}/{total_fmt} trials {bar}{postfix}"


@attrs.frozen(kw_only=True)
class Progress:
    """How far a search has come.

    Attributes:
        done: Trials that have ended.
        running: Trials that run.
        total: Trials at most; None where that is not known.
        metric: The objective's.
        best: Its best value so far.
        seconds_left: Until all trials have ended, by the pace so far; None where that is not known.
    """

    done: int
    running: int
    total: int | None
    metric: str
    best: float | None
    seconds_left: float | None

    def __str__(self) -> str:
        parts = [f"{self.running} running"]
        if self.best is not None:
            parts.append(f"best {self.metric} {self.best:.4f}")
        if self.seconds_left is not None:
            parts.append(f"{dt.timedelta(seconds=round(self.seconds_left))} left")
        return ", ".join(parts)


def progress_of(answer: Mapping[str, Any], now: dt.datetime) -> Progress:
    """Return the progress that DescribeHyperParameterTuningJob's answer tells.

    Args:
        answer: The answer.
        now: The time, with its zone.
    """
    config = answer.get("HyperParameterTuningJobConfig") or {}
    counts = answer.get("TrainingJobStatusCounters") or {}
    best = (answer.get("BestTrainingJob") or {}).get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    done = sum(counts.get(name) or 0 for name in ("Completed", "NonRetryableError", "Stopped"))
    total = trials_at_most(config)
    created = answer.get("CreationTime")
    seconds_left = None
    if done and total is not None and isinstance(created, dt.datetime):
        pace = max(0.0, (now - created).total_seconds()) / done
        seconds_left = pace * max(0, total - done)
    return Progress(
        done=done,
        running=counts.get("InProgress") or 0,
        total=total,
        metric=(config.get("HyperParameterTuningJobObjective") or {}).get("MetricName", "objective"),
        best=best.get("Value"),
        seconds_left=seconds_left,
    )


def trials_at_most(config: Mapping[str, Any]) -> int | None:
    """Return how many trials a HyperParameterTuningJobConfig asks for; None where it does not say."""
    most: int | None = (config.get("ResourceLimits") or {}).get("MaxNumberOfTrainingJobs")
    if most is not None or config.get("Strategy") != "Grid":
        return most
    combinations = 1
    for values in (config.get("ParameterRanges") or {}).get("CategoricalParameterRanges") or ():
        combinations *= len(values.get("Values") or ())
    return combinations


class TuningBar:
    """A bar that counts trials."""

    def __init__(self, name: str, *, show: bool) -> None:
        self._name, self._show = name, show
        self._bar: tqdm[NoReturn] | None = None
        self._shown: Progress | None = None

    def show(self, progress: Progress) -> None:
        """Show how far the search has come; nothing where nothing is to be shown.

        What is no screen, a log file say, gets a line for each change only, not for each look.
        """
        known = attrs.evolve(progress, seconds_left=None)
        if not self._show or (known == self._shown and not sys.stderr.isatty()):
            return
        self._shown = known
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=progress.total, desc=f"tuning {self._name}", bar_format=_FORMAT)
        self._bar.set_postfix_str(str(progress), refresh=False)
        self._bar.n = progress.done
        self._bar.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
