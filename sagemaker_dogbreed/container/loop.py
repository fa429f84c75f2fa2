"""The training loop: train and validate each epoch, keep the best, stop when it no longer improves."""

from __future__ import annotations

import dataclasses
import functools
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from sagemaker_dogbreed.container import log, metrics
from sagemaker_dogbreed.container.checkpoint import Checkpoint, CheckpointStore
from sagemaker_dogbreed.container.data import UNCOUNTED, Batch, Split
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import Classifier
from sagemaker_dogbreed.container.sampling import epoch_seed


class DivergedError(Exception):
    """The loss became infinite or not a number."""


class StopRequested(Exception):  # noqa: N818 - it is no error
    """The job was asked to stop."""


@dataclasses.dataclass(frozen=True)
class Trainer:
    """What training works with.

    Of several ranks each has its shares of the splits' batches, and all do the same: what they decide
    on (losses, a request to stop) is summed over them, batch by batch.

    Attributes:
        classifier: What is trained.
        network: What the images go through: the classifier, joined to those of the other ranks.
        stop_requested: Asked with each batch; the request may reach one rank only.
    """

    classifier: Classifier
    network: nn.Module
    ranks: Ranks
    splits: Mapping[str, Split]
    hyperparameters: Hyperparameters
    checkpoints: CheckpointStore
    device: torch.device
    stop_requested: Callable[[], bool]

    def fit(self) -> Checkpoint:
        """Train until the last epoch, or until patience or a stop request ends it.

        Returns:
            The state after the last complete epoch; the classifier has the weights of the best one.

        Raises:
            DivergedError: The loss is no longer a number.
            CheckpointError: There is a checkpoint of another configuration.
            DataError: An image cannot be decoded.
        """
        wanted = self.hyperparameters
        optimizer = _optimizer(self.classifier, wanted)
        state = self.ranks.from_leader(self.checkpoints.load) or Checkpoint()
        if state.epoch:
            log.line(f"Resuming after epoch {state.epoch}")
            self.classifier.load_trained_state(state.model)
            optimizer.load_state_dict(dict(state.optimizer))
        try:
            while state.epoch < wanted.epochs and not _out_of_patience(state, wanted.patience):
                state = self._epoch(state, optimizer)
                self.ranks.from_leader(functools.partial(self.checkpoints.save, state))
            if state.epoch < wanted.epochs:
                log.line(f"No better validation loss for {wanted.patience} epochs: stopping early")
        except StopRequested:
            log.line(f"Stop requested: keeping what epoch {state.epoch} left")
        if state.epoch:
            self.classifier.load_trained_state(state.best_model)
            log.line(f"The best of {state.epoch} epochs is {state.best_epoch}")
        return state

    def test(self) -> dict[str, float]:
        """Return the test split's metrics by key (``test_loss``), and print their line."""
        with torch.inference_mode():
            measures = self._measure(self.splits["test"].batches(), None)
        return _report("test", measures)

    def _epoch(self, state: Checkpoint, optimizer: torch.optim.Optimizer) -> Checkpoint:
        epoch, started = state.epoch + 1, time.monotonic()
        prefix = f"Epoch {epoch}/{self.hyperparameters.epochs} - "
        seed_everything(epoch_seed(self.hyperparameters.seed, epoch) + (self.ranks.rank << 48))
        train = self._measure(self.splits["train"].batches(epoch), optimizer)
        report = _report("train", train, prefix)
        with torch.inference_mode():
            valid = self._measure(self.splits["valid"].batches(), None)
        report |= _report("valid", valid, prefix)
        log.line(f"{prefix}took {time.monotonic() - started:.1f} s")
        model = self.classifier.trained_state()
        state = dataclasses.replace(
            state,
            epoch=epoch,
            model=model,
            optimizer=optimizer.state_dict(),
            history=(*state.history, {"epoch": epoch, **report}),
        )
        if valid["Loss"] < state.best_loss:
            state = dataclasses.replace(state, best_epoch=epoch, best_loss=valid["Loss"], best_model=model)
        return state

    def _measure(self, batches: Iterable[Batch], optimizer: torch.optim.Optimizer | None) -> dict[str, float]:
        """Run over the batches, training where there is an optimizer; return the mean measures."""
        self.classifier.train(optimizer is not None)
        seen = {"Loss": 0.0, "Top-1": 0.0, "Top-5": 0.0, "Images": 0.0}
        for images, labels in batches:
            images, labels = (
                images.to(self.device, non_blocking=True),
                labels.to(self.device, non_blocking=True),
            )
            scores = self.network(images)
            loss = nn.functional.cross_entropy(scores, labels, reduction="sum", ignore_index=UNCOUNTED)
            ranked = scores.detach().topk(min(5, scores.shape[1])).indices == labels.unsqueeze(1)
            sums = (loss.detach(), ranked[:, 0].sum(), ranked.sum(), (labels != UNCOUNTED).sum())
            # The one wait for the GPU, and for the other ranks.
            values = torch.stack([value.double() for value in sums]).tolist()
            *batch, stops = self.ranks.sum([*values, self.stop_requested()])
            if stops:
                raise StopRequested
            batch_loss, batch_size = batch[0], batch[-1]
            if not math.isfinite(batch_loss):
                raise DivergedError(
                    f"the loss is {batch_loss}: training diverged. "
                    f"Lower learning_rate (it is {self.hyperparameters.learning_rate:g})"
                )
            if optimizer is not None:
                optimizer.zero_grad()
                # The gradients of the batch's mean loss, for the ranks' gradients are averaged.
                (loss * self.ranks.size / batch_size).backward()  # type: ignore[no-untyped-call]  # torch's
                optimizer.step()
            seen = {name: total + value for (name, total), value in zip(seen.items(), batch, strict=True)}
        count = seen.pop("Images")
        return {name: total / count for name, total in seen.items()}


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's and torch's random number generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _optimizer(classifier: Classifier, wanted: Hyperparameters) -> torch.optim.Optimizer:
    kinds: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    options: dict[str, Any] = {"lr": wanted.learning_rate, "weight_decay": wanted.weight_decay}
    if wanted.optimizer == "sgd":
        options["momentum"] = 0.9
    parameters = [parameter for parameter in classifier.parameters() if parameter.requires_grad]
    optimizer: torch.optim.Optimizer = kinds[wanted.optimizer](parameters, **options)
    return optimizer


def _out_of_patience(state: Checkpoint, patience: int) -> bool:
    return patience > 0 and state.epoch - state.best_epoch >= patience


def _report(split: str, measures: Mapping[str, float], prefix: str = "") -> dict[str, float]:
    log.line(metrics.format_line(split, measures, prefix))
    return {metrics.key(f"{split} {measure}"): value for measure, value in measures.items()}
