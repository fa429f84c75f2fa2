"""What training does to a batch and its loss: mixup, label smoothing, class weights.

They shape the gradients only. The losses that are reported are plain cross-entropy, so that those of
different recipes can be compared.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from sagemaker_dogbreed.container.data import UNCOUNTED
from sagemaker_dogbreed.container.hparams import Hyperparameters

Targets = tuple[tuple[float, torch.Tensor], ...]
"""Class numbers (batch,), with the share that they have in the loss; the largest share comes first."""


class Recipe(NamedTuple):
    """What the hyperparameters ask for.

    Attributes:
        mixup: The alpha of mixup; 0 for none.
        label_smoothing: The share of the target that all classes get.
        class_weights: A weight for each class (classes,), or None.
    """

    mixup: float = 0.0
    label_smoothing: float = 0.0
    class_weights: torch.Tensor | None = None

    @classmethod
    def of(cls, wanted: Hyperparameters, class_counts: torch.Tensor, device: torch.device) -> Recipe:
        """Return the recipe for a training split with so many examples of each class (classes,)."""
        weights = balanced(class_counts).to(device) if wanted.class_weights == "balanced" else None
        return cls(wanted.mixup, wanted.label_smoothing, weights)

    def blended(self, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Targets]:
        """Return what the network is to see of a batch, and what it is to say.

        With mixup (https://arxiv.org/abs/1710.09412) each example is blended with another one of its
        batch, of which at most half is in the blend. Several processes blend within their shares.

        Args:
            inputs: Images or features (batch, ...).
            labels: Class numbers (batch,).
        """
        if not self.mixup:
            return inputs, ((1.0, labels),)
        share = float(torch.distributions.Beta(self.mixup, self.mixup).sample())
        share = max(share, 1 - share)
        partners = torch.randperm(len(labels)).to(labels.device)
        blend = torch.lerp(inputs[partners], inputs, share)
        return blend, ((share, labels), (1 - share, labels[partners]))

    def loss(self, scores: torch.Tensor, targets: Targets, plain: torch.Tensor) -> torch.Tensor:
        """Return the batch's sum of losses to train on, ``plain`` where it is just that."""
        if not self.label_smoothing and self.class_weights is None:
            return plain
        return _cross_entropy(scores, targets, self.class_weights, self.label_smoothing)


UNCHANGED = Recipe()
"""A batch as it is, and plain cross-entropy."""


def plain_loss(scores: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Return the batch's sum of cross-entropies."""
    return _cross_entropy(scores, targets, None, 0.0)


def balanced(class_counts: torch.Tensor) -> torch.Tensor:
    """Return weights (classes,) with which all classes count the same; over the examples their mean is 1."""
    counts = class_counts.clamp(min=1).float()
    return class_counts.sum() / (counts * (class_counts > 0).sum())


def _cross_entropy(
    scores: torch.Tensor, targets: Targets, weight: torch.Tensor | None, smoothing: float
) -> torch.Tensor:
    losses = [
        share
        * nn.functional.cross_entropy(
            scores, labels, weight, reduction="sum", ignore_index=UNCOUNTED, label_smoothing=smoothing
        )
        for share, labels in targets
    ]
    return torch.stack(losses).sum() if len(losses) > 1 else losses[0]
