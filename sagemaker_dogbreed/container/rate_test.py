"""The learning-rate range test: one short training in which the rate rises from step to step.

Where the loss falls, the rates are of use; where it turns up, they are too high
(https://arxiv.org/abs/1506.01186). On features of a frozen backbone it takes seconds.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn

_SMOOTHING = 0.9
_HOPELESS = 4.0  # times the smallest loss, above which the test ends


@dataclasses.dataclass(frozen=True)
class RateTest:
    """What came of a range test.

    Attributes:
        rates: The learning rates that were tried, rising.
        losses: The training loss at each, smoothed over the steps before.
        suggestion: A learning rate to train with.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def suggest_learning_rate(
    head: nn.Module,
    features: torch.Tensor,
    labels: torch.Tensor,
    *,
    low: float = 1e-5,
    high: float = 1.0,
    steps: int = 100,
    batch_size: int = 64,
    seed: int = 0,
) -> RateTest:
    """Train a copy of a head with rising learning rates, and return which one suits it.

    Args:
        head: As training begins with it; it stays as it is.
        features: What the head takes (examples, width).
        labels: Class numbers (examples,).
        low: The first learning rate.
        high: The last one, where the loss does not rise too far before.
        steps: How many rates are tried, each higher than the one before by the same factor.
        batch_size: Examples of a step; the optimizer is Adam, as in training.
        seed: Of the examples' order and the head's dropout.

    Raises:
        ValueError: There are no examples or no numbers in them, or rates or steps make no range.
    """
    if not 0 < low < high < math.inf or steps < 2 or batch_size < 1:
        raise ValueError(
            f"a range test needs 0 < low < high, 2 or more steps and a batch_size of 1 or more; "
            f"got low {low}, high {high}, steps {steps}, batch_size {batch_size}"
        )
    if not len(features) or len(features) != len(labels):
        raise ValueError(
            f"there must be as many labels as features, and some; got {len(labels)} and {len(features)}"
        )
    rates = [low * (high / low) ** (step / (steps - 1)) for step in range(steps)]
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for loss in _losses(copy.deepcopy(head).train(), features, labels, rates, batch_size):
            losses.append(loss)
            if not loss < _HOPELESS * min(losses):
                break
    smooth = _smoothed([loss for loss in losses if math.isfinite(loss)])
    tried = tuple(rates[: len(smooth)])
    if not tried:
        raise ValueError("the loss is no number from the beginning: are the features and the head's weights?")
    return RateTest(tried, smooth, _suggestion(tried, smooth))


def _losses(
    head: nn.Module, features: torch.Tensor, labels: torch.Tensor, rates: Sequence[float], batch_size: int
) -> Iterator[float]:
    """Yield the loss before the step at each rate."""
    optimizer = torch.optim.Adam(head.parameters())
    rounds = -(-len(rates) * batch_size // len(labels))
    order = torch.cat([torch.randperm(len(labels)) for _ in range(rounds)])
    batches = [order[start : start + batch_size] for start in range(0, len(rates) * batch_size, batch_size)]
    for rate, batch in zip(rates, batches, strict=True):
        loss = nn.functional.cross_entropy(head(features[batch].float()), labels[batch])
        yield loss.item()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()


def _smoothed(losses: Sequence[float]) -> tuple[float, ...]:
    """Return exponentially weighted means, which begin with the first loss itself."""
    total, weight, found = 0.0, 0.0, []
    for loss in losses:
        total = _SMOOTHING * total + (1 - _SMOOTHING) * loss
        weight = _SMOOTHING * weight + (1 - _SMOOTHING)
        found.append(total / weight)
    return tuple(found)


def _suggestion(rates: Sequence[float], losses: Sequence[float]) -> float:
    """Return the rate in the middle, on a logarithmic scale, of the longest way down.

    That is the longest series of steps of which each has a smaller loss than the one before, not
    necessarily next to each other; fastai's ``lr_find`` calls it the valley, and takes its middle too.
    https://docs.fast.ai/callback.schedule.html#learner.lr_find
    """
    longest, before = [1] * len(losses), [*range(len(losses))]
    for end, loss in enumerate(losses):
        for start in range(end):
            if losses[start] > loss and longest[start] >= longest[end]:
                longest[end], before[end] = longest[start] + 1, start
    last = first = max(range(len(losses)), key=longest.__getitem__)
    while before[first] != first:
        first = before[first]
    return rates[(first + last) // 2]
