"""Which hyperparameters are searched, and for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from sagemaker_dogbreed.container import hparams, metrics
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.frozen_mapping import frozen
from sagemaker_dogbreed.specs.ranges import CategoricalRange, ContinuousRange, IntegerRange, Range
from sagemaker_dogbreed.specs.validation import choice, flag, number


def _metric_name(value: Any) -> Any:
    """Return the name of a metric that is given by name or key; anything else as it is."""
    by_key = {metrics.key(name): name for name in metrics.NAMES}
    return by_key.get(metrics.key(value), value) if isinstance(value, str) else value


@attrs.frozen(kw_only=True)
class Objective:
    """The metric a tuning job makes as small, or as large, as it can.

    >>> Objective(metric="test_loss").metric
    'Test Loss'
    """

    metric: str = attrs.field(
        default="Test Loss",
        converter=_metric_name,
        metadata={"help": "metric of the training script", "choices": metrics.NAMES},
    )
    goal: str = choice("direction", ("Minimize", "Maximize"), "Minimize")

    @metric.validator
    def _check_metric(self, _attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in metrics.NAMES:
            raise SpecError(f"metric must be one of {', '.join(metrics.NAMES)}; got {value!r}")

    def __attrs_post_init__(self) -> None:
        better = "Minimize" if self.metric.endswith("Loss") else "Maximize"
        if self.goal != better:
            raise SpecError(f"goal must be {better} for the metric {self.metric}, got {self.goal!r}")


def _objective(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return Objective(metric=value, goal="Minimize" if metrics.key(value).endswith("loss") else "Maximize")


def _default_ranges() -> dict[str, Range]:
    return {
        "learning_rate": ContinuousRange(min=0.001, max=0.1, scaling="Logarithmic"),
        "batch_size": CategoricalRange(values=(32, 64, 128, 256, 512)),
    }


@attrs.frozen(kw_only=True)
class TuningSpec:
    """A hyperparameter tuning job over the bundled training script.

    >>> sorted(TuningSpec().ranges)
    ['batch_size', 'learning_rate']
    """

    objective: Objective = attrs.field(
        factory=Objective,
        converter=_objective,
        validator=attrs.validators.instance_of(Objective),
        metadata={"help": "metric to minimise or maximise: a name, or metric and goal"},
    )
    ranges: Mapping[str, Range] = attrs.field(
        factory=_default_ranges,
        converter=frozen,
        metadata={"help": "hyperparameters and the values to search"},
    )
    max_jobs: int = number("training jobs at most", default=4, minimum=1, maximum=750, whole=True)
    max_parallel_jobs: int = number("training jobs at a time", default=1, minimum=1, maximum=100, whole=True)
    strategy: str = choice("how values are chosen", ("Bayesian", "Random", "Grid", "Hyperband"), "Bayesian")
    early_stopping: bool = flag("stop trials that fall behind the median", default=False)
    seed: int | None = number("seed of the choice", default=None, minimum=0, maximum=2**31 - 1, whole=True)

    @ranges.validator
    def _check_ranges(self, _attribute: attrs.Attribute[Any], ranges: object) -> None:
        if not isinstance(ranges, Mapping) or not 1 <= len(ranges) <= 30:
            raise SpecError(f"ranges must map 1 to 30 hyperparameters to ranges, got {ranges!r}")
        for name, values in ranges.items():
            if name not in hparams.names():
                raise SpecError(
                    f"ranges: no such hyperparameter: {name!r}; there are {', '.join(hparams.names())}"
                )
            suitable = (CategoricalRange, IntegerRange if hparams.kind(name)[0] is int else ContinuousRange)
            if not isinstance(values, suitable):
                raise SpecError(
                    f"ranges: {name} takes a {' or '.join(kind.__name__ for kind in suitable)}, "
                    f"got {type(values).__name__}"
                )
            candidates = values.values if isinstance(values, CategoricalRange) else (values.min, values.max)
            for candidate in candidates:
                try:
                    hparams.check(name, candidate)
                except ValueError as error:
                    raise SpecError(f"ranges: {error}") from None

    def __attrs_post_init__(self) -> None:
        if self.max_parallel_jobs > self.max_jobs:
            raise SpecError(
                f"max_parallel_jobs ({self.max_parallel_jobs}) is more than max_jobs ({self.max_jobs})"
            )
        if self.strategy == "Grid" and not all(isinstance(r, CategoricalRange) for r in self.ranges.values()):
            raise SpecError("strategy Grid needs categorical ranges only")
