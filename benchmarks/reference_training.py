"""A part of a training as the reference project did it: ``reference_training.py DATA WEIGHTS BATCHES``.

Pillow, ``Resize((224, 224))`` and ``ToTensor`` in the training process (``num_workers=0``); a ResNet50 in
single precision whose backbone is frozen (its parameters need no gradients) but goes through ``train()``
mode and with gradients enabled all the same; a new head of 2048, 128 and as many units as there are
classes; Adam; batches of 32. Every epoch reads and passes every image again.

Prints the mean cost of an image in training and in validation, in seconds and core-seconds, as JSON. Only
some batches are measured, after one that is not: an epoch costs the same for every image.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, models, transforms  # type: ignore[import-untyped]  # torchvision ships no types

BATCH_SIZE = 32
TRANSFORM = transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor()])

"""The reference project's preprocessing: no normalisation."""

Batch = tuple[torch.Tensor, torch.Tensor]


def loader(folder: Path, *, shuffle: bool) -> DataLoader[Batch]:
    """Return the reference project's batches of images and class numbers."""
    return DataLoader(datasets.ImageFolder(str(folder), TRANSFORM), BATCH_SIZE, shuffle=shuffle)


def epochs(batches: DataLoader[Batch]) -> Iterator[Batch]:
    """Yield the batches of one epoch after the other."""
    while True:
        yield from batches


def network(weights: Path, classes: int) -> tuple[nn.Module, nn.Module]:
    """Return the frozen ResNet50, and its new head."""
    model: nn.Module = models.resnet50(weights=None)
    model.load_state_dict(torch.load(weights, weights_only=True))
    for parameter in model.parameters():
        parameter.requires_grad = False
    head = nn.Sequential(nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, classes))
    model.fc = head
    return model, head


def costs(batches: Iterator[Batch], step: Callable[[torch.Tensor, torch.Tensor], object]) -> dict[str, float]:
    """Return what an image costs: seconds, and seconds of processor time."""
    step(*next(batches))
    images = 0
    seconds, core_seconds = time.perf_counter(), time.process_time()
    for inputs, labels in batches:
        step(inputs, labels)
        images += len(labels)
    return {
        "seconds": (time.perf_counter() - seconds) / images,
        "core_seconds": (time.process_time() - core_seconds) / images,
        "images": images,
    }


def main() -> None:
    """Measure both kinds of batches."""
    data, weights, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    torch.manual_seed(0)
    train, valid = loader(data / "train", shuffle=True), loader(data / "valid", shuffle=False)
    model, head = network(weights, len(train.dataset.classes))  # type: ignore[attr-defined]  # ImageFolder's
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.001)

    def learn(inputs: torch.Tensor, labels: torch.Tensor) -> float:
        optimizer.zero_grad()
        loss: torch.Tensor = criterion(model(inputs), labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()
        return loss.item()

    def validate(inputs: torch.Tensor, labels: torch.Tensor) -> tuple[float, int]:
        outputs = model(inputs)
        return criterion(outputs, labels).item(), int((outputs.argmax(1) == labels).sum())

    model.train()
    training = costs(itertools.islice(epochs(train), count + 1), learn)
    model.eval()
    validation = costs(itertools.islice(epochs(valid), count + 1), validate)
    print(json.dumps({"train": training, "valid": validation}))


if __name__ == "__main__":
    main()
