"""Which hyperparameters are searched, and for what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from sagemaker_dogbreed.container import hparams, metrics
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs import aws_fields
from sagemaker_dogbreed.specs.compute import NAME_PATTERN
from sagemaker_dogbreed.specs.frozen_mapping import frozen
from sagemaker_dogbreed.specs.ranges import CategoricalRange, ContinuousRange, IntegerRange, Range
from sagemaker_dogbreed.specs.validation import choice, flag, number, text, texts

TUNING_NAME_PATTERN = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}"
_MOST_PARENTS = 5
_LONGEST_SECONDS = 15_768_000  # half a year


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

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperParameterTuningJobConfig.html

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
    max_jobs: int = number("training jobs (trials) at most", default=4, minimum=1, maximum=750, whole=True)
    max_parallel_jobs: int = number("training jobs at a time", default=1, minimum=1, maximum=100, whole=True)
    strategy: str = choice("how values are chosen", ("Bayesian", "Random", "Grid", "Hyperband"), "Bayesian")
    early_stopping: bool = flag("stop trials that fall behind the median", default=False)
    seed: int | None = number("seed of the choice", default=None, minimum=0, maximum=2**31 - 1, whole=True)

    name: str | None = text(
        "start of the tuning job's name; default: dogbreed",
        default=None,
        pattern=NAME_PATTERN,
        example="my-job",
    )
    execution: str = choice(
        "service: each trial is a training job; single_job: one training job runs all trials, over one pass "
        "of the data",
        ("service", "single_job"),
        "service",
    )
    target_value: float | None = number("value of the objective that ends the search", default=None)
    no_improvement_jobs: int | None = number(
        "training jobs without a better objective that end the search", default=None, minimum=3, whole=True
    )
    until_converged: bool = flag("end the search when no better objective is to be expected", default=False)
    max_runtime_seconds: int | None = number(
        "the search is ended after this time, seconds",
        default=None,
        minimum=120,
        maximum=_LONGEST_SECONDS,
        whole=True,
    )
    min_epochs: int | None = number(
        "with strategy Hyperband: epochs before which no trial is stopped; default: 1",
        default=None,
        minimum=1,
        maximum=10_000,
        whole=True,
    )
    max_epochs: int | None = number(
        "with strategy Hyperband: epochs of a trial that is not stopped; default: training.epochs",
        default=None,
        minimum=1,
        maximum=10_000,
        whole=True,
    )
    warm_start: Sequence[str] = texts(
        "earlier tuning jobs that are learnt from, by name", pattern=TUNING_NAME_PATTERN, example="my-job-1"
    )
    warm_start_type: str = choice(
        "what the earlier tuning jobs had: the same data and code, or other",
        ("IdenticalDataAndAlgorithm", "TransferLearning"),
        "IdenticalDataAndAlgorithm",
    )
    tags: Mapping[str, str] = aws_fields.tags("tags of the tuning job and its trials, beside the training's")

    @property
    def jobs_at_most(self) -> int:
        """How many training jobs are started at most; a Grid has one for each combination."""
        if self.execution == "single_job":
            return 1
        return min(self.max_jobs, self.combinations or self.max_jobs)

    @property
    def jobs_at_a_time(self) -> int:
        """How many training jobs run at a time at most."""
        return min(self.max_parallel_jobs, self.jobs_at_most)

    @property
    def combinations(self) -> int | None:
        """How many combinations of values there are; None where a range is continuous.

        >>> ranges = {"batch_size": CategoricalRange(values=[32, 64]), "epochs": IntegerRange(min=1, max=3)}
        >>> TuningSpec(ranges=ranges).combinations
        6
        """
        sizes = [_size(values) for values in self.ranges.values()]
        known = [size for size in sizes if size is not None]
        return math.prod(known) if len(known) == len(sizes) else None

    @ranges.validator
    def _check_ranges(self, _attribute: attrs.Attribute[Any], ranges: object) -> None:
        if not isinstance(ranges, Mapping) or not 1 <= len(ranges) <= 30:
            raise SpecError(f"ranges must map 1 to 30 hyperparameters to ranges, got {ranges!r}")
        for name, values in ranges.items():
            _check_range(name, values)

    def __attrs_post_init__(self) -> None:
        if self.max_parallel_jobs > self.max_jobs:
            raise SpecError(
                f"max_parallel_jobs ({self.max_parallel_jobs}) is more than max_jobs ({self.max_jobs})"
            )
        self._check_strategy()
        if len(self.warm_start) > _MOST_PARENTS or len(set(self.warm_start)) < len(self.warm_start):
            raise SpecError(
                f"warm_start must be {_MOST_PARENTS} different names at most, got {list(self.warm_start)}"
            )
        if self.execution == "single_job" and self.warm_start:
            raise SpecError("warm_start is for execution: service; leave one of them out")
        if self.execution == "single_job" and self.max_parallel_jobs > 1:
            raise SpecError(
                "max_parallel_jobs is for execution: service; a single job runs one trial after the other"
            )

    def _check_strategy(self) -> None:
        if self.strategy == "Grid" and not all(isinstance(r, CategoricalRange) for r in self.ranges.values()):
            raise SpecError("strategy Grid needs categorical ranges only")
        combinations = self.combinations or self.max_jobs
        if self.strategy == "Grid" and combinations > self.max_jobs:
            raise SpecError(
                f"strategy Grid tries all {combinations} combinations, which is more than max_jobs "
                f"({self.max_jobs}); raise max_jobs, or take values out of the ranges"
            )
        if self.strategy != "Grid" and combinations < self.max_jobs:
            raise SpecError(
                f"max_jobs ({self.max_jobs}) is more than there are combinations of values ({combinations}); "
                "lower it, or add values to the ranges"
            )
        if self.strategy == "Hyperband":
            if self.early_stopping:
                raise SpecError("strategy Hyperband stops trials itself; leave early_stopping out")
            if self.max_epochs is not None and (self.min_epochs or 1) > self.max_epochs:
                raise SpecError(f"min_epochs ({self.min_epochs}) is more than max_epochs ({self.max_epochs})")
        elif self.min_epochs is not None or self.max_epochs is not None:
            raise SpecError(f"min_epochs and max_epochs are for strategy Hyperband, not {self.strategy}")
        stops = "strategy Hyperband" if self.strategy == "Hyperband" else "early_stopping"
        metric = self.objective.metric
        if (self.strategy == "Hyperband" or self.early_stopping) and metric.startswith("Test"):
            raise SpecError(
                f"{stops} compares trials after each epoch, and {metric} is measured at the end only; "
                f"use {metric.replace('Test', 'Valid')}"
            )


def _size(values: Range) -> int | None:
    if isinstance(values, CategoricalRange):
        return len(values.values)
    return values.max - values.min + 1 if isinstance(values, IntegerRange) else None


def _check_range(name: str, values: object) -> None:
    if name not in hparams.names():
        raise SpecError(f"ranges: no such hyperparameter: {name!r}; there are {', '.join(hparams.names())}")
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
