"""One training that is watched in one way: ``debugging_loop.py NETWORK WAY --steps N``.

The training is the library's own loop on examples made up at random. Prints, as JSON, the seconds,
core-seconds and recorded bytes of its steps in the second epoch, and the epochs' losses.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sagemaker_dogbreed.container import log, model
from sagemaker_dogbreed.container.checkpoint import Checkpoint, CheckpointStore
from sagemaker_dogbreed.container.data import Batch
from sagemaker_dogbreed.container.debugging.settings import SAVE_INTERVAL, DebuggerSettings, ProfilerSettings
from sagemaker_dogbreed.container.debugging.smdebug_hook import SmdebugHook
from sagemaker_dogbreed.container.debugging.system import Machine
from sagemaker_dogbreed.container.debugging.watcher import Watcher
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.features.parts import Rows
from sagemaker_dogbreed.container.features.split import FeatureSplit
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.learning import Examples
from sagemaker_dogbreed.container.loop import Trainer, seed_everything
from sagemaker_dogbreed.container.sampling import EpochSampler

CLASSES = 120
CPU = torch.device("cpu")
HEAD, BACKBONE = "head", "backbone"
EPOCHS = 2
_IMAGE_SIZE = 32
_MEASUREMENTS = 20
_ROWS = 16_000  # feature vectors there are; those of a longer epoch come again

_COMMON: dict[str, Any] = {
    "weights": "none",
    "head": "linear",
    "epochs": EPOCHS,
    "patience": 0,
    "augmentation": "none",
}
NETWORKS: Mapping[str, Hyperparameters] = {
    HEAD: Hyperparameters(**_COMMON, backbone="resnet50", finetune="head", batch_size=32),
    BACKBONE: Hyperparameters(**_COMMON, backbone="resnet18", finetune="full", batch_size=16),
}

_EACH = {"train.save_interval": "1", "eval.save_interval": "1000000"}
_ALL = ("losses", "weights", "gradients")


class SmdebugWatcher(Watcher):
    """Has smdebug's hook on what trains, and records nothing itself."""

    def __init__(self, folder: Path, collections: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(folder, rank=0, device=CPU, debugger=None, profiler=None)
        self._out_dir, self._collections = folder, collections

    def record(self, network: nn.Module, called: nn.Module) -> None:  # noqa: ARG002 - it hooks what is called
        """Put the hook on what batches pass."""
        self._hook = SmdebugHook(
            called, self._out_dir, save_interval=SAVE_INTERVAL, collections=self._collections
        )


def _native(
    debugger: DebuggerSettings | None, profiler: ProfilerSettings | None
) -> Callable[[Path], Watcher]:
    return lambda folder: Watcher(folder, rank=0, device=CPU, debugger=debugger, profiler=profiler)


def _smdebug(collections: Mapping[str, Mapping[str, str]]) -> Callable[[Path], Watcher]:
    return lambda folder: SmdebugWatcher(folder, collections)


WAYS: Mapping[str, Callable[[Path], Watcher]] = {
    "nothing": _native(None, None),
    "nothing, again": _native(None, None),
    "recorder": _native(DebuggerSettings(), None),
    "profiler": _native(None, ProfilerSettings()),
    "recorder and profiler": _native(DebuggerSettings(), ProfilerSettings()),
    "smdebug: losses": _smdebug({"losses": _EACH}),
    "smdebug: losses; weights, gradients now and then": _smdebug(
        {"losses": _EACH, "weights": {}, "gradients": {}}
    ),
    "smdebug: losses, weights, gradients": _smdebug(dict.fromkeys(_ALL, _EACH)),
}
"""By name, what makes the watcher for a folder; rules, intervals and the like are the defaults."""


@dataclasses.dataclass
class Timed:
    """Examples that take the time between the first batch of an epoch and the end of its last step."""

    examples: Examples
    seconds: float = 0.0
    core_seconds: float = 0.0

    @property
    def sampler(self) -> Any:
        """Those of the examples."""
        return self.examples.sampler

    @property
    def class_counts(self) -> torch.Tensor:
        """Those of the examples."""
        return self.examples.class_counts

    def batches(self, epoch: int = 0) -> Iterator[Batch]:
        """Yield the batches; what the first epoch takes is left out, as much is prepared in it."""
        begun, core_begun = time.perf_counter(), time.process_time()
        yield from self.examples.batches(epoch)
        if epoch > 1:
            self.seconds += time.perf_counter() - begun
            self.core_seconds += time.process_time() - core_begun


class Stopwatch:
    """A watcher that takes the time which is spent in it; that of the thread that measures is added up."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._watcher, name)
        if not callable(found) or name in {"span", "start", "finish"}:
            return found

        def timed(*arguments: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            result = found(*arguments, **named)
            self.seconds += time.perf_counter() - begun
            return result

        setattr(self, name, timed)
        return timed


def _sampling_share(watcher: Watcher) -> float:
    """Return the share of a core that measuring the machine takes."""
    if watcher._sampler is None:  # noqa: SLF001 - there is no other way to ask
        return 0.0
    machine, settings = Machine(), ProfilerSettings()
    begun = time.thread_time()
    for _ in range(_MEASUREMENTS):
        machine.measure("rank-0")
    return (time.thread_time() - begun) / _MEASUREMENTS / (settings.interval_milliseconds / 1000)


@dataclasses.dataclass
class Images:
    """Batches of images (batch, 3, size, size), the same in every epoch."""

    images: torch.Tensor
    labels: torch.Tensor
    batch_size: int

    @property
    def sampler(self) -> torch.Tensor:
        """As long as there are images."""
        return self.labels

    @property
    def class_counts(self) -> torch.Tensor:
        """How many there are of each class (classes,)."""
        return torch.bincount(self.labels, minlength=CLASSES)

    def batches(self, epoch: int = 0) -> Iterator[Batch]:  # noqa: ARG002 - they do not depend on it
        """Yield them in their order."""
        size = self.batch_size
        yield from zip(torch.split(self.images, size), torch.split(self.labels, size), strict=True)


class NoCheckpoints(CheckpointStore):
    """Keeps nothing: what it costs to write checkpoints is not the question."""

    def load(self) -> Checkpoint | None:
        """Return None."""
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Do nothing."""


def main() -> None:
    """Train, and say what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--steps", type=int, required=True, help="of an epoch")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="debugging-benchmark-") as folder, log.muted():
        print(json.dumps(_train(options.network, options.way, options.steps, Path(folder))))


def _train(network: str, way: str, steps: int, folder: Path) -> dict[str, Any]:
    wanted, on_features = NETWORKS[network], network == HEAD
    seed_everything(0)
    classifier = model.build(wanted, CLASSES, _IMAGE_SIZE).to(memory_format=torch.channels_last)
    make = _features if on_features else _images
    train = Timed(make(steps, wanted, classifier.feature_count))
    made = WAYS[way](folder / "records")
    watcher: Any = Stopwatch(made)
    watcher.start({**wanted.to_strings(), "processors": os.cpu_count(), "on_features": on_features})
    trainer = Trainer(
        classifier=classifier,
        ranks=Ranks(),
        splits={"train": train, "valid": make(1, wanted, classifier.feature_count)},
        hyperparameters=wanted,
        checkpoints=NoCheckpoints(folder, {}),
        device=CPU,
        stop_requested=lambda: False,
        on_features=on_features,
        watcher=watcher,
    )
    try:
        state = trainer.fit()
    finally:
        watcher.finish()
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        "steps": steps * (EPOCHS - 1),
        "seconds": train.seconds,
        "core_seconds": train.core_seconds,
        "watching_seconds": watcher.seconds / (steps * EPOCHS),
        "sampling_share": _sampling_share(made),
        "bytes_a_step": sum(path.stat().st_size for path in files) / (steps * EPOCHS),
        "losses": [epoch["train_loss"] for epoch in state.history],
    }


def _features(steps: int, wanted: Hyperparameters, width: int) -> FeatureSplit:
    count = steps * wanted.batch_size
    labels = torch.randint(CLASSES, (count,))
    return FeatureSplit(
        name="train",
        views=[_Repeated([torch.rand(min(count, _ROWS), width).half()])],
        labels=labels,
        class_counts=torch.bincount(labels, minlength=CLASSES),
        sampler=EpochSampler(count, 0, shuffle=True),
        batch_size=wanted.batch_size,
        ranks=Ranks(),
    )


class _Repeated(Rows):
    def take(self, numbers: torch.Tensor) -> torch.Tensor:
        return super().take(numbers % len(self))


def _images(steps: int, wanted: Hyperparameters, _width: int) -> Images:
    shape = (steps * wanted.batch_size, 3, _IMAGE_SIZE, _IMAGE_SIZE)
    images = torch.rand(shape).contiguous(memory_format=torch.channels_last)
    return Images(images, torch.randint(CLASSES, shape[:1]), wanted.batch_size)


if __name__ == "__main__":
    main()
