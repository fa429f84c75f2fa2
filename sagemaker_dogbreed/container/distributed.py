"""The processes that train one model together: one alone, or several that torchrun started.

Each has a rank and takes its share of every batch. The script's other rooms work with a ``Ranks``
and do not ask how many there are: of one, every share is the whole and every sum is the value.
https://docs.pytorch.org/docs/stable/elastic/run.html
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.environment import FailedElsewhere
from sagemaker_dogbreed.container.model import Classifier

_PATIENCE = dt.timedelta(minutes=30)  # for a rank that lags, e.g. as it downloads the weights
_LAUNCHER_LOOKS = 0.5  # seconds between looks for the launcher

Item = TypeVar("Item")
Value = TypeVar("Value")


class RanksError(Exception):
    """The processes cannot train together; the message names the way out."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among those that train together.

    Attributes:
        rank: Its number; 0 leads: it alone reads checkpoints and writes results.
        size: How many there are (``WORLD_SIZE``).
        local_size: How many of them share this machine.
    """

    rank: int = 0
    size: int = 1
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes what the job leaves."""
        return self.rank == 0

    @property
    def processors(self) -> int:
        """How many of the machine's processors are this process's, at least one."""
        try:
            available = len(os.sched_getaffinity(0))
        except AttributeError:  # only Linux has it
            available = os.cpu_count() or 1
        return max(1, available // self.local_size)

    def share(self, batch: Sequence[Item]) -> Sequence[Item]:
        """Return this process's items of a batch; shares differ by one item at most."""
        return batch[self.rank :: self.size]

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all ranks of each of the values, the same to the last bit on all."""
        if self.size == 1:
            return list(values)
        # In main memory: gloo fails at once where a process is gone, NCCL waits.
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return [float(value) for value in total]

    def from_leader(self, function: Callable[[], Value]) -> Value:
        """Call the function on rank 0 only, and return on every rank what it returned."""
        if self.size == 1:
            return function()
        box: list[Any] = [function() if self.leads else None]
        dist.broadcast_object_list(box, src=0)
        result: Value = box[0]
        return result

    def together(self, classifier: Classifier, *, on_features: bool = False) -> nn.Module:
        """Return the network whose gradients are the mean over the ranks; all get rank 0's weights.

        It takes images, or with ``on_features`` what a frozen backbone makes of them.

        Batch normalisation takes its statistics from the whole batch on GPUs. On CPUs torch has no such
        layer: each rank's share has its own, and rank 0's running statistics are used.
        """
        if self.size == 1:
            return classifier.head if on_features else classifier
        for value in classifier.state_dict().values():
            dist.broadcast(value, src=0)
        if classifier.held:  # its backbone has nothing to say to the other ranks
            head = nn.parallel.DistributedDataParallel(classifier.head)
            return head if on_features else nn.Sequential(classifier.backbone, head)
        normalized = any(
            layer.training and isinstance(layer, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001 - no other name for them
            for layer in classifier.modules()
        )
        if normalized and torch.cuda.is_available():
            nn.SyncBatchNorm.convert_sync_batchnorm(classifier)  # type: ignore[no-untyped-call]  # torch's
        elif normalized:
            log.line(
                f"Batch normalization: each of the {self.size} processes takes the statistics of its own "
                "share of a batch, so the model differs from one process's (on GPUs it does not)"
            )
        return nn.parallel.DistributedDataParallel(classifier)


@contextlib.contextmanager
def joined(reason: Callable[[Exception], str]) -> Iterator[Ranks]:
    """Join the process group that torchrun's variables describe; without them, be alone.

    Args:
        reason: Puts an error in words, for the other ranks.

    Raises:
        RanksError: There are more processes than GPUs.
        FailedElsewhere: The block failed because another rank had; the message is that one's reason.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        threading.Thread(target=_end_with_launcher, args=(os.getppid(),), daemon=True).start()
    ranks = Ranks(
        rank=int(os.environ.get("RANK", "0")),
        size=int(os.environ.get("WORLD_SIZE", "1")),
        local_size=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
    )
    if ranks.size == 1:
        yield ranks
        return
    backend = _backend(ranks, int(os.environ.get("LOCAL_RANK", "0")))
    torch.set_num_threads(ranks.processors)  # torchrun asks for one
    store, _, _ = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    try:
        dist.init_process_group(
            backend,
            store=PrefixStore("training", store),
            rank=ranks.rank,
            world_size=ranks.size,
            timeout=_PATIENCE,
        )
        yield ranks
    except Exception as error:
        # Said before this process ends, and by that the others' connections to it.
        mine = f"{reason(error)}\n{ranks.rank}"
        first = _first(store, mine)
        if first != mine:
            raise FailedElsewhere(first.rpartition("\n")[0]) from error
        raise
    dist.destroy_process_group()


def _backend(ranks: Ranks, local_rank: int) -> str:
    if not torch.cuda.is_available():
        return "gloo"
    gpus = torch.cuda.device_count()
    if ranks.local_size > gpus:
        raise RanksError(
            f"{ranks.local_size} processes on a machine with {gpus} GPU{'s' * (gpus > 1)}: each needs one of "
            "its own. Leave sagemaker_mpi_num_of_processes_per_host out, or set it to the number of GPUs"
        )
    torch.cuda.set_device(local_rank)
    return "cpu:gloo,cuda:nccl"


def _first(store: Store, mine: str) -> str:
    """Return the failure that was said first, which is ``mine`` where none was."""
    try:
        found: bytes = store.compare_set("failure", "", mine)
    except RuntimeError:  # the launcher, which keeps the store, is gone
        return mine
    return found.decode("utf-8", "replace")


def _end_with_launcher(launcher: int) -> None:
    """End this process, and the ones that load its images, once torchrun is gone without ending it."""
    while os.getppid() == launcher:
        time.sleep(_LAUNCHER_LOOKS)
    if os.getpgrp() == os.getpid():  # torchrun gives each process a group of its own
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
