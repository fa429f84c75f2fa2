"""The plot of what the machine did while the job ran, under the job's phases."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
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
    MaxNLocator,
)
from sagemaker_dogbreed.analysis.labels import bytes_text, seconds_text, time_unit
from sagemaker_dogbreed.analysis.series import finite, thinned
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Span, System

PHASES = {
    "initialization": GREY,
    "extraction": PURPLE,
    "train": BLUE,
    "evaluation": ORANGE,
    "checkpoint": VERMILION,
    "test": GREEN,
}
"""Colors of the job's phases by name; others are grey."""

_GAP = 10  # times the usual distance between two measurements: then there was none in between
_Line = tuple[str, str, Callable[[System], float]]


def headline(history: History) -> str:
    """Return what the plot shows in a sentence."""
    system = measured(history)
    if not system:
        return "The machine was not measured"
    parts = [f"CPU {_median([_mean(each.cpu) for each in system])} at the median"]
    if any(each.gpu for each in system):
        parts.append(f"GPU {_median([_mean(each.gpu) for each in system])}")
    if memory := finite([each.memory for each in system]):
        parts.append(f"memory {max(memory):.0f} % at most")
    return f"{', '.join(parts)}, in {seconds_text(system[-1].time - system[0].time)}"


def measured(history: History) -> list[System]:
    """Return the measurements of one machine: of the first process that has any."""
    nodes = sorted({each.node for each in history.system})
    return [each for each in history.system if each.node == nodes[0]] if nodes else []


def draw(figure: Figure, history: History, *, narrow: bool) -> None:
    """Draw a strip of the job's phases, and below it a row for each part of the machine."""
    system = measured(history)
    spans = [each for each in history.spans if each.node == system[0].node and math.isfinite(each.seconds)]
    began = min([system[0].time, *(span.time - span.seconds for span in spans)])
    ended = max([system[-1].time, *(span.time for span in spans)])
    unit, sign = time_unit(ended - began)
    rows = _rows(system)
    strip, *panels = figure.subplots(len(rows) + 1, 1, sharex=True, height_ratios=[0.35, *[1.0] * len(rows)])
    _strip(strip, spans, began, unit)
    for axes, (words, percent, lines) in zip(panels, rows, strict=True):
        for name, color, of in lines:
            _line(axes, system, (name, color, of), began, unit, 120 if narrow else 300)
        axes.set_title(words, loc="left", fontsize=10, pad=4)
        axes.grid(axis="y", alpha=0.25)
        if percent:
            axes.set_ylim(0, 104)
            axes.set_yticks([0, 50, 100], ["0", "50", "100 %"])
        else:
            axes.set_ylim(0, max(axes.get_ylim()[1], 1000))  # below a kB there is nothing to see
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: bytes_text(value)))
        _bands(axes, spans, began, unit)
        if len(lines) > 1:
            axes.legend(
                loc="lower right", bbox_to_anchor=(1, 0.98), ncols=len(lines), frameon=False, fontsize=9,
                borderpad=0, handlelength=1.2, columnspacing=1.2,
            )  # fmt: skip
    strip.set_xlim(0, max((ended - began) / unit, 1))
    panels[-1].set_xlabel(f"time since the start ({sign})")
    handles, texts = strip.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, texts, loc="outside lower left", ncols=3 if narrow else 6, frameon=False, fontsize=10
        )


def _rows(system: Sequence[System]) -> list[tuple[str, bool, list[_Line]]]:
    rows: list[tuple[str, bool, list[_Line]]] = [
        (
            "CPU",
            True,
            [
                ("mean", BLUE, lambda each: _mean(each.cpu)),
                ("busiest core", SKY, lambda each: max(finite(each.cpu), default=math.nan)),
                ("I/O wait", VERMILION, lambda each: each.io_wait),
            ],
        )
    ]
    memory: list[_Line] = [("main", BLUE, lambda each: each.memory)]
    if any(each.gpu for each in system):
        rows.append(("GPU", True, [("", BLUE, lambda each: _mean(each.gpu))]))
        memory.append(("GPU", VERMILION, lambda each: _mean(each.gpu_memory)))
    rows.append(("memory", True, memory))
    rows.append(
        (
            "disk, a second",
            False,
            [
                ("read", BLUE, lambda each: each.disk_read),
                ("written", VERMILION, lambda each: each.disk_write),
            ],
        )
    )
    rows.append(
        (
            "network, a second",
            False,
            [
                ("received", BLUE, lambda each: each.network_in),
                ("sent", VERMILION, lambda each: each.network_out),
            ],
        )
    )
    return rows


def _line(axes: Any, system: Sequence[System], line: _Line, began: float, unit: int, most: int) -> None:
    name, color, of = line
    places = [(each.time - began) / unit for each in system]
    values = [of(each) for each in system]
    usual = statistics.median(_distances(places)) if len(places) > 1 else 0.0
    gaps = [index + 1 for index, distance in enumerate(_distances(places)) if distance > _GAP * usual > 0]
    for part, (start, end) in enumerate(itertools.pairwise([0, *gaps, len(places)])):
        series = thinned(places[start:end], values[start:end], most)
        axes.plot(
            series.places,
            series.means,
            color=color,
            linewidth=1.2,
            marker="o" if end - start == 1 else None,
            markersize=4,
            label=name if name and not part else None,
            zorder=3,
        )


def _strip(axes: Any, spans: Sequence[Span], began: float, unit: int) -> None:
    _bands(axes, spans, began, unit, faint=False)
    axes.set_yticks([])
    axes.tick_params(bottom=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    if not spans:
        axes.text(
            0.5,
            0.5,
            "phases were not recorded",
            ha="center",
            va="center",
            transform=axes.transAxes,
            color=GREY,
        )


def _bands(axes: Any, spans: Sequence[Span], began: float, unit: int, *, faint: bool = True) -> None:
    for name in dict.fromkeys([*PHASES, *(span.name for span in spans)]):
        ranges = [
            ((span.time - span.seconds - began) / unit, span.seconds / unit)
            for span in spans
            if span.name == name
        ]
        if ranges:
            known = name in PHASES
            label = (name if known else "other") if not faint else None
            axes.broken_barh(
                ranges, (0, 1), transform=axes.get_xaxis_transform(), facecolors=PHASES.get(name, INK),
                alpha=0.10 if faint else 0.85, linewidth=0, label=label, zorder=0,
            )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    there = finite(values)
    return sum(there) / len(there) if there else math.nan


def _median(values: Sequence[float]) -> str:
    there = finite(values)
    return f"{statistics.median(there):.0f} %" if there else "unknown"


def _distances(places: Sequence[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(places)]
