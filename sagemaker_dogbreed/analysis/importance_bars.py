"""The plot of hyperparameters' importance, with the level that chance reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from sagemaker_dogbreed.analysis.figures import BLUE, FAINT, GREY, INK, VERMILION
from sagemaker_dogbreed.analysis.parameter_importance import ParameterImportance

_RIGHT = 1.02  # where the numbers stand, beyond the axis of shares


def draw(figure: Figure, found: Sequence[ParameterImportance], trials: int) -> None:
    """Draw a bar for each hyperparameter, the first on top; ``trials`` is how many they are from."""
    axes: Any = figure.subplots()
    for row, each in enumerate(found):
        if each.share is None or each.chance is None:
            axes.text(_RIGHT, row, "cannot be told", va="center", color=GREY)
            continue
        color = BLUE if each.stands_out else FAINT
        axes.barh(row, each.share, height=0.6, color=color, edgecolor=GREY, linewidth=0.6)
        mark: dict[str, Any] = {"color": VERMILION, "linewidth": 2.5, "clip_on": False}
        axes.plot([each.chance] * 2, [row - 0.4, row + 0.4], **mark)
        told = f"{100 * each.share:.0f} %" + ("" if each.stands_out else ", as by chance")
        axes.text(_RIGHT, row, told, va="center", color=INK if each.stands_out else GREY)
    axes.plot([], [], color=VERMILION, linewidth=2.5, label="chance alone seldom passes this mark")
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda share, _position: f"{100 * share:.0f} %")
    axes.set_xlabel(f"of the differences between {trials} completed trials, explained by it alone")
    axes.set_yticks(range(len(found)), [each.name for each in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    figure.legend(loc="outside lower left", frameon=False, fontsize=10)
