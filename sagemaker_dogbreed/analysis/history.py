"""The plot of trials in the order in which they began."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sagemaker_dogbreed.analysis.figures import GREY, INK
from sagemaker_dogbreed.analysis.scales import short, wants_log
from sagemaker_dogbreed.analysis.trial_marks import MARKS, STAR, explain, objective_label
from sagemaker_dogbreed.analysis.trials import ResultsLike, scored, status_of, value_of


def draw(figure: Figure, results: ResultsLike) -> None:
    """Draw the trials' values, the best so far, and below them the trials without a value."""
    values = [value_of(trial) for trial in results.trials]
    numbers = [value for value in values if value is not None]
    strip_wanted = len(numbers) < len(values)
    if strip_wanted:
        axes, strip = _axes_and_strip(figure)
    else:
        axes = strip = figure.subplots()
    _best_so_far(axes, results)
    for status, mark in MARKS.items():
        there = [index for index, trial in enumerate(results.trials) if status_of(trial) == status]
        valued = [index for index in there if values[index] is not None]
        without = [index for index in there if values[index] is None]
        axes.scatter([index + 1 for index in valued], [values[index] for index in valued], zorder=3, **mark)
        if strip_wanted:
            strip.scatter([index + 1 for index in without], [0] * len(without), zorder=3, **mark)
    if best := scored(results):
        axes.scatter([best[0][0] + 1], [best[0][1]], zorder=4, **STAR)
    if wants_log(numbers):
        _logarithmic(axes, max(numbers) / min(numbers))
    if not numbers:
        axes.set_yticks([])
        axes.text(
            0.5, 0.5, "No trial has a value.", ha="center", transform=axes.transAxes, color=GREY, fontsize=12
        )
    axes.grid(axis="y", alpha=0.25)
    axes.set_ylabel(objective_label(results, "\n"))
    explain(axes, results)
    strip.set_xlabel("trial, in order of start")
    strip.set_xlim(0.4, len(values) + 0.6)
    every = MaxNLocator(12, integer=True) if len(values) > 20 else FixedLocator(range(1, len(values) + 1))
    strip.xaxis.set_major_locator(every)
    figure.legend(loc="outside lower left", ncols=4, frameon=False, fontsize=10, handletextpad=0.3)


def _axes_and_strip(figure: Figure) -> tuple[Any, Any]:
    axes, strip = figure.subplots(2, 1, sharex=True, height_ratios=(8, 1))
    axes.tick_params(bottom=False)
    axes.spines["bottom"].set_visible(False)
    strip.set_ylim(-1, 1)
    strip.set_yticks([0], ["no value"])
    strip.tick_params(left=False)
    strip.set_facecolor("#F3F4F6")
    return axes, strip


def _best_so_far(axes: Any, results: ResultsLike) -> None:
    order = sorted(scored(results))
    if len(order) < 2:
        return
    better = min if results.objective.goal == "Minimize" else max
    best = [better(value for _, value in order[: end + 1]) for end in range(len(order))]
    places = [index + 1 for index, _ in order]
    axes.step(
        [*places, len(results.trials) + 0.6],
        [*best, best[-1]],
        where="post",
        color=INK,
        linewidth=1.4,
        alpha=0.7,
        label="best so far",
    )


def _logarithmic(axes: Any, ratio: float) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 200 else (1,), numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: short(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
