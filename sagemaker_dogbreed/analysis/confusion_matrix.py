"""The plot of which classes are taken for which."""

from __future__ import annotations

import unicodedata
from typing import Any, NamedTuple

from sagemaker_dogbreed.analysis.evaluation import Evaluation
from sagemaker_dogbreed.analysis.figures import BLUE, FAINT, GREY, VERMILION, Figure, Rectangle
from sagemaker_dogbreed.analysis.labels import plain

OTHERS = "all others"
_LONGEST_NAME = 26  # characters
_STRONGEST = 0.6  # opacity of a cell that has a whole row's images: its number stays readable


class Shown(NamedTuple):
    """The part of a confusion matrix that is drawn: names, and counts by row (true) and column."""

    names: list[str]
    counts: list[list[int]]


def shown(evaluation: Evaluation, most: int) -> Shown:
    """Return the whole matrix, or of many classes those with the most errors, and one for the rest."""
    classes = evaluation.classes
    order = sorted(range(len(classes)), key=lambda place: -classes[place].errors)
    whole = len(classes) <= most
    kept = sorted(order if whole else order[: most - 1])
    places = {number: place for place, number in enumerate(kept)}
    size = len(kept) + (not whole)
    counts = [[0] * size for _ in range(size)]
    cells = [(place, place, row.right) for place, row in enumerate(classes)]
    for true, predicted, count in (*cells, *evaluation.confusion):
        counts[places.get(true, size - 1)][places.get(predicted, size - 1)] += count
    return Shown([classes[number].name for number in kept] + [OTHERS] * (not whole), counts)


def headline(evaluation: Evaluation) -> str:
    """Return what the plot shows in a sentence."""
    if not evaluation.images or evaluation.top_1 is None:
        return "No images were evaluated"
    wrong = round((1 - evaluation.top_1) * evaluation.images)
    sentence = f"{wrong:,} of {evaluation.images:,} test images are classified wrongly"
    if evaluation.confused:
        pair = evaluation.confused[0]
        sentence += f", most often {pair.true:.40} as {pair.predicted:.40} ({pair.images:,})"
    return sentence


def longest_name(matrix: Shown) -> int:
    """Return how wide the longest name is, as it is written, in Latin characters: others take two."""
    return max((_wide(name[:_LONGEST_NAME]) for name in matrix.names), default=0)


def _wide(name: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1 for letter in name)


def draw(figure: Figure, matrix: Shown, *, narrow: bool) -> None:
    """Draw the matrix: a row for each true class, colored by the share of its images."""
    axes: Any = figure.subplots()
    size = len(matrix.names)
    crowded = size > 16
    for true, row in enumerate(matrix.counts):
        total = sum(row)
        for predicted, count in enumerate(row):
            if not count:
                continue
            axes.add_patch(
                Rectangle(
                    (predicted - 0.5, true - 0.5), 1, 1, linewidth=0,
                    facecolor=_color(matrix, true, predicted),
                    alpha=_STRONGEST * (0.15 + 0.85 * count / total),
                )
            )  # fmt: skip
            number = axes.text(
                predicted, true, _count(count), ha="center", va="center", fontsize=8 if crowded else 9
            )
            number.set_in_layout(False)  # it is within the axes, and finding that out takes long
    small = crowded or narrow
    names = [plain(name, 14 if narrow else _LONGEST_NAME) for name in matrix.names]
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_yticks(range(size), names, fontsize=9 if small else 10)
    axes.set_xticks(
        range(size), names, rotation=90 if small else 35, ha="right",
        va="center" if small else "top", rotation_mode="anchor", fontsize=9 if small else 10,
    )  # fmt: skip
    axes.set_xticks([place - 0.5 for place in range(1, size)], minor=True)
    axes.set_yticks([place - 0.5 for place in range(1, size)], minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.7)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(GREY)


def _color(matrix: Shown, true: int, predicted: int) -> str:
    if true != predicted:
        return VERMILION
    return GREY if matrix.names[true] == OTHERS else BLUE  # among all others are right and wrong ones


def _count(count: int) -> str:
    if count < 1000:
        return str(count)
    return f"{count / 1000:.1f}k" if count < 10_000 else f"{count / 1000:.0f}k"
