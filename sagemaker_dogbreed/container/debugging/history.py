"""All records of a training, as rules and reports read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from sagemaker_dogbreed.container.debugging.records import (
    Epoch,
    Phases,
    Record,
    Resume,
    Span,
    Start,
    Step,
    System,
    Tensor,
    Tensors,
)

_MOST = 100_000  # records of the machine, and of batches


@dataclasses.dataclass
class History:
    """What has been recorded so far, in order of time; each list holds records of one kind.

    >>> history = History.of([Step(time=0, step=0, epoch=1, loss=1, top_1=0, learning_rate=1, images=8)])
    >>> history.steps[-1].loss
    1
    """

    starts: list[Start] = dataclasses.field(default_factory=list)
    resumptions: list[Resume] = dataclasses.field(default_factory=list)
    steps: list[Step] = dataclasses.field(default_factory=list)
    tensors: list[Tensors] = dataclasses.field(default_factory=list)
    epochs: list[Epoch] = dataclasses.field(default_factory=list)
    system: list[System] = dataclasses.field(default_factory=list)
    phases: list[Phases] = dataclasses.field(default_factory=list)
    spans: list[Span] = dataclasses.field(default_factory=list)

    @classmethod
    def of(cls, records: Iterable[Record]) -> History:
        """Return a history of records."""
        history = cls()
        for record in records:
            history.add(record)
        return history

    def add(self, record: Record) -> None:
        """Add a record, which is later than those before; a resumption takes back what it repeats."""
        if isinstance(record, Resume):
            self.steps = [each for each in self.steps if each.step < record.step]
            self.tensors = [each for each in self.tensors if each.step < record.step]
            self.epochs = [each for each in self.epochs if each.epoch <= record.epoch]
        for many in (self.system, self.phases):
            if len(many) >= _MOST:
                del many[: _MOST // 2 : 2]  # of what is long ago, every second one
        lists: dict[type[Any], list[Any]] = {
            Start: self.starts,
            Resume: self.resumptions,
            Step: self.steps,
            Tensors: self.tensors,
            Epoch: self.epochs,
            System: self.system,
            Phases: self.phases,
            Span: self.spans,
        }
        lists[type(record)].append(record)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the first process was last told and found; empty where it did not say."""
        leading = (start.settings for start in reversed(self.starts) if start.node == "rank-0")
        return next(leading, {})

    def latest(self, kind: str) -> Mapping[str, Tensor]:
        """Return the last sampled step's tensors of a kind (weight, gradient, output), by their names."""
        if not self.tensors:
            return {}
        return {
            name.partition("/")[2]: tensor
            for name, tensor in self.tensors[-1].tensors.items()
            if tensor.kind == kind
        }
