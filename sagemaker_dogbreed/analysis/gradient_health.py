"""The plot of how large gradients and updates are, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sagemaker_dogbreed.analysis.figures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION
from sagemaker_dogbreed.analysis.labels import plain
from sagemaker_dogbreed.analysis.series import finite, thinned
from sagemaker_dogbreed.container.debugging.history import History

_COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
_RULE_OF_THUMB = 1e-3  # https://cs231n.github.io/neural-networks-3/#ratio
_STRIP = 0.03  # height of the marks of what a logarithmic axis cannot have

Lines = Mapping[str, Sequence[tuple[int, float]]]


def gradient_norms(history: History) -> Lines:
    """Return the gradients' norms by parameter, as pairs of step and norm."""
    return _lines(history, "gradient", "norm")


def update_ratios(history: History) -> Lines:
    """Return each update's norm over its weight's, by parameter, as pairs of step and ratio."""
    return _lines(history, "weight", "update")


def headline(history: History) -> str:
    """Return what the plot shows in a sentence."""
    lines = gradient_norms(history)
    if not lines:
        return "No gradients were recorded"
    broken = sum(tensor.not_finite > 0 for each in history.tensors for tensor in each.tensors.values())
    layers = f"{len(lines)} layer" + "s" * (len(lines) != 1)
    steps = f"{len(history.tensors)} sampled step" + "s" * (len(history.tensors) != 1)
    trouble = f"; infinite or no numbers in {broken}" if broken else ""
    return f"Gradients and updates of {layers}, {steps}{trouble}"


def draw(figure: Figure, history: History, *, stacked: bool) -> None:
    """Draw gradient norms and update ratios over the steps, on logarithmic axes."""
    norms, ratios = figure.subplots(2, 1, sharex=True) if stacked else figure.subplots(1, 2)
    _panel(norms, gradient_norms(history), "norm of the gradient")
    _panel(ratios, update_ratios(history), "update / weight")
    if ratios.get_yscale() == "log":
        ratios.axhline(
            _RULE_OF_THUMB,
            color=INK,
            linewidth=1.2,
            linestyle=(0, (2, 3)),
            zorder=4,
            label="0.001, a rule of thumb for updates",
        )
    for axes in (ratios,) if stacked else (norms, ratios):
        axes.set_xlabel("step")
    handles = {
        text: handle
        for axes in (norms, ratios)
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower left",
            ncols=1 if stacked else 3, frameon=False, fontsize=10,
        )  # fmt: skip


def _lines(history: History, kind: str, statistic: str) -> Lines:
    found: dict[str, list[tuple[int, float]]] = {}
    for each in history.tensors:
        for name, tensor in each.tensors.items():
            value = getattr(tensor, statistic)
            if tensor.kind == kind and value is not None:
                known = value if tensor.not_finite == 0 else math.nan
                found.setdefault(name.partition("/")[2], []).append((each.step, known))
    weights = {name: line for name, line in found.items() if not name.endswith("bias")}
    return weights or found


def _panel(axes: Any, lines: Lines, words: str) -> None:
    axes.set_ylabel(words)
    axes.grid(axis="y", alpha=0.25)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    last = max([1, *(step for line in lines.values() for step, _ in line)])
    axes.set_xlim(-0.02 * last, 1.02 * last)
    several = len(lines) > len(_COLORS)
    for number, (name, line) in enumerate(lines.items()):
        outermost = number in (0, len(lines) - 1)
        look: dict[str, Any] = {"color": _COLORS[number % len(_COLORS)], "label": plain(name, 34)}
        if several and outermost:
            place = "first" if number == 0 else "last"
            look = {"color": BLUE if number == 0 else VERMILION, "label": f"{place}: {plain(name, 28)}"}
        elif several:
            look = {
                "color": GREY,
                "alpha": 0.35,
                "label": f"{len(lines) - 2} between" if number == 1 else None,
            }
        _line(axes, line, {**look, "zorder": 3 if outermost or not several else 2})
    _strip(axes, lines, "x", INK, "not a number", lambda value: not math.isfinite(value))
    _strip(axes, lines, "v", GREY, "exactly zero", lambda value: value == 0)
    positive = [value for line in lines.values() for _, value in line if math.isfinite(value) and value > 0]
    if positive:
        axes.set_yscale("log")
        few = max(positive) / min(positive) < 100
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=7))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no numbers above zero", ha="center", transform=axes.transAxes, color=GREY)


def _line(axes: Any, line: Sequence[tuple[int, float]], look: Mapping[str, Any]) -> None:
    positive = [value if math.isfinite(value) and value > 0 else math.nan for _, value in line]
    series = thinned([step for step, _ in line], positive, 200)
    mark = "o" if len(finite(positive)) <= 12 else None
    axes.plot(series.places, series.means, linewidth=1.5, marker=mark, markersize=4, **look)


def _strip(axes: Any, lines: Lines, mark: str, color: str, words: str, belongs: Any) -> None:
    steps = sorted({step for line in lines.values() for step, value in line if belongs(value)})
    if steps:
        places = thinned(steps, steps, 100).places
        axes.scatter(
            places, [_STRIP] * len(places), transform=axes.get_xaxis_transform(),
            marker=mark, color=color, s=24, label=words, zorder=5, clip_on=False,
        )  # fmt: skip
