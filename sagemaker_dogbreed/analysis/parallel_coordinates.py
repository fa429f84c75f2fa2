"""The plot of trials as lines over their hyperparameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.figure import Figure

from sagemaker_dogbreed.analysis.figures import GREY, INK, VERMILION
from sagemaker_dogbreed.analysis.scales import Scale, scale_for
from sagemaker_dogbreed.analysis.trial_marks import MARKS, STAR, WORDS, explain, objective_label
from sagemaker_dogbreed.analysis.trials import (
    COMPLETED,
    FAILED,
    RUNNING,
    STOPPED,
    ResultsLike,
    scored,
    status_of,
    value_of,
)

_STYLES = {COMPLETED: "-", STOPPED: (0, (5, 2)), RUNNING: (0, (1, 1)), FAILED: (0, (1, 2.5))}
_NO_VALUE = {FAILED: -0.1, STOPPED: -0.17, RUNNING: -0.24, COMPLETED: -0.31}  # below the objective
_SPREAD = 0.05  # of an axis, to both sides of a choice


def draw(figure: Figure, results: ResultsLike, names: Sequence[str]) -> None:
    """Draw one axis for each name and one for the objective, and a line for each trial."""
    axes: Any = figure.subplots()
    values = {index: value for index, t in enumerate(results.trials) if (value := value_of(t)) is not None}
    goal_scale = scale_for(list(values.values())) if values else None
    ends = {index: goal_scale.places[value] for index, value in values.items()} if goal_scale else {}
    columns = [_places(axes, results, place, name, ends) for place, name in enumerate(names)]
    below = {i: _NO_VALUE[status_of(t)] for i, t in enumerate(results.trials) if i not in ends}
    columns.append(ends | below)
    _axis(axes, len(names), objective_label(results, "\n").replace("; ", ";\n"), goal_scale)
    for status, where in _NO_VALUE.items():
        if where in below.values():
            axes.text(len(names) + 0.06, where, WORDS[status], va="center", fontsize=10, color=INK)
    order = scored(results)
    best = order[0][0] if order else None
    better = 1 if results.objective.goal == "Maximize" else -1
    # The worst first, so that better ones lie over them.
    for index in sorted(
        range(len(results.trials)), key=lambda index: (index in ends, better * ends.get(index, 0))
    ):
        status = status_of(results.trials[index])
        looks: dict[str, Any] = {"color": GREY, "alpha": 0.8, "linewidth": 1.2}
        if status == COMPLETED and index in ends:
            badness = ends[index] if better < 0 else 1 - ends[index]
            looks = {"color": colormaps["viridis"](0.88 * badness), "alpha": 0.85, "linewidth": 1.5}
        if index == best:
            looks = {"color": VERMILION, "linewidth": 3.0, "zorder": 4}
        heights = [column.get(index, float("nan")) for column in columns]
        axes.plot(range(len(columns)), heights, linestyle=_STYLES[status], **looks)
        mark = MARKS[status]
        axes.scatter(
            [len(names)], [heights[-1]], zorder=5, clip_on=False, **(STAR if index == best else mark)
        )
    explain(axes, results)
    if len(order) > 1:
        axes.plot([], [], color=colormaps["viridis"](0.1), linewidth=1.5, label="the darker, the better")
    axes.set_xlim(-0.5, len(names) + 0.5)
    axes.set_ylim(min(below.values(), default=0.0) - 0.06, 1.0 + _SPREAD)
    axes.set_axis_off()
    figure.legend(loc="outside lower left", ncols=4, frameon=False, fontsize=10, handletextpad=0.3)


def _places(
    axes: Any, results: ResultsLike, place: int, name: str, ends: dict[int, float]
) -> dict[int, float]:
    """Draw a hyperparameter's axis; return where on it each trial lies that has the hyperparameter."""
    having = {
        i: trial.hyperparameters[name]
        for i, trial in enumerate(results.trials)
        if name in trial.hyperparameters
    }
    scale = scale_for(list(having.values()))
    _axis(axes, place, name, scale)
    found = {index: scale.places[value] for index, value in having.items()}
    together: defaultdict[float, list[int]] = defaultdict(list)
    for index, where in found.items():
        together[where].append(index)
    if len(together) < len(found):  # spread in the order of the objective, so that lines seldom cross
        for where, sharing in together.items():
            sharing.sort(key=lambda index: ends.get(index, -1.0))
            for number, index in enumerate(sharing):
                shift = 2 * number / (len(sharing) - 1) - 1 if len(sharing) > 1 else 0
                found[index] = where + _SPREAD * shift * min(1.0, (len(sharing) - 1) / 4)
    return found


def _axis(axes: Any, place: int, label: str, scale: Scale | None) -> None:
    axes.plot([place, place], [0, 1], color=INK, linewidth=1.2, zorder=2)
    label += "\n(log scale)" if scale and scale.logarithmic and "\n" not in label else ""
    axes.text(place, 1.09, label, ha="center", va="bottom", fontweight="bold", color=INK, fontsize=10)
    for where, text in (scale.ticks if scale else {}).items():
        axes.plot([place - 0.02, place + 0.02], [where, where], color=INK, linewidth=1.2, zorder=2)
        axes.text(
            place + 0.05,
            where,
            text,
            va="center",
            fontsize=10,
            color=INK,
            zorder=6,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
        )
