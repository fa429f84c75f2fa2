"""What is known of a training, as causes ask for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.profile import Profile
from sagemaker_dogbreed.analysis.quantiles import median, usable
from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.watch import RuleStatus

Find: TypeAlias = "Callable[[Case], Cause | None]"
"""Looks at a case for one kind of cause."""

_FALLEN = 0.8  # of the loss at the start

FEW_BATCHES = 5
"""Fewer batches than that tell nothing about a time."""


@attrs.frozen(kw_only=True, slots=False)
class Case:
    """The numbers, what the rules found, the records, and what the job was told."""

    profile: Profile
    rules: Mapping[str, RuleStatus]
    history: History
    settings: Mapping[str, Any]

    def found(self, *names: str) -> bool:
        """Return whether one of some rules has found something."""
        return any(name in self.rules and self.rules[name].status == "IssuesFound" for name in names)

    def quotes(self, *names: str) -> tuple[str, ...]:
        """Return what rules have found, as evidence."""
        return tuple(quote(self.rules[name]) for name in names if self.found(name))

    def setting(self, name: str) -> Any:
        """Return a setting, in a hyperparameter's own type; None where it is unknown or not acceptable."""
        value = self.settings.get(name)
        if name not in hparams.names():
            return value
        try:
            read = hparams.parse(name, value) if isinstance(value, str) else value
            hparams.check(name, read)
        except ValueError:
            return None
        return read

    @functools.cached_property
    def losses(self) -> list[float]:
        """The training steps' losses that are finite."""
        return [step.loss for step in self.history.steps if usable(step.loss)]

    @functools.cached_property
    def first_loss(self) -> float | None:
        """The loss that training began with: the median of the first steps."""
        return median(self.losses[: self._window])

    @functools.cached_property
    def last_loss(self) -> float | None:
        """The loss that training ended with: the median of the last steps."""
        return median(self.losses[-self._window :])

    @property
    def learned(self) -> bool:
        """Whether the loss has fallen."""
        return self.first_loss is not None and (self.last_loss or 0.0) <= _FALLEN * self.first_loss

    @property
    def _window(self) -> int:
        return max(1, len(self.losses) // 10)

    def curve(self, measure: str) -> list[tuple[int, float]]:
        """Return the epochs' numbers and values of a measure, where it is finite."""
        return [
            (epoch.epoch, epoch.measures[measure])
            for epoch in self.history.epochs
            if usable(epoch.measures.get(measure))
        ]

    @functools.cached_property
    def class_count(self) -> int | None:
        """How many classes there are; None where nothing tells."""
        names = self.settings.get("class_names")
        if isinstance(names, list | tuple) and names:
            return len(names)
        counts = [len(epoch.labels) for epoch in self.history.epochs if epoch.labels]
        return counts[-1] if counts else None

    @functools.cached_property
    def learning_rate(self) -> float | None:
        """The learning rate that was asked for, or else the highest that was used."""
        wanted = self.setting("learning_rate")
        if wanted is not None:
            return float(wanted)
        used = [step.learning_rate for step in self.history.steps if usable(step.learning_rate)]
        return max(used, default=None)

    @functools.cached_property
    def updates(self) -> float | None:
        """The median ratio of a step's change of a weight to the weight's norm."""
        return median(
            tensor.update
            for tensors in self.history.tensors
            for name, tensor in tensors.tensors.items()
            # Biases begin at zero, of which any change is a large one.
            if tensor.kind == "weight" and tensor.update is not None and not name.endswith("bias")
        )

    def change(self, **wanted: Any) -> dict[str, tuple[Any, Any]]:
        """Return the changes of hyperparameters to what is wanted, where their value is known and another."""
        return {
            name: (self.setting(name), value)
            for name, value in wanted.items()
            if self.setting(name) not in (None, value)
        }

    @property
    def local(self) -> bool:
        """Whether the job runs on this machine, which has no instance types to choose from."""
        return self.settings.get("local") is True

    def gpu_works(self) -> bool:
        """Whether a GPU is what computes, as far as anything tells."""
        return self.profile.gpus > 0 and self.profile.device != "cpu"


def quote(status: RuleStatus) -> str:
    """Return what a rule has found, as evidence."""
    return f"Rule {status.name}: {status.details}" if status.details else f"Rule {status.name} found it."


def finite(values: Iterable[float]) -> bool:
    """Return whether all values are finite."""
    return all(map(math.isfinite, values))
