"""Trainings that take a fraction of a second, and the rules that watch them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sagemaker_dogbreed.container.debugging import builtin  # noqa: F401 - it registers the rules
from sagemaker_dogbreed.container.debugging.record_files import RecordFile, read_records
from sagemaker_dogbreed.container.debugging.recorder import Recorder
from sagemaker_dogbreed.container.debugging.records import Epoch, Record, Start, Step
from sagemaker_dogbreed.container.debugging.rules import REGISTRY
from sagemaker_dogbreed.container.debugging.watch import RuleStatus, RuleWatch

CLASSES, FEATURES = 4, 8

Data = tuple[torch.Tensor, torch.Tensor]


def blobs(count: int = 256, *, spread: float = 1.0, seed: int = 0) -> Data:
    """Return examples (count, 8) around one centre for each of 4 classes, and their labels (count,)."""
    centres = 2 * torch.randn(CLASSES, FEATURES, generator=torch.Generator().manual_seed(99))
    noise = torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(count) % CLASSES
    return centres[labels] + spread * noise, labels


def stack(activation: type[nn.Module], layers: int, width: int = 16) -> nn.Sequential:
    """Return so many layers with torch's own initialisation."""
    sizes = itertools.pairwise([FEATURES, *[width] * (layers - 1)])
    parts = [part for size in sizes for part in (nn.Linear(*size), activation())]
    return nn.Sequential(*parts, nn.Linear(width, CLASSES))


def train(
    folder: Path,
    module: nn.Module,
    *,
    settings: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> dict[str, RuleStatus]:
    """Train a module and return what the training rules have found, by name.

    They find the same in the file of the records as while they are written.

    Args:
        folder: Where the records go.
        module: What is trained.
        settings: What the job was told.
        parameters: Of rules, by their names.
        options: Of ``epochs_of``.
    """
    rules = [
        rule.with_parameters((parameters or {}).get(rule.name, {}))
        for rule in REGISTRY.values()
        if not rule.profiles
    ]
    watch = RuleWatch(rules)
    with RecordFile(folder / "training.jsonl") as file:

        def sink(record: Record) -> None:
            file.write(record)
            watch.see(record)

        sink(Start(time=time.time(), node="rank-0", settings=settings or {}))
        for epoch in epochs_of(module, sink, **options):
            sink(epoch)
    watch.finish()
    found = watch.statuses(profiles=False)
    assert [status for status in found if status.status == "Error"] == []
    assert RuleWatch.replayed(rules, read_records(folder)).statuses(profiles=False) == found
    return {status.name: status for status in found}


def epochs_of(
    module: nn.Module,
    sink: Callable[[Record], object],
    *,
    learning_rate: float = 0.01,
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam,
    epochs: int = 8,
    data: Data | None = None,
    valid: Data | None = None,
    save_interval: int = 5,
) -> Iterator[Epoch]:
    """Train in batches of 32, record each step, and yield each epoch's record."""
    torch.manual_seed(0)
    features, labels = data or blobs()
    validation = valid or blobs(64, seed=1)
    recorder = Recorder(module, sink, save_interval=save_interval)
    optimize = optimizer(module.parameters(), lr=learning_rate)
    step = -1
    for epoch in range(1, epochs + 1):
        module.train()
        losses, errors = [], torch.zeros(CLASSES, dtype=torch.long)
        for chosen in torch.randperm(len(labels)).split(32):
            step += 1
            recorder.step_begins(step)
            scores = module(features[chosen])
            loss = nn.functional.cross_entropy(scores, labels[chosen])
            losses.append(loss.item())
            wrong = scores.argmax(1) != labels[chosen]
            errors += torch.bincount(labels[chosen][wrong], minlength=CLASSES)
            sink(
                Step(
                    time=time.time(),
                    step=step,
                    epoch=epoch,
                    loss=losses[-1],
                    top_1=1 - wrong.double().mean().item(),
                    learning_rate=learning_rate,
                    images=len(chosen),
                )
            )
            optimize.zero_grad()
            loss.backward()
            recorder.backward_done()
            optimize.step()
            recorder.updated()
        module.eval()
        with torch.inference_mode():
            examples, classes = validation
            answers = module(examples)
            measured = {
                "valid_loss": nn.functional.cross_entropy(answers, classes).item(),
                "valid_top_1": (answers.argmax(1) == classes).double().mean().item(),
            }
        yield Epoch(
            time=time.time(),
            epoch=epoch,
            step=step,
            measures={"train_loss": sum(losses) / len(losses), **measured},
            labels=tuple(torch.bincount(labels, minlength=CLASSES).tolist()),
            errors=tuple(errors.tolist()),
        )
