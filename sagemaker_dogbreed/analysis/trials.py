"""What is read from a tuning job's trials; results of any origin that have it will do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeGuard

from sagemaker_dogbreed.specs.tuning import Objective

COMPLETED, STOPPED, RUNNING, FAILED = "Completed", "Stopped", "InProgress", "Failed"
"""SageMaker's words for how far a trial has come."""


class TrialLike(Protocol):
    """One trial; ``value`` is the objective's, None where it has none (yet)."""

    @property
    def status(self) -> str: ...
    @property
    def hyperparameters(self) -> Mapping[str, int | float | str]: ...
    @property
    def value(self) -> float | None: ...


class ResultsLike(Protocol):
    """Trials in the order in which they began, and what they were after."""

    @property
    def objective(self) -> Objective: ...
    @property
    def trials(self) -> Sequence[TrialLike]: ...
    @property
    def best(self) -> TrialLike | None: ...


def value_of(trial: TrialLike) -> float | None:
    """Return a trial's value if it is a finite number."""
    return trial.value if trial.value is not None and math.isfinite(trial.value) else None


def status_of(trial: TrialLike) -> str:
    """Return one of the four words; what is queued or stopping has not ended, so it is running."""
    return trial.status if trial.status in (COMPLETED, STOPPED, FAILED) else RUNNING


def scored(results: ResultsLike) -> list[tuple[int, float]]:
    """Return the places and values of the completed trials with one: best first, equals as they began."""
    sign = 1 if results.objective.goal == "Minimize" else -1
    found = [
        (index, value)
        for index, trial in enumerate(results.trials)
        if trial.status == COMPLETED and (value := value_of(trial)) is not None
    ]
    return sorted(found, key=lambda pair: sign * pair[1])


def tuned_names(results: ResultsLike) -> tuple[str, ...]:
    """Return the names of the tuned hyperparameters, in the order in which the trials name them."""
    return tuple(dict.fromkeys(name for trial in results.trials for name in trial.hyperparameters))


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a hyperparameter's value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
