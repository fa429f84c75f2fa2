"""The plot of how long steps take, and where their time goes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from sagemaker_dogbreed.analysis.figures import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Figure,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    PercentFormatter,
)
from sagemaker_dogbreed.analysis.labels import plain, seconds_text
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Phases

PARTS = {
    "data": VERMILION,
    "copy": ORANGE,
    "forward": SKY,
    "backward": BLUE,
    "optimizer": PURPLE,
    "other": GREY,
}
"""Colors of a step's phases by name; ``other`` is the loop's own and what has no name here."""

MODES = {"train": "training", "evaluate": "evaluation", "extract": "extraction"}
_DEVIATIONS = 3  # standard deviations from the mean, as rule StepOutlier has it
_BINS = 40
_ON_COLOR = "#111111"  # readable on all of them, light page or dark


def steps_of(history: History, mode: str) -> list[Phases]:
    """Return the records of a mode's steps whose time is known."""
    return [each for each in history.phases if each.mode == mode and 0 < each.total < math.inf]


def outlier_limit(seconds: Sequence[float]) -> float:
    """Return from where on a step's time is an outlier: three standard deviations above the mean."""
    return statistics.fmean(seconds) + _DEVIATIONS * statistics.pstdev(seconds)


def shares(history: History, mode: str) -> dict[str, float]:
    """Return each phase's share, 0 to 1, of the time that a mode's steps took; empty without steps.

    >>> steps = [Phases(time=0, node="rank-0", mode="train", step=0, total=2.0, parts={"data": 1.5})]
    >>> shares(History(phases=steps), "train")
    {'data': 0.75, 'copy': 0.0, 'forward': 0.0, 'backward': 0.0, 'optimizer': 0.0, 'other': 0.25}
    """
    steps = steps_of(history, mode)
    if not steps:
        return {}
    total = math.fsum(step.total for step in steps)
    named = [name for name in PARTS if name != "other"]
    found = {
        name: math.fsum(part for step in steps if math.isfinite(part := step.parts.get(name, 0.0))) / total
        for name in named
    }
    return {**found, "other": max(0.0, 1 - sum(found.values()))}


def headline(history: History) -> str:
    """Return what the plot shows in a sentence."""
    steps = [each.total for each in steps_of(history, "train")]
    if not steps:
        return "No training steps were timed"
    limit = outlier_limit(steps)
    outliers = sum(each > limit for each in steps)
    largest, share = max(shares(history, "train").items(), key=lambda item: item[1])
    return (
        f"A training step takes {seconds_text(statistics.median(steps))} at the median, {share:.0%}".replace(
            "%", " %"
        )
        + f" of the time in {largest}; {outliers:,} of {len(steps):,} are outliers"
    )


def draw(figure: Figure, history: History, *, stacked: bool) -> None:
    """Draw a histogram of training steps' times, and bars of where the time goes in each mode."""
    histogram, bars = figure.subplots(2, 1, height_ratios=(3, 2)) if stacked else figure.subplots(1, 2)
    _histogram(histogram, [each.total for each in steps_of(history, "train")])
    _bars(bars, history)
    handles, texts = bars.get_legend_handles_labels()
    figure.legend(
        handles, texts, loc="outside lower right" if not stacked else "outside lower left",
        ncols=3 if stacked else 6, frameon=False, fontsize=10,
    )  # fmt: skip


def _histogram(axes: Any, seconds: Sequence[float]) -> None:
    axes.set_ylabel("training steps")
    axes.set_xlabel("time of a step")
    if not seconds:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "none were timed", ha="center", transform=axes.transAxes, color=GREY)
        return
    low, high = min(seconds), max(seconds)
    if low == high:
        low, high = low * 0.9, high * 1.1
    edges = np.geomspace(low, high, _BINS + 1)
    edges[0], edges[-1] = low, high  # rounding must leave no step outside
    limit = outlier_limit(seconds)
    usual, far = ([each for each in seconds if (each > limit) == beyond] for beyond in (False, True))
    axes.hist(
        [usual, far], bins=edges, stacked=True, color=[BLUE, VERMILION], edgecolor="white", linewidth=0.5
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: seconds_text(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    median = statistics.median(seconds)
    axes.axvline(median, color=INK, linewidth=1.2, zorder=4)
    axes.annotate(
        f" median {seconds_text(median)}", (median, 1), xycoords=axes.get_xaxis_transform(),
        va="bottom", ha="left", fontsize=9, color=INK,
    )  # fmt: skip
    if far:
        axes.annotate(
            f"{len(far):,} outlier{'s' * (len(far) != 1)}", (0.99, 0.9), xycoords="axes fraction",
            ha="right", fontsize=10, color=VERMILION,
        )  # fmt: skip


def _bars(axes: Any, history: History) -> None:
    modes = [mode for mode in MODES if steps_of(history, mode)]
    for place, mode in enumerate(modes):
        left = 0.0
        for name, share in shares(history, mode).items():
            axes.barh(
                [place], [share], left=left, height=0.55, color=PARTS[name], edgecolor="white",
                linewidth=0.5, label=name if not place else None,
            )  # fmt: skip
            if share >= 0.12:
                axes.text(
                    left + share / 2,
                    place,
                    f"{share:.0%}".replace("%", " %"),
                    ha="center",
                    va="center",
                    fontsize=9,
                    color=_ON_COLOR,
                )
            left += share
    medians = [statistics.median(each.total for each in steps_of(history, mode)) for mode in modes]
    axes.set_yticks(
        range(len(modes)),
        [f"{plain(MODES[mode])}\n{seconds_text(each)}" for mode, each in zip(modes, medians, strict=True)],
    )
    axes.set_ylim(len(modes) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_xlabel("share of the time of all steps")
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
