"""Plots of one training: what it learned, how its gradients were, what the machine did, where time went.

They are matplotlib figures: a notebook shows them, ``figure.savefig("curves.png")`` writes them. Each
takes a width in inches; below 6, parts that are side by side come below each other.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sagemaker_dogbreed.analysis.evaluation import Evaluation
    from sagemaker_dogbreed.container.debugging.history import History

_NARROW = 6.0  # inches


def plot_learning_curves(history: History, *, width: float = 8.0) -> Figure:
    """Plot loss and top-1 over the epochs, of training and validation in one plot.

    Behind them are the recorded steps', faintly: lines where they follow each other, points where others
    between them were not recorded. A star marks the epoch with the lowest validation loss,
    dotted lines where training went on after an interruption, crosses what was not a number.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from sagemaker_dogbreed.analysis import figures, learning_curves

    stacked = width < _NARROW
    with _drawn(learning_curves.headline(history), 6.0 if stacked else 3.9, width) as figure:
        if history.steps or history.epochs:
            learning_curves.draw(figure, history, stacked=stacked)
        else:
            figures.say(figure, "No training steps were recorded.")
    return figure


def plot_gradient_health(history: History, *, width: float = 8.0) -> Figure:
    """Plot gradients' norms, and updates over weights, by layer and step, on logarithmic axes.

    Of many layers the first and the last stand out, in the order in which they were recorded. Where one step
    was sampled, the plot is over the layers. Triangles mark what is exactly zero, crosses what is not a
    number.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from sagemaker_dogbreed.analysis import figures, gradient_health

    stacked = width < _NARROW
    height = 6.4 if stacked else 3.9
    sentence = gradient_health.single_values(history)
    with _drawn(gradient_health.headline(history), 1.6 if sentence else height, width) as figure:
        if sentence:
            figures.say(figure, sentence)
        elif gradient_health.gradient_norms(history) or gradient_health.update_ratios(history):
            gradient_health.draw(figure, history, stacked=stacked)
        else:
            figures.say(figure, "No tensors were recorded.")
    return figure


def plot_system(history: History, *, width: float = 8.0) -> Figure:
    """Plot processors, GPUs, memory, disks and network over time, with the job's phases as bands.

    Of several processes it is the first one's machine.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from sagemaker_dogbreed.analysis import figures, system_timeline

    rows = 5 if any(each.gpu for each in history.system) else 4
    height = 1.7 + 1.25 * rows if history.system else 3.9
    with _drawn(system_timeline.headline(history), height, width) as figure:
        if history.system:
            system_timeline.draw(figure, history, narrow=width < _NARROW)
        else:
            figures.say(figure, "The machine was not measured.")
    return figure


def plot_steps(history: History, *, width: float = 8.0) -> Figure:
    """Plot a histogram of the training steps' times, and where the time goes by mode and phase.

    Outliers are steps that took three standard deviations longer than the mean, or more. Counts are
    on a logarithmic scale, so that a single outlier is seen among thousands of steps.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from sagemaker_dogbreed.analysis import figures, step_times

    stacked = width < _NARROW
    with _drawn(step_times.headline(history), 5.6 if stacked else 3.7, width) as figure:
        if any(step_times.steps_of(history, mode) for mode in step_times.MODES):
            step_times.draw(figure, history, stacked=stacked)
        else:
            figures.say(figure, "No steps were timed.")
    return figure


def plot_confusion(evaluation: Evaluation, *, width: float = 8.0) -> Figure:
    """Plot which classes are taken for which, colored by the share of the true class's images.

    Of more classes than can be read it shows those with the most errors, and all others as one.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from sagemaker_dogbreed.analysis import confusion_matrix, figures

    narrow = width < _NARROW
    matrix = confusion_matrix.shown(evaluation, 10 if narrow else 24)
    size = len(matrix.names)
    room = 0.085 * confusion_matrix.longest_name(matrix)  # inches that names take
    width = min(width, 2.2 + room + 0.45 * size)
    height = width if narrow else min(width, 1.8 + room + 0.4 * size)
    with _drawn(confusion_matrix.headline(evaluation), height, width) as figure:
        if evaluation.images:
            confusion_matrix.draw(figure, matrix, narrow=narrow)
        else:
            figures.say(figure, "No images were evaluated.")
    return figure


@contextlib.contextmanager
def _drawn(title: str, height: float, width: float) -> Iterator[Figure]:
    """Make a figure whose title is broken into lines that fit."""
    from sagemaker_dogbreed.analysis import figures
    from sagemaker_dogbreed.analysis.labels import plain

    lines = textwrap.wrap(title, int(width * 8.6))
    with figures.drawn("\n".join(plain(line, 200) for line in lines), height, width) as figure:
        yield figure
