"""The plot of losses and accuracies over the epochs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sagemaker_dogbreed.analysis.figures import (
    BLUE,
    GREY,
    INK,
    VERMILION,
    Figure,
    FuncFormatter,
    MaxNLocator,
    PercentFormatter,
)
from sagemaker_dogbreed.analysis.scales import short, wants_log
from sagemaker_dogbreed.analysis.series import finite, thinned
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Epoch, Step

_SPLITS = (("train", "training", VERMILION, "s"), ("valid", "validation", BLUE, "o"))
_MANY_EPOCHS = 40  # with more, each need not have a mark
_MOST_POINTS = 400  # of steps


def best_epoch(history: History) -> Epoch | None:
    """Return the epoch with the lowest validation loss, the first of several; None where there is none."""
    losses = [(each.measures.get("valid_loss", math.nan), each) for each in history.epochs]
    numbers = [(loss, each) for loss, each in losses if math.isfinite(loss)]
    return min(numbers, key=lambda item: item[0])[1] if numbers else None


def headline(history: History) -> str:
    """Return what the plot shows in a sentence."""
    best, last = best_epoch(history), history.epochs[-1].epoch if history.epochs else 0
    if best is None:
        return "No epoch with a validation loss yet"
    parts = [f"Best validation loss {short(best.measures['valid_loss'])} in epoch {best.epoch} of {last}"]
    top_1 = best.measures.get("valid_top_1", math.nan)
    if math.isfinite(top_1):
        parts.append(f"top-1 {top_1:.1%}".replace("%", " %"))
    return ", ".join(parts)


def draw(figure: Figure, history: History, *, stacked: bool) -> None:
    """Draw loss and top-1, each with training and validation in one plot."""
    loss, top_1 = figure.subplots(2, 1, sharex=True) if stacked else figure.subplots(1, 2)
    _panel(loss, history, "loss", lambda step: step.loss)
    _panel(top_1, history, "top_1", lambda step: step.top_1)
    loss.set_ylabel("loss (nats)")
    top_1.set_ylabel("top-1 accuracy")
    top_1.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    for axes in (top_1,) if stacked else (loss, top_1):
        axes.set_xlabel("epoch" if history.epochs else "step")
    for axes in (loss, top_1):
        axes.grid(axis="y", alpha=0.25)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlim(0, 1.02 * max([*_places(history), *(each.epoch for each in history.epochs), 1]))
    handles, texts = loss.get_legend_handles_labels()
    if handles:
        columns = 2 if stacked else 6
        figure.legend(handles, texts, loc="outside lower left", ncols=columns, frameon=False, fontsize=10)


def _panel(axes: Any, history: History, measure: str, of_step: Callable[[Step], float]) -> None:
    places = _places(history)
    values = [of_step(step) for step in history.steps]
    _recorded_steps(axes, history.steps, places, values)
    _not_numbers(axes, places, values)
    shown = finite(values)
    for split, words, color, mark in _SPLITS:
        by_epoch = [each.measures.get(f"{split}_{measure}", math.nan) for each in history.epochs]
        if finite(by_epoch):
            axes.plot(
                [each.epoch for each in history.epochs],
                [value if math.isfinite(value) else math.nan for value in by_epoch],
                color=color,
                marker=mark if len(by_epoch) <= _MANY_EPOCHS else None,
                markersize=4,
                linewidth=1.8,
                label=words,
                zorder=3,
            )
            shown += finite(by_epoch)
    best = best_epoch(history)
    if best is not None:
        value = best.measures.get(f"valid_{measure}", math.nan)
        axes.axvline(best.epoch, color=GREY, linewidth=0.8, alpha=0.6, zorder=1)
        axes.scatter(
            [best.epoch], [value], marker="*", s=170, facecolors=BLUE, edgecolors="white", zorder=4,
            label=f"best: epoch {best.epoch}",
        )  # fmt: skip
    _resumptions(axes, history)
    if measure == "loss" and wants_log(shown):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: short(value)))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda _value, _position: ""))
    if not shown:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no numbers", ha="center", transform=axes.transAxes, color=GREY)


def _recorded_steps(
    axes: Any, steps: Sequence[Step], places: Sequence[float], values: Sequence[float]
) -> None:
    """Draw steps that follow each other as a line, and those whose neighbours were skipped as points."""
    if not finite(values):
        return
    ends = [after for after, (one, two) in enumerate(itertools.pairwise(steps), 1) if two.step - one.step > 1]
    runs = list(itertools.pairwise([0, *ends, len(steps)]))
    label = "recorded steps" if len(steps) <= _MOST_POINTS else "recorded steps, averaged"
    line_x, line_y = [], []
    for start, end in runs:
        if end - start > 1:
            share = max(2, _MOST_POINTS * (end - start) // len(steps))
            series = thinned(places[start:end], values[start:end], share)
            line_x += [*series.places, math.nan]  # a gap to the next
            line_y += [*series.means, math.nan]
    if line_x:
        axes.plot(line_x[:-1], line_y[:-1], color=VERMILION, linewidth=0.8, alpha=0.4, label=label)
    alone = [start for start, end in runs if end - start == 1]
    if alone:
        series = thinned([places[each] for each in alone], [values[each] for each in alone], _MOST_POINTS)
        axes.plot(
            series.places, series.means, color=VERMILION, linestyle="none", marker="o", markersize=2.5,
            markeredgewidth=0, alpha=0.55, label=None if line_x else label,
        )  # fmt: skip


def _not_numbers(axes: Any, places: Sequence[float], values: Sequence[float]) -> None:
    broken = [place for place, value in zip(places, values, strict=True) if not math.isfinite(value)]
    if broken:
        axes.scatter(
            thinned(broken, broken, 100).places,
            [0.03] * min(len(broken), 100),
            transform=axes.get_xaxis_transform(),
            marker="x",
            color=INK,
            label="not a number",
            clip_on=False,
            zorder=5,
        )


def _resumptions(axes: Any, history: History) -> None:
    for number, each in enumerate(history.resumptions):
        axes.axvline(
            each.epoch if history.epochs else each.step,
            color=INK,
            linewidth=1.2,
            linestyle=(0, (2, 3)),
            label=None if number else "resumed",
            zorder=2,
        )


def _places(history: History) -> list[float]:
    """Return where each step is between the epochs' ends; where there are no epochs, its number."""
    steps = [step.step for step in history.steps]
    if not history.epochs:
        return [float(step) for step in steps]
    ends = [(-1, 0.0), *((each.step, float(each.epoch)) for each in history.epochs)]
    last_step, last_epoch = ends[-1]
    before_step, before_epoch = ends[-2]
    # What comes after the last epoch's end goes on at its pace.
    pace = (last_epoch - before_epoch) / max(last_step - before_step, 1)
    ends.append((last_step + 10**9, last_epoch + pace * 10**9))
    at = np.interp(steps, [step for step, _ in ends], [epoch for _, epoch in ends])
    return [float(place) for place in at]
