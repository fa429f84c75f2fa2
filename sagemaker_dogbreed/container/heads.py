"""Heads: features (batch, width) to class scores (batch, classes)."""

from __future__ import annotations

import functools

import torch
from torch import nn

from sagemaker_dogbreed.container.hparams import Hyperparameters


def build_head(hyperparameters: Hyperparameters, features: int, class_count: int) -> nn.Module:
    """Build a head with random weights for features of such a width."""
    dropout = hyperparameters.dropout
    first = functools.partial(_DropoutLinear, dropout) if dropout else nn.Linear
    if hyperparameters.head == "linear":
        return first(features, class_count)
    units = hyperparameters.head_units
    return nn.Sequential(first(features, units), nn.ReLU(), nn.Linear(units, class_count))


def feature_count(head: nn.Module) -> int:
    """Return the width of the features that a head takes."""
    return next(layer.in_features for layer in head.modules() if isinstance(layer, nn.Linear))


class _DropoutLinear(nn.Linear):
    """A linear layer that in training drops a share of its inputs.

    Its state is a plain layer's, for nobody who serves it needs to know.
    """

    def __init__(self, dropout: float, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.dropout = dropout

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(features, self.dropout, self.training))
