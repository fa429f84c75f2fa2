"""How much of the difference between trials one hyperparameter explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from sagemaker_dogbreed.analysis.trials import ResultsLike, is_number, scored, tuned_names
from sagemaker_dogbreed.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

_SHUFFLES = 2000
_CHANCE = 0.05  # how probable it is that any bar passes its chance level without an effect
_LEVELS = 5  # a number with no more distinct values than these is taken as a choice among them


@attrs.frozen
class ParameterImportance:
    """How much one hyperparameter explains, by itself.

    ``share`` is of the variation between completed trials, from 0 to 1, less what chance explains on
    average; ``chance`` is what it has to pass not to be chance. Both are None where the trials cannot tell.
    """

    name: str
    share: float | None
    chance: float | None

    @property
    def stands_out(self) -> bool:
        """Whether it explains more than chance alone would."""
        return self.share is not None and self.chance is not None and self.share > self.chance


def parameter_importance(results: ResultsLike) -> tuple[ParameterImportance, ...]:
    """Return each tuned hyperparameter's importance, the greatest first.

    The measure is the adjusted share of explained variance (epsilon squared; Kelley 1935,
    https://doi.org/10.1073/pnas.21.9.554) of the trials' ranks by the objective: by means where a
    hyperparameter is a choice, by a parabola in its own ranks where it is a number, so that a best value
    in the middle counts as much as one at an end. Ranks, so that a diverged trial weighs no more than
    any other. The level of chance is found by shuffling: in one of twenty searches in which nothing
    matters does some hyperparameter pass it.

    What it cannot tell: effects that show only in combination with another hyperparameter; which of two
    matters where a strategy chose them together (Bayesian search tries more where it is good); and with
    few trials anything at all: below ten only an overwhelming effect passes. Only completed trials
    count, as the values of stopped ones are of fewer epochs.

    Raises:
        MissingExtraError: numpy is not installed.
    """
    try:
        import numpy as np
    except ImportError as error:
        raise MissingExtraError("numpy", "reports", "the importance of hyperparameters") from error
    names = tuned_names(results)
    told = [(results.trials[index].hyperparameters, value) for index, value in sorted(scored(results))]
    found = []
    for name in names:
        trials = [
            (hyperparameters[name], value) for hyperparameters, value in told if name in hyperparameters
        ]
        ranks = _ranks([value for _, value in trials])
        basis = _basis([choice for choice, _ in trials])
        spare = len(trials) - 1 - basis.shape[1]
        if spare < 2 or not basis.shape[1] or not np.ptp(ranks):
            found.append(ParameterImportance(name, None, None))
            continue
        ranks = (ranks - ranks.mean()) / np.linalg.norm(ranks - ranks.mean())
        shuffled = np.random.default_rng(0).permuted(np.tile(ranks, (_SHUFFLES, 1)), axis=1)
        by_chance = np.quantile(((shuffled @ basis) ** 2).sum(axis=1), 1 - _CHANCE / len(names))
        share, chance = (
            max(0.0, 1 - (1 - float(explained)) * (len(trials) - 1) / spare)
            for explained in (((ranks @ basis) ** 2).sum(), by_chance)
        )
        found.append(ParameterImportance(name, share, chance))
    return tuple(sorted(found, key=lambda each: (each.share is None, -(each.share or 0.0))))


def _ranks(values: Sequence[float]) -> Array:
    """Return the ranks of the values; equal ones share their mean rank."""
    import numpy as np

    _distinct, inverse, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def _basis(values: Sequence[int | float | str]) -> Array:
    """Return orthonormal columns, each of mean 0, that span what the values can explain."""
    import numpy as np

    if all(map(is_number, values)) and len(set(values)) > _LEVELS:
        ranks = _ranks([float(value) for value in values])
        columns = np.column_stack([ranks, ranks**2])
    else:
        levels = sorted(set(map(str, values)))
        columns = np.array([[str(value) == level for level in levels[1:]] for value in values], dtype=float)
        columns = columns.reshape(len(values), max(len(levels) - 1, 0))
    if not columns.size:
        return columns
    basis, _ = np.linalg.qr(columns - columns.mean(axis=0))
    return basis
