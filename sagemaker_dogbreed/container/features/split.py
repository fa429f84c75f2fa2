"""The features of one channel as batches, from memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import torch

from sagemaker_dogbreed.container.data import UNCOUNTED, Batch
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.features.parts import Rows
from sagemaker_dogbreed.container.sampling import EpochSampler, epoch_seed


@dataclasses.dataclass(frozen=True)
class FeatureSplit:
    """One channel's features; iterate over its batches once an epoch.

    Attributes:
        views: The features (images, width), once for each view of the images.
        labels: Class numbers (images,).
        batch_size: Images of a batch, over all ranks.
    """

    name: str
    views: Sequence[Rows]
    labels: torch.Tensor
    class_counts: torch.Tensor
    sampler: EpochSampler
    batch_size: int
    ranks: Ranks

    def with_batch_size(self, batch_size: int) -> FeatureSplit:
        """Return the same features in batches of another size; what is only evaluated needs no change."""
        return dataclasses.replace(self, batch_size=batch_size) if self.sampler.shuffle else self

    def batches(self, epoch: int = 0) -> Iterator[Batch]:
        """Yield this rank's shares of an epoch's batches: features (batch, width) and class numbers."""
        self.sampler.epoch = epoch
        order = self.sampler.order()
        generator = torch.Generator().manual_seed(epoch_seed(self.sampler.seed, epoch))
        views = torch.randint(len(self.views), (len(order),), generator=generator)
        for batch in torch.split(order, self.batch_size):
            share = batch[self.ranks.rank :: self.ranks.size]
            if len(share):
                yield self._features(share, views[share]), self.labels[share]
            else:  # every rank takes as many steps
                yield self._features(batch[:1], views[batch[:1]]), torch.tensor([UNCOUNTED])

    def _features(self, numbers: torch.Tensor, views: torch.Tensor) -> torch.Tensor:
        if len(self.views) == 1:
            return self.views[0].take(numbers)
        found = torch.empty(len(numbers), self.views[0].width)
        for number in set(views.tolist()):
            places = views == number
            found[places] = self.views[number].take(numbers[places])
        return found
