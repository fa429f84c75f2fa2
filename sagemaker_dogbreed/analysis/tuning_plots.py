"""Plots of a tuning job's results: how the search went, what was tried, what mattered.

They are matplotlib figures: a notebook shows them, ``figure.savefig("history.png")`` writes them. Failed,
stopped and running trials have marks of their own, and the best trial has a star.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_dogbreed.analysis.parameter_importance import parameter_importance
from sagemaker_dogbreed.analysis.scales import short
from sagemaker_dogbreed.analysis.trials import ResultsLike, scored, tuned_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_history(results: ResultsLike) -> Figure:
    """Plot each trial's objective in the order in which trials began, and the best so far.

    The axis is logarithmic where the values call for it. Trials without a value are in a strip below.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from sagemaker_dogbreed.analysis import figures, history

    with figures.drawn(_headline(results), 4.6) as figure:
        if results.trials:
            history.draw(figure, results)
        else:
            figures.say(figure, "There are no trials yet.")
    return figure


def plot_parallel_coordinates(results: ResultsLike) -> Figure:
    """Plot each trial as a line over its hyperparameters to its objective; darker lines did better.

    Axes are logarithmic where the values call for it. Where trials share a choice their lines are spread
    a little, to be told apart. Trials without a value end below the objective's axis.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from sagemaker_dogbreed.analysis import figures, parallel_coordinates

    names = tuned_names(results)
    with figures.drawn(_headline(results), 5.0, max(figures.WIDTH, 1.4 * (len(names) + 1))) as figure:
        if names:
            parallel_coordinates.draw(figure, results, names)
        else:
            figures.say(figure, "There are no trials yet.")
    return figure


def plot_parameter_importance(results: ResultsLike) -> Figure:
    """Plot how much of the difference between completed trials each hyperparameter explains by itself.

    The measure, and what it cannot tell, is described at ``parameter_importance``: above all, combined
    effects are not seen, and few trials tell little. Bars that pass their mark of chance are blue, the
    others are grey.

    Raises:
        MissingExtraError: matplotlib or numpy is not installed.
    """
    from sagemaker_dogbreed.analysis import figures, importance_bars

    found, count = parameter_importance(results), len(scored(results))
    title = f"Importance of hyperparameters for {results.objective.metric}"
    with figures.drawn(title, 1.7 + 0.5 * max(len(found), 1)) as figure:
        if any(each.share is not None for each in found):
            importance_bars.draw(figure, found, count)
        else:
            trials = "1 completed trial" if count == 1 else f"{count} completed trials"
            figures.say(figure, f"Nothing can be told from {trials}.")
    return figure


def _headline(results: ResultsLike) -> str:
    metric, best, count = results.objective.metric, scored(results), len(results.trials)
    if not best:
        return f"{metric}: no completed trial" + (f" of {count}" if count else "")
    index, value = best[0]
    return f"{metric}: {short(value)} at best, trial {index + 1} of {count}"
