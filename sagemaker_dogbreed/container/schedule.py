"""How the learning rate changes over a training: a function of the step's number, nothing else.

So a training that was cut off goes on with the rates it would have had.
"""

from __future__ import annotations

import math

from sagemaker_dogbreed.container.hparams import Hyperparameters

_ONE_CYCLE_RISE = 0.3  # share of the steps, and the rate they begin with: of torch's and fastai's OneCycleLR
_ONE_CYCLE_START = 1 / 25


def rate_share(hyperparameters: Hyperparameters, step: int, steps: int) -> float:
    """Return the share of the full learning rate that a step is taken with.

    ``constant`` stays at 1 and ``cosine`` falls along half a cosine to 0, both after a warm-up in which the
    share rises linearly. ``one_cycle`` rises along half a cosine from 1/25 in the warm-up (without one, the
    first 30 % of the steps), and falls along another to 0 (https://arxiv.org/abs/1708.07120).

    Args:
        hyperparameters: Schedule and warm-up.
        step: The step's number, from 0.
        steps: How many there are; with early stopping, were there none.
    """
    cycle = hyperparameters.schedule == "one_cycle"
    rising = round((hyperparameters.warmup or (_ONE_CYCLE_RISE if cycle else 0.0)) * steps)
    if step < rising:
        progress = (step + 1) / (rising + 1)
        return _ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * (1 - _falling(progress)) if cycle else progress
    if hyperparameters.schedule == "constant":
        return 1.0
    return _falling(min(1.0, (step - rising) / max(1, steps - rising)))


def _falling(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2
