"""Which images make up an epoch's batches, and which of them are this process's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.utils.data import Sampler

from sagemaker_dogbreed.container.distributed import Ranks


class Place(NamedTuple):
    """One image's number in the data set, the seed of its random changes, and whether it counts."""

    number: int
    seed: int
    counts: bool = True


class EpochSampler(Sampler[Place]):
    """The order and the random changes of an epoch: a function of seed and epoch, nothing else.

    So they do not depend on worker processes, nor on the epochs before: a resumed training goes on
    as if it had never stopped.
    """

    def __init__(self, size: int, seed: int, *, shuffle: bool) -> None:
        self.size, self.seed, self.shuffle = size, seed, shuffle
        self.epoch = 0

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Place]:
        generator = self._generator()
        order = self._order(generator)
        seeds = torch.randint(2**62, (self.size,), generator=generator)
        return iter([Place(int(number), int(seed)) for number, seed in zip(order, seeds, strict=True)])

    def order(self) -> torch.Tensor:
        """Return the images' numbers (images,) in the epoch's order."""
        return self._order(self._generator())

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))

    def _order(self, generator: torch.Generator) -> torch.Tensor:
        return torch.randperm(self.size, generator=generator) if self.shuffle else torch.arange(self.size)


class ShareSampler(Sampler[list[Place]]):
    """A process's share of each batch: of one process, the batches themselves.

    Every rank gets as many shares as there are batches. Where a batch has fewer images than there are
    ranks, those without get one that does not count.
    """

    def __init__(
        self, sampler: EpochSampler, batch_size: int, ranks: Ranks, *, leave_out_lone_last: bool
    ) -> None:
        self.sampler, self.batch_size, self.ranks = sampler, batch_size, ranks
        size = len(sampler)
        lone_last = leave_out_lone_last and size > batch_size and size % batch_size == 1
        self.used = size - lone_last

    def __len__(self) -> int:
        return -(-self.used // self.batch_size)

    def __iter__(self) -> Iterator[list[Place]]:
        places = list(self.sampler)[: self.used]
        for start in range(0, len(places), self.batch_size):
            batch = places[start : start + self.batch_size]
            yield list(self.ranks.share(batch)) or [batch[0]._replace(counts=False)]


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of everything random in an epoch."""
    return (seed << 16) + epoch
