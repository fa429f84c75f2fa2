"""The plot of how large gradients and updates are, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sagemaker_dogbreed.analysis.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Figure,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)
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
    sampled = _sampled_steps(history)
    steps = f"{len(sampled)} sampled steps" if len(sampled) != 1 else f"sampled in step {sampled[0]:,} only"
    trouble = f"; infinite or no numbers in {broken}" if broken else ""
    return f"Gradients and updates of {layers}, {steps}{trouble}"


def single_values(history: History) -> str:
    """Return one layer's values in one step in a sentence; of more layers or steps an empty text."""
    norms, ratios = gradient_norms(history), update_ratios(history)
    names = list(dict.fromkeys([*norms, *ratios]))
    sampled = _sampled_steps(history)
    if len(names) != 1 or len(sampled) != 1:
        return ""
    values = [
        f"{words} {f'{value:.3g}' if math.isfinite(value) else 'not a number'}"
        for words, lines in (("the gradient's norm is", norms), ("its update over its weight is", ratios))
        for line in lines.values()
        for _, value in line
    ]
    name = plain(names[0], 60)
    return f"One step was sampled, step {sampled[0]:,}, and one layer, {name}: {', '.join(values)}."


def draw(figure: Figure, history: History, *, stacked: bool) -> None:
    """Draw gradient norms and update ratios over the steps, on logarithmic axes.

    Of one sampled step they are drawn over the layers, from the first to the last.
    """
    over_layers = len(_sampled_steps(history)) == 1
    norms, ratios = figure.subplots(2, 1, sharex=True) if stacked else figure.subplots(1, 2)
    for axes, lines, words in (
        (norms, gradient_norms(history), "norm of the gradient"),
        (ratios, update_ratios(history), "update / weight"),
    ):
        axes.set_ylabel(words)
        axes.grid(axis="y", alpha=0.25)
        if over_layers:
            lines = {name: [(place, line[-1][1])] for place, (name, line) in enumerate(lines.items(), 1)}
        _panel(axes, lines, from_place=1 if over_layers else 0)
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
        axes.set_xlabel("layer, from the first to the last" if over_layers else "step")
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
    # A backbone that joins in after some epochs comes before the head all the same: as in the fullest sample.
    fullest = max(history.tensors, key=lambda each: len(each.tensors), default=None)
    order = [name.partition("/")[2] for name in fullest.tensors] if fullest else []
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in order}
    for each in history.tensors:
        for name, tensor in each.tensors.items():
            value = getattr(tensor, statistic)
            if tensor.kind == kind and value is not None:
                known = value if tensor.not_finite == 0 else math.nan
                found.setdefault(name.partition("/")[2], []).append((each.step, known))
    there = {name: line for name, line in found.items() if line}
    return {name: line for name, line in there.items() if not name.endswith("bias")} or there


def _sampled_steps(history: History) -> list[int]:
    return sorted({each.step for each in history.tensors})


def _panel(axes: Any, lines: Lines, *, from_place: int) -> None:
    """Draw lines over steps, which begin with 0, or points over layers, which begin with 1."""
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    last = max([1, *(place for line in lines.values() for place, _ in line)])
    margin = 0.02 * last if not from_place else 0.9
    axes.set_xlim(from_place - margin, last + margin)
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
                "alpha": 0.8 if from_place else 0.35,
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
        words = "no numbers above zero" if lines else "not recorded"
        axes.text(0.5, 0.5, words, ha="center", transform=axes.transAxes, color=GREY)


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
