"""The search over hyperparameters: SageMaker's strategies on Optuna's samplers and pruners.

The local SageMaker's tuning jobs ask it for their trials, and so does a single training job that
runs all trials itself. Optuna is imported when a search is made.

| SageMaker's strategy | here |
|---|---|
| Bayesian | Optuna's TPE, a Bayesian method (AWS models the objective with a Gaussian process) |
| Random | Optuna's random sampler |
| Grid | every combination once, in the order of the values |
| Hyperband | TPE's values, stopped by Optuna's Hyperband pruner |
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.container.tuning import search_space
from sagemaker_dogbreed.container.tuning.early_stopping import MedianRule

if TYPE_CHECKING:
    import optuna

STRATEGIES = ("Bayesian", "Random", "Grid", "Hyperband")

_ATTEMPTS = 10  # at values that no trial has had yet
_FEW = 1000  # combinations of values that can be looked through for one that is left
_MOST_STARTUP_TRIALS = 10


@dataclass(frozen=True)
class Suggestion:
    """What the next trial is to try.

    Attributes:
        number: Of the trial, from 0; trials that were added take numbers too.
        values: Of the hyperparameters searched, as texts, by name.
    """

    number: int
    values: Mapping[str, str]


class Search:
    """Asked for trials, and told how they end.

    The same seed, and the same calls in the same order, give the same suggestions. A search that
    was cut off goes on as if it had not been, for Random and Grid to the value, when what has ended
    is added to a new one in the same order.
    """

    def __init__(
        self,
        ranges: Mapping[str, Mapping[str, Any]],
        *,
        strategy: str,
        minimize: bool,
        seed: int | None,
        max_trials: int,
        early_stopping: bool,
        min_epochs: int | None = None,
        max_epochs: int | None = None,
    ) -> None:
        """Check the search.

        Args:
            ranges: As ``search_space.read`` takes them.
            strategy: One of ``STRATEGIES``.
            minimize: Whether less of the objective is better.
            seed: Of every choice; None for one at random.
            max_trials: How many trials are planned; Bayesian search begins with a third of them, at
                most ten, at random.
            early_stopping: Whether ``report`` stops trials by the median rule.
            min_epochs: For Hyperband: before that many epochs no trial is stopped; 1 if None.
            max_epochs: For Hyperband: the epochs of a trial that is not stopped.

        Raises:
            ValueError: The search cannot be as it is described.
        """
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy!r}")
        self._dimensions = search_space.read(ranges)
        sizes = [dimension.size for dimension in self._dimensions]
        self._combinations = math.inf if None in sizes else math.prod(size or 1 for size in sizes)
        self._strategy, self._max_trials = strategy, max_trials
        self._seed = secrets.randbits(31) if seed is None else seed
        self._next_number = 0
        self._tried: set[tuple[str, ...]] = set()
        self._running: dict[int, optuna.Trial | None] = {}
        self._reported: dict[int, set[int]] = {}
        self._stopped: set[int] = set()
        self._median_rule = MedianRule(minimize=minimize) if early_stopping else None
        self._grid: Iterator[dict[str, str]] | None = None
        self._study: optuna.Study | None = None
        if strategy == "Grid":
            if not all(dimension.kind == "Categorical" for dimension in self._dimensions):
                raise ValueError("strategy Grid needs Categorical ranges only")
            self._grid = search_space.combinations(self._dimensions)
        else:
            self._study = self._new_study(minimize, min_epochs, max_epochs)
            self._distributions = {item.name: item.distribution() for item in self._dimensions}

    def ask(self) -> Suggestion | None:
        """Return the next trial to run; None when a Grid is used up."""
        trial, values = self._from_grid() if self._study is None else self._from_study(self._study)
        if values is None:
            return None
        number = self._next_number
        self._next_number += 1
        self._tried.add(tuple(values.values()))
        self._running[number] = trial
        self._reported[number] = set()
        return Suggestion(number, values)

    def tell(self, number: int, value: float | None) -> None:
        """Take in a trial's final objective; None, or a value that is not finite, where it failed.

        Raises:
            ValueError: No trial of this number is running.
        """
        if number not in self._running:
            raise ValueError(f"no trial {number} is running")
        trial = self._running.pop(number)
        failed = value is None or not math.isfinite(value)
        was_stopped = number in self._stopped
        self._stopped.discard(number)
        del self._reported[number]
        if self._median_rule:
            self._median_rule.end(number, counts=not failed)
        if self._study is None or trial is None:
            return
        from optuna.trial import TrialState

        if failed:
            self._study.tell(trial, state=TrialState.FAIL)
        elif was_stopped:  # Optuna takes the last reported value, and ranks it below those that went on
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, value)

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Take in a running trial's objective after an epoch, from 1; return whether to stop it.

        A trial that was to be stopped stays so. A value that is not finite is passed over.

        Raises:
            ValueError: No trial of this number is running.
        """
        if number not in self._running:
            raise ValueError(f"no trial {number} is running")
        if number in self._stopped:
            return True
        if not math.isfinite(value) or epoch in self._reported[number]:
            return False
        self._reported[number].add(epoch)
        trial = self._running[number]
        stop = self._median_rule is not None and self._median_rule.falls_behind(number, epoch, value)
        if trial is not None:
            trial.report(value, epoch)
            stop = stop or trial.should_prune()
        if stop:
            self._stopped.add(number)
        return stop

    def add(self, values: Mapping[str, str], value: float | None) -> None:
        """Take in a trial that ended before: of an earlier search, or before an interruption.

        Values outside of this search's ranges, and hyperparameters that it does not search, are
        passed over. ``value`` is None where the trial failed.
        """
        self._next_number += 1
        self._tried.add(tuple(str(values.get(dimension.name)) for dimension in self._dimensions))
        if self._study is None or value is None or not math.isfinite(value):
            return
        parameters = {}
        for dimension in self._dimensions:
            try:
                parameters[dimension.name] = dimension.encode(str(values[dimension.name]))
            except (KeyError, ValueError):
                continue
        if not parameters:
            return
        from optuna.trial import create_trial

        distributions = {name: self._distributions[name] for name in parameters}
        self._study.add_trial(create_trial(params=parameters, distributions=distributions, value=value))

    def _from_grid(self) -> tuple[None, dict[str, str] | None]:
        assert self._grid is not None  # noqa: S101 - there is a study or a grid
        for values in self._grid:
            if tuple(values.values()) not in self._tried:
                return None, values
        return None, None

    def _from_study(self, study: optuna.Study) -> tuple[optuna.Trial, dict[str, str]]:
        """Choose values that no trial has had, as long as there may be such."""
        from optuna.trial import TrialState

        trial, values = self._choose(study, 0)
        for attempt in range(1, _ATTEMPTS):
            if tuple(values.values()) not in self._tried or len(self._tried) >= self._combinations:
                return trial, values
            study.tell(trial, state=TrialState.FAIL)
            trial, values = self._choose(study, attempt)
        if tuple(values.values()) in self._tried and self._combinations <= _FEW:
            left = [
                found
                for found in search_space.combinations(self._dimensions)
                if tuple(found.values()) not in self._tried
            ]
            study.tell(trial, state=TrialState.FAIL)
            one = left[self._derived_seed(_ATTEMPTS) % len(left)]
            study.enqueue_trial({item.name: item.encode(one[item.name]) for item in self._dimensions})
            trial, values = self._choose(study, _ATTEMPTS)
        return trial, values

    def _choose(self, study: optuna.Study, attempt: int) -> tuple[optuna.Trial, dict[str, str]]:
        # A sampler of its own for each trial: its choice depends on what has been told, not on how
        # often this process, rather than one that was cut off, has asked.
        study.sampler = self._sampler(attempt)
        trial = study.ask(self._distributions)
        return trial, {item.name: item.decode(trial.params[item.name]) for item in self._dimensions}

    def _derived_seed(self, attempt: int) -> int:
        text = f"{self._seed} {self._next_number} {attempt}".encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")

    def _sampler(self, attempt: int) -> optuna.samplers.BaseSampler:
        from optuna import samplers

        seed = self._derived_seed(attempt)
        if self._strategy == "Random":
            return samplers.RandomSampler(seed=seed)
        startup = max(1, min(_MOST_STARTUP_TRIALS, self._max_trials // 3))
        return samplers.TPESampler(seed=seed, n_startup_trials=startup)

    def _new_study(self, minimize: bool, min_epochs: int | None, max_epochs: int | None) -> optuna.Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of each study that it makes
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if self._strategy == "Hyperband":
            least = 1 if min_epochs is None else min_epochs
            if max_epochs is None or not 1 <= least <= max_epochs:
                raise ValueError(
                    f"Hyperband needs 1 <= min_epochs <= max_epochs, got {least} and {max_epochs}"
                )
            pruner = optuna.pruners.HyperbandPruner(min_resource=least, max_resource=max_epochs)
        return optuna.create_study(
            direction="minimize" if minimize else "maximize",
            pruner=pruner,
            study_name=f"search {self._seed}",  # Hyperband shares trials out by it; Optuna's own is random
        )
