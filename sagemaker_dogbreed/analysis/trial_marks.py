"""How a trial looks in every plot: its mark says how it ended, whatever colors can be seen."""

from __future__ import annotations

from typing import Any

from sagemaker_dogbreed.analysis.figures import BLUE, GREY, INK, VERMILION
from sagemaker_dogbreed.analysis.scales import short
from sagemaker_dogbreed.analysis.trials import (
    COMPLETED,
    FAILED,
    RUNNING,
    STOPPED,
    ResultsLike,
    scored,
    status_of,
)

MARKS: dict[str, dict[str, Any]] = {
    COMPLETED: {"marker": "o", "s": 44, "facecolors": BLUE, "edgecolors": "white", "linewidths": 0.6},
    STOPPED: {"marker": "s", "s": 40, "facecolors": "white", "edgecolors": GREY, "linewidths": 1.6},
    RUNNING: {"marker": "d", "s": 60, "facecolors": "white", "edgecolors": BLUE, "linewidths": 1.6},
    FAILED: {"marker": "x", "s": 50, "color": INK, "linewidths": 1.8},
}
"""Arguments of matplotlib's ``scatter`` by status."""

STAR: dict[str, Any] = {"marker": "*", "s": 300, "facecolors": VERMILION, "edgecolors": "white"}
"""Likewise, for the best trial."""

WORDS = {COMPLETED: "completed", STOPPED: "stopped", RUNNING: "running", FAILED: "failed"}
"""A status in a plot."""


def objective_label(results: ResultsLike, separator: str = " ") -> str:
    """Return the objective with its unit and the better direction."""
    metric = results.objective.metric
    unit = "nats" if metric.endswith("Loss") else "share of images"
    better = "lower" if results.objective.goal == "Minimize" else "higher"
    return f"{metric}{separator}({unit}; {better} is better)"


def explain(axes: Any, results: ResultsLike) -> None:
    """Give the axes entries of the legend for the marks that occur."""
    for status, mark in MARKS.items():
        count = sum(status_of(trial) == status for trial in results.trials)
        if count:
            axes.scatter([], [], label=f"{count} {WORDS[status]}", **mark)
    if best := scored(results):
        index, value = best[0]
        equals = sum(other == value for _, other in best)
        label = f"best: {short(value)}, trial {index + 1}" + (
            f", first of {equals} equal" if equals > 1 else ""
        )
        axes.scatter([], [], label=label, **STAR)
