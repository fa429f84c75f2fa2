"""A moving average of the weights, which often classifies better than the weights of any one step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

_SLOWEST_START = 9  # of the first n steps the average forgets about as much as if it were their mean


class Average:
    """The average of tensors that training changes, running statistics of normalisation included.

    It begins with what the first step leaves. In the beginning it forgets faster than its decay says, as
    TensorFlow's does, so that the random weights of the start do not linger:
    https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], decay: float) -> None:
        """Make room for the average of ``tensors``, which are looked at whenever it is updated."""
        self.decay = decay
        self._live = tensors
        self._kept = {name: value.detach().clone() for name, value in tensors.items()}
        moving = [name for name, value in tensors.items() if value.is_floating_point()]
        self._moving = [(self._kept[name], tensors[name]) for name in moving]
        self._counts = [(self._kept[name], tensors[name]) for name in tensors if name not in moving]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in what the step of such a number, from 0, has left."""
        decay = min(self.decay, step / (step + _SLOWEST_START))
        kept, live = (list(tensors) for tensors in zip(*self._moving, strict=True))
        get_ema_multi_avg_fn(decay)(kept, live, step)  # type: ignore[no-untyped-call]  # torch's
        for count, value in self._counts:
            count.copy_(value)

    def state(self) -> OrderedDict[str, torch.Tensor]:
        """Return a copy of the average in main memory."""
        return OrderedDict((name, value.to("cpu", copy=True)) for name, value in self._kept.items())

    @torch.no_grad()
    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Load what ``state`` returned."""
        for name, value in self._kept.items():
            value.copy_(state[name])
