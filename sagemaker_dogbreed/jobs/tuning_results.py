"""What a search has found: its trials, best first, as a table."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import attrs

from sagemaker_dogbreed.errors import JobError, MissingExtraError
from sagemaker_dogbreed.specs.frozen_mapping import frozen
from sagemaker_dogbreed.specs.tuning import Objective

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Value = int | float | str

COMPLETED, FAILED, STOPPED, IN_PROGRESS = "Completed", "Failed", "Stopped", "InProgress"


@attrs.frozen(kw_only=True)
class Trial:
    """One trial of a search.

    Attributes:
        name: Its training job's; in a single job, the trial's own.
        status: ``Completed``, ``Failed``, ``Stopped`` or ``InProgress``.
        hyperparameters: Those that are searched, by name.
        value: The objective's last value; None where there is none.
        seconds: How long it ran; None where it has not ended.
        failure_reason: Why it failed; None where it did not.
        metrics: The last value of each metric that it reported.
    """

    name: str
    status: str
    hyperparameters: Mapping[str, Value] = attrs.field(converter=frozen)
    value: float | None = None
    seconds: int | None = None
    failure_reason: str | None = None
    metrics: Mapping[str, float] = attrs.field(factory=dict, converter=frozen)

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self.status != IN_PROGRESS

    @property
    def counts(self) -> bool:
        """Whether it completed with a value that can be compared."""
        return self.status == COMPLETED and self.value is not None and math.isfinite(self.value)


def _as_tuple(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    return tuple(trials)


@attrs.frozen(repr=False)
class TuningResults(Sequence[Trial]):
    """The trials of a search in the order of their start; printing them shows the best first."""

    objective: Objective
    trials: tuple[Trial, ...] = attrs.field(converter=_as_tuple)

    def __len__(self) -> int:
        return len(self.trials)

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | Sequence[Trial]:
        return self.trials[index]

    @property
    def ranked(self) -> tuple[Trial, ...]:
        """The trials, best first: completed ones by their value, then the others by their start."""
        sign = 1 if self.objective.goal == "Minimize" else -1
        return tuple(
            sorted(
                self.trials,
                key=lambda trial: (
                    (0, sign * trial.value) if trial.counts and trial.value is not None else (1, 0.0)
                ),
            )
        )

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best value; None where none has completed."""
        return next((trial for trial in self.ranked if trial.counts), None)

    @property
    def best_hyperparameters(self) -> Mapping[str, Value]:
        """What the best trial was given; for ``TrainingSpec.with_hyperparameters``.

        Raises:
            JobError: No trial has completed.
        """
        if self.best is None:
            raise JobError(f"no trial has completed with a {self.objective.metric}")
        return self.best.hyperparameters

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with a row for each trial, best first.

        Its columns are ``name``, ``status``, each hyperparameter, the objective's metric, ``seconds``,
        ``failure_reason`` and the further metrics.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError("pandas", "reports", "a table of trials as a DataFrame") from error
        rows = [self._row(trial) for trial in self.ranked]
        return pd.DataFrame(rows, columns=list(dict.fromkeys(name for row in rows for name in row)))

    def plot_history(self) -> Figure:
        """Plot the trials' values in the order of their start, and the best so far.

        As ``analysis.tuning_plots.plot_history`` does.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from sagemaker_dogbreed.analysis import tuning_plots

        return tuning_plots.plot_history(self)

    def plot_parallel_coordinates(self) -> Figure:
        """Plot each trial as a line over its hyperparameters to its value.

        As ``analysis.tuning_plots.plot_parallel_coordinates`` does.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from sagemaker_dogbreed.analysis import tuning_plots

        return tuning_plots.plot_parallel_coordinates(self)

    def plot_parameter_importance(self) -> Figure:
        """Plot how much each hyperparameter explains of the trials' differences.

        As ``analysis.tuning_plots.plot_parameter_importance`` does.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from sagemaker_dogbreed.analysis import tuning_plots

        return tuning_plots.plot_parameter_importance(self)

    def __repr__(self) -> str:
        return f"TuningResults(objective={self.objective!r}, {len(self)} trials)"

    def __str__(self) -> str:
        header, rows = self._table()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [header, *rows]
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        header, rows = self._table()
        body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
        return f"<table><thead><tr>{_cells('th', header)}</tr></thead><tbody>{body}</tbody></table>"

    def _row(self, trial: Trial) -> dict[str, Any]:
        named = {name: trial.hyperparameters.get(name) for name in self._searched()}
        return {
            "name": trial.name,
            "status": trial.status,
            **named,
            self.objective.metric: trial.value,
            "seconds": trial.seconds,
            "failure_reason": trial.failure_reason,
            **{name: value for name, value in trial.metrics.items() if name != self.objective.metric},
        }

    def _searched(self) -> list[str]:
        return list(dict.fromkeys(name for trial in self.trials for name in trial.hyperparameters))

    def _table(self) -> tuple[list[str], list[list[str]]]:
        searched = self._searched()
        header = ["trial", "status", *searched, self.objective.metric, "seconds"]
        rows = [
            [
                trial.name,
                trial.status,
                *(_text(trial.hyperparameters.get(name)) for name in searched),
                _text(trial.value),
                _text(trial.seconds),
            ]
            for trial in self.ranked
        ]
        return header, rows


def _text(value: Value | None) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)
