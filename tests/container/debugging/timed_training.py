"""A real training, small enough for a test, whose batches a clock watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn
from torch.utils.data import Dataset

from sagemaker_dogbreed.container.debugging import builtin  # noqa: F401 - it registers the rules
from sagemaker_dogbreed.container.debugging.clock import StepClock, now
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Record, Start
from sagemaker_dogbreed.container.debugging.rules import REGISTRY

CPU = torch.device("cpu")


class Examples(Dataset):
    """Vectors with labels; ``load`` is what else it takes to have one."""

    def __init__(self, count: int, load: Callable[[], object] = lambda: None) -> None:
        self.count, self.load = count, load
        self.inputs = torch.randn(count, 64, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        self.load()
        return self.inputs[number], number % 2


def busy(seconds: float) -> None:
    """Compute for so long, by this thread's own time: what else the machine does, does not count."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))


def train(
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    sink: Callable[[Record], object],
    *,
    node: str = "rank-0",
    mode: str = "train",
    step_done: Callable[[int], object] = lambda _step: None,
    meet: Callable[[], object] | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> None:
    """Train on the batches once.

    ``step_done`` is called as part of each step, ``meet`` where ranks wait for each other.
    """
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    clock = StepClock(sink, node=node, device=CPU, exact_every=1, timer=timer)
    clock.begin(mode)
    for step, (inputs, labels) in enumerate(batches):
        clock.lap("data")
        loss = nn.functional.cross_entropy(model(inputs), labels)
        step_done(step)
        clock.lap("forward")
        if meet:
            meet()
            clock.lap("ranks")
        optimizer.zero_grad()
        loss.backward()
        clock.lap("backward")
        optimizer.step()
        clock.lap("optimizer")
        clock.batch_ended(step)


def begun(settings: Mapping[str, object] | None = None, node: str = "rank-0") -> Start:
    """Return the record of a process that starts now."""
    return Start(time=now(), node=node, settings=settings or {})


def found(name: str, records: Iterable[Record], **parameters: object) -> str | None:
    """Return what a rule finds in records."""
    ordered = sorted(records, key=lambda record: record.time)
    return REGISTRY[name].with_parameters(parameters)(History.of(ordered))
