"""The training loop: train and validate each epoch, keep the best, stop when it no longer improves."""

from __future__ import annotations

import dataclasses
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
from sagemaker_dogbreed.container.data import Batch, Split, epoch_seed
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import Classifier


class DivergedError(Exception):
    """The loss became infinite or not a number."""


class StopRequested(Exception):  # noqa: N818 - it is no error
    """The job was asked to stop."""


@dataclasses.dataclass(frozen=True)
class Trainer:
    """What training works with; ``stop_requested`` is asked after each batch."""

    classifier: Classifier
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
        state = self.checkpoints.load() or Checkpoint()
        if state.epoch:
            log.line(f"Resuming after epoch {state.epoch}")
            self.classifier.load_trained_state(state.model)
            optimizer.load_state_dict(dict(state.optimizer))
        try:
            while state.epoch < wanted.epochs and not _out_of_patience(state, wanted.patience):
                state = self._epoch(state, optimizer)
                self.checkpoints.save(state)
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
        seed_everything(epoch_seed(self.hyperparameters.seed, epoch))
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
        loss_sum, top1, top5, images_seen = 0.0, 0, 0, 0
        for images, labels in batches:
            images, labels = (
                images.to(self.device, non_blocking=True),
                labels.to(self.device, non_blocking=True),
            )
            scores = self.classifier(images)
            loss = nn.functional.cross_entropy(scores, labels)
            if not math.isfinite(loss.item()):
                raise DivergedError(
                    f"the loss is {loss.item()}: training diverged. "
                    f"Lower learning_rate (it is {self.hyperparameters.learning_rate:g})"
                )
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                optimizer.step()
            ranked = scores.detach().topk(min(5, scores.shape[1])).indices == labels.unsqueeze(1)
            loss_sum += loss.item() * len(labels)
            top1 += int(ranked[:, 0].sum())
            top5 += int(ranked.sum())
            images_seen += len(labels)
            if self.stop_requested():
                raise StopRequested
        return {"Loss": loss_sum / images_seen, "Top-1": top1 / images_seen, "Top-5": top5 / images_seen}


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
