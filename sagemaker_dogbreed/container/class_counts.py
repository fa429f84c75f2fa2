"""How many images of each class an epoch had, and how many of them were classified wrongly."""

from __future__ import annotations

import torch

from sagemaker_dogbreed.container.data import UNCOUNTED
from sagemaker_dogbreed.container.distributed import Ranks


class ClassCounts:
    """Collects the batches of an epoch, and counts once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def add(self, scores: torch.Tensor, labels: torch.Tensor, _images: int) -> None:
        """Add a batch: scores (batch, classes), class numbers (batch,)."""
        self._seen.append((labels, scores.argmax(1)))

    def sums(self, classes: int, ranks: Ranks) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the numbers of images and of errors of each class, of all ranks; all have to call."""
        labels, best = (torch.cat(each) for each in zip(*self._seen, strict=True))
        counted = labels != UNCOUNTED
        wrong = counted & (labels != best)
        both = [torch.bincount(labels[chosen], minlength=classes) for chosen in (counted, wrong)]
        sums = [int(value) for value in ranks.sum(torch.cat(both).tolist())]
        return tuple(sums[:classes]), tuple(sums[classes:])
