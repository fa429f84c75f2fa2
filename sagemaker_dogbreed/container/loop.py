"""The training loop: train and validate each epoch, keep the best, stop when it no longer improves."""

from __future__ import annotations

import dataclasses
import functools
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import nn

from sagemaker_dogbreed.container import log, metrics
from sagemaker_dogbreed.container.checkpoint import Checkpoint, CheckpointStore
from sagemaker_dogbreed.container.class_counts import ClassCounts
from sagemaker_dogbreed.container.compilation import compiled
from sagemaker_dogbreed.container.data import UNCOUNTED, Batch
from sagemaker_dogbreed.container.debugging.watcher import Watcher
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.learning import Examples, Learning
from sagemaker_dogbreed.container.model import Classifier
from sagemaker_dogbreed.container.recipe import UNCHANGED, plain_loss
from sagemaker_dogbreed.container.sampling import epoch_seed
from sagemaker_dogbreed.container.threads import one_thread


class DivergedError(Exception):
    """The loss became infinite or not a number."""


Tally = Callable[[torch.Tensor, torch.Tensor, int], object]
"""Called with each batch's scores (batch, classes), class numbers (batch,), and how many images it has on
all ranks."""


class StopRequested(Exception):  # noqa: N818 - it is no error
    """The job was asked to stop."""


@dataclasses.dataclass(frozen=True)
class Trainer:
    """What training works with.

    Of several ranks each has its shares of the splits' batches, and all do the same: what they decide
    on (losses, a request to stop) is summed over them, batch by batch.

    Attributes:
        classifier: What is trained.
        splits: Batches of images; with ``on_features``, of what the frozen backbone makes of them.
        stop_requested: Asked with each batch; the request may reach one rank only.
        epoch_ended: Told the measures of each epoch, by key; on True training ends there.
        watcher: Records the training, and ends it where a rule says so.
    """

    classifier: Classifier
    ranks: Ranks
    splits: Mapping[str, Examples]
    hyperparameters: Hyperparameters
    checkpoints: CheckpointStore
    device: torch.device
    stop_requested: Callable[[], bool]
    on_features: bool = False
    epoch_ended: Callable[[Mapping[str, float]], bool] = lambda _: False
    watcher: Watcher = dataclasses.field(default_factory=Watcher.idle)

    def fit(self) -> Checkpoint:
        """Train until the last epoch, or until patience or a stop request ends it.

        A pretrained backbone of which something trains joins in after ``head_epochs``; patience counts
        from there.

        Returns:
            The state after the last complete epoch; the classifier has the weights of the best one.

        Raises:
            DivergedError: The loss is no longer a number.
            CheckpointError: There is a checkpoint of another configuration.
            DataError: An image cannot be decoded.
        """
        wanted = self.hyperparameters
        learning = Learning(self.classifier, wanted, self.splits["train"], self.device, self.watcher)
        state = self.ranks.from_leader(self.checkpoints.load) or Checkpoint()
        if state.epoch:
            log.line(f"Resuming after epoch {state.epoch}")
            self.classifier.load_trained_state(state.model)
            learning.load(state.optimizer, state.average)
        learning.begin(state.epoch + 1)
        self.watcher.training_begins(epoch=state.epoch, step=learning.next_step)
        called = self.classifier.head if self.on_features else self.classifier
        self.watcher.record(self.classifier, called)
        ended = False
        try:
            for head_alone, last in ((True, learning.head_epochs), (False, wanted.epochs)):
                network = None
                while (
                    state.epoch < last
                    and not ended
                    and not _out_of_patience(state, wanted, learning.head_epochs)
                ):
                    network = network or self._network(head_alone=head_alone)
                    with one_thread(self.on_features):
                        state = self._epoch(state, network, learning)
                    with self.watcher.span("checkpoint"):
                        self.ranks.from_leader(functools.partial(self.checkpoints.save, state))
                    ended = self.epoch_ended(state.history[-1])
            if state.epoch < wanted.epochs and not ended:
                log.line(f"No better validation loss for {wanted.patience} epochs: stopping early")
        except StopRequested:
            rule = self.watcher.stopped_by
            what = f"The rule {rule.name} ends the training" if rule else "Stop requested"
            log.line(f"{what}: keeping what epoch {state.epoch} left")
        if state.epoch:
            self.classifier.load_trained_state(state.best_model)
            log.line(f"The best of {state.epoch} epochs is {state.best_epoch}")
        return state

    def test(self, tally: Tally | None = None) -> dict[str, float]:
        """Return the test split's metrics by key (``test_loss``), and print their line."""
        network = self.ranks.together(self.classifier, on_features=self.on_features)
        with self.watcher.span("test"):
            return _report("test", self._measure(network, self.splits["test"].batches(), tally=tally))

    def _network(self, *, head_alone: bool) -> nn.Module:
        """Return what batches go through while the head trains alone, or after that."""
        self.classifier.hold_backbone(head_alone)
        network = self.ranks.together(self.classifier, on_features=self.on_features)
        if self.hyperparameters.compile == "off" or self.on_features:
            return network
        images, _ = next(self.splits["valid"].batches())
        return compiled(network, self.classifier, images.to(self.device), self.ranks)

    def _epoch(self, state: Checkpoint, network: nn.Module, learning: Learning) -> Checkpoint:
        epoch, started = state.epoch + 1, time.monotonic()
        prefix = f"Epoch {epoch}/{self.hyperparameters.epochs} - "
        seed_everything(epoch_seed(self.hyperparameters.seed, epoch) + (self.ranks.rank << 48))
        learning.begin(epoch)
        counts = ClassCounts()
        with self.watcher.span("train"):
            train = self._measure(network, self.splits["train"].batches(epoch), learning, counts.add)
        report = _report("train", train, prefix)
        with learning.average_in_use():
            with self.watcher.span("evaluation"):
                valid = self._measure(network, self.splits["valid"].batches())
            model = self.classifier.trained_state()
        report |= _report("valid", valid, prefix)
        labels, errors = counts.sums(len(self.splits["train"].class_counts), self.ranks)
        step = learning.next_step - 1
        if self.hyperparameters.mixup:  # what is wrong of a blend says nothing of a class
            errors = ()
        self.watcher.epoch_ended(epoch=epoch, step=step, measures=report, labels=labels, errors=errors)
        log.line(f"{prefix}took {time.monotonic() - started:.1f} s")
        average = learning.average_state()
        state = dataclasses.replace(
            state,
            epoch=epoch,
            model=self.classifier.trained_state() if average else model,
            average=average,
            optimizer=learning.optimizer.state_dict(),
            history=(*state.history, {"epoch": epoch, **report}),
        )
        if valid["Loss"] < state.best_loss:
            state = dataclasses.replace(state, best_epoch=epoch, best_loss=valid["Loss"], best_model=model)
        return state

    def _measure(
        self,
        network: nn.Module,
        batches: Iterable[Batch],
        learning: Learning | None = None,
        tally: Tally | None = None,
    ) -> dict[str, float]:
        """Run over the batches, learning from them where that is wanted; return the mean measures."""
        watcher = self.watcher
        watcher.passes("train" if learning else "evaluate")
        self.classifier.train(learning is not None)
        recipe = learning.recipe if learning else UNCHANGED
        in_part = learning and self.hyperparameters.precision == "bf16" and not self.on_features
        mixed = torch.autocast(self.device.type, torch.bfloat16, enabled=bool(in_part))
        seen = {"Loss": 0.0, "Top-1": 0.0, "Top-5": 0.0, "Images": 0.0}
        for number, (inputs, labels) in enumerate(batches):
            watcher.lap("data")
            if learning:
                watcher.step_begins(learning.next_step)
            inputs, labels = (
                inputs.to(self.device, non_blocking=True),
                labels.to(self.device, non_blocking=True),
            )
            watcher.lap("copy")
            with torch.inference_mode(learning is None), mixed:
                inputs, targets = recipe.blended(inputs, labels)
                scores = network(inputs).float()
            loss = plain_loss(scores, targets)
            ranked = scores.detach().topk(min(5, scores.shape[1])).indices == labels.unsqueeze(1)
            sums = (loss.detach(), ranked[:, 0].sum(), ranked.sum(), (labels != UNCOUNTED).sum())
            # The one wait for the GPU, and for the other ranks.
            values = torch.stack([value.double() for value in sums]).tolist()
            watcher.lap("forward")
            *batch, stops = self.ranks.sum([*values, self.stop_requested()])
            watcher.lap("ranks")
            if stops:
                raise StopRequested
            batch_loss, batch_size = batch[0], batch[-1]
            if tally:
                tally(scores.detach(), labels, int(batch_size))
            watcher.loss(batch_loss / batch_size)
            if learning:
                watcher.step_ended(
                    step=learning.next_step,
                    epoch=learning.epoch,
                    loss=batch_loss / batch_size,
                    top_1=batch[1] / batch_size,
                    learning_rate=learning.rate,
                    images=int(batch_size),
                )
            if not math.isfinite(batch_loss):
                raise DivergedError(
                    f"the loss is {batch_loss}: training diverged. "
                    f"Lower learning_rate (it is {self.hyperparameters.learning_rate:g})"
                )
            if learning:
                # Down the batch's mean loss, for the ranks' gradients are averaged.
                learning.step(recipe.loss(scores, targets, plain=loss) * self.ranks.size / batch_size)
            watcher.batch_ended(learning.next_step - 1 if learning else number)
            seen = {name: total + value for (name, total), value in zip(seen.items(), batch, strict=True)}
        count = seen.pop("Images")
        return {name: total / count for name, total in seen.items()}


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's and torch's random number generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _out_of_patience(state: Checkpoint, wanted: Hyperparameters, head_epochs: int) -> bool:
    return wanted.patience > 0 and state.epoch - max(state.best_epoch, head_epochs) >= wanted.patience


def _report(split: str, measures: Mapping[str, float], prefix: str = "") -> dict[str, float]:
    log.line(metrics.format_line(split, measures, prefix))
    return {metrics.key(f"{split} {measure}"): value for measure, value in measures.items()}
