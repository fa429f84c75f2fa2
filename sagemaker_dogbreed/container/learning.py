"""What a training changes step by step: the weights by an optimizer, its rates, and the weights' average."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sized
from typing import Any, Protocol

import torch

from sagemaker_dogbreed.container.average import Average
from sagemaker_dogbreed.container.data import Batch
from sagemaker_dogbreed.container.debugging.watcher import Watcher
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import Classifier
from sagemaker_dogbreed.container.recipe import Recipe
from sagemaker_dogbreed.container.schedule import rate_share

_PRETRAINED_SHARE = 0.1  # of the head's learning rate, for a first block that has learned already


class Examples(Protocol):
    """A split as training sees it: of images, or of what a frozen backbone makes of them."""

    @property
    def sampler(self) -> Sized:
        """What there is in an epoch, of all ranks."""

    @property
    def class_counts(self) -> torch.Tensor:
        """How many there are of each class (classes,)."""

    def batches(self, epoch: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, or this rank's shares of them."""


class Learning:
    """The optimizer and all that goes with it.

    Attributes:
        recipe: What becomes of a batch and its loss.
        optimizer: Its parameters are all that is to train, in any stage.
        epoch: The one at hand, numbered from 1.
        next_step: The number of the next step, from 0 over all epochs.
        steps: How many there are in all epochs.
        head_epochs: The first epochs, in which the head trains alone. A pretrained backbone joins in when
            the head knows what it wants; one with random weights has nothing to lose.
    """

    def __init__(
        self,
        classifier: Classifier,
        wanted: Hyperparameters,
        examples: Examples,
        device: torch.device,
        watcher: Watcher | None = None,
    ) -> None:
        """Prepare to train the classifier, which is on the device, on examples."""
        self.recipe = Recipe.of(wanted, examples.class_counts, device)
        self.optimizer = _optimizer(classifier, wanted)
        joins_later = wanted.weights != "none" and not classifier.frozen
        self.head_epochs = min(wanted.head_epochs, wanted.epochs) if joins_later else 0
        self._classifier, self._wanted = classifier, wanted
        self._watcher = watcher or Watcher.idle()
        self._average = Average(classifier.trained_tensors(), wanted.ema_decay) if wanted.ema_decay else None
        self._steps_an_epoch = -(-len(examples.sampler) // wanted.batch_size)
        self.epoch, self.next_step = 1, 0
        self.steps = wanted.epochs * self._steps_an_epoch

    def begin(self, epoch: int) -> None:
        """Count steps from the first one of an epoch, which is numbered from 1."""
        self.epoch, self.next_step = epoch, (epoch - 1) * self._steps_an_epoch

    @property
    def rate(self) -> float:
        """The head's learning rate in the next step."""
        return self._wanted.learning_rate * rate_share(self._wanted, self.next_step, self.steps)

    def step(self, loss: torch.Tensor) -> None:
        """Take the next step down the gradients of a batch's loss."""
        rate = self.rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        self._watcher.backward_done()
        self.optimizer.step()
        self._watcher.updated()
        if self._average:
            self._average.update(self.next_step)
        self.next_step += 1

    def average_state(self) -> OrderedDict[str, torch.Tensor]:
        """Return a copy, in main memory, of the weights' average; empty where none is kept."""
        return self._average.state() if self._average else OrderedDict()

    def load(self, optimizer: Mapping[str, Any], average: Mapping[str, torch.Tensor]) -> None:
        """Go on from the optimizer's state and the average of a checkpoint."""
        self.optimizer.load_state_dict(dict(optimizer))
        if self._average:
            self._average.load(average)

    @contextlib.contextmanager
    def average_in_use(self) -> Iterator[None]:
        """Let the classifier have the average as its weights, where one is kept, and those back after."""
        if not self._average:
            yield
            return
        trained = self._classifier.trained_state()
        self._classifier.load_trained_state(self._average.state())
        try:
            yield
        finally:
            self._classifier.load_trained_state(trained)


def _optimizer(classifier: Classifier, wanted: Hyperparameters) -> torch.optim.Optimizer:
    """Return the optimizer in the form that is fastest on the parameters' device."""
    kinds: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    options: dict[str, Any] = {"lr": wanted.learning_rate, "weight_decay": wanted.weight_decay}
    if wanted.optimizer == "sgd":
        options["momentum"] = 0.9
    first = wanted.backbone_rate or (1.0 if wanted.weights == "none" else _PRETRAINED_SHARE)

    def build(**more: Any) -> torch.optim.Optimizer:
        rated = classifier.rated_parameters(first)
        groups = [{"params": parameters, "share": share} for share, parameters in rated]
        optimizer: torch.optim.Optimizer = kinds[wanted.optimizer](groups, **options, **more)
        return optimizer

    try:
        return build(fused=True)
    except (RuntimeError, TypeError):  # not on this device, or not in this release of torch
        return build()
