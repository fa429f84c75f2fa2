"""Rules on losses, step by step and epoch by epoch, and on whether a training goes on at all.

AWS's parameters that choose tensors (``base_trial``, ``collection_names``, ``tensor_regex``, ``mode``) have
nothing to choose from: each step and each epoch has one loss a split.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Record, Step
from sagemaker_dogbreed.container.debugging.rules import rule

_WINDOWS = 5  # of num_steps each are needed before a batch's loss can be told from noise
_LONGEST_WINDOW = 10  # times num_steps
_NOISE, _SURE = 2.0, 5.0  # standard errors: what is no decrease for certain, and what is certainly a rise


def decreased(before: Sequence[Step], after: Sequence[Step], *, percent: float, errors: float) -> bool:
    """Return whether the mean loss has fallen by some percent, and by some standard errors of its noise."""
    return _rise(before, after, errors) < -percent / 100


@rule("NaNOrInf", on="step")
def loss_not_finite(history: History) -> str | None:
    """The batch's loss is infinite or not a number.

    Not a rule of AWS's, where a loss is one of the tensors that ExplodingTensor looks at. That one is asked
    in sampled steps only; this one is asked in each, and can end a training at once.
    """
    if history.steps and not math.isfinite(history.steps[-1].loss):
        last = history.steps[-1]
        return f"the loss of step {last.step} is not a finite number, at learning rate {last.learning_rate:g}"
    return None


@rule("LossNotDecreasing", on="step")
def loss_not_decreasing(
    history: History,
    *,
    num_steps: int = 10,
    diff_percent: float = 0.1,
    increase_threshold_percent: float = 5.0,
) -> str | None:
    """The loss is where it was in the beginning, or it rises.

    AWS compares a step's loss with that ``num_steps`` before. A batch's loss is noise to a large part, so
    here means are compared, every ``num_steps`` steps from the fifth time on. From the first ``num_steps`` to
    the last fifth of all steps (at most 10 times ``num_steps``) the loss must have fallen by ``diff_percent``
    and by two standard errors. And in the last 5 times ``num_steps``, from the first two fifths to the last
    two, it must not rise by ``increase_threshold_percent`` and five standard errors. A loss that has fallen
    and stays where it is, is Overtraining's concern.
    """
    steps = history.steps
    if num_steps < 1 or len(steps) < _WINDOWS * num_steps or len(steps) % num_steps:
        return None
    length = min(len(steps) // _WINDOWS, _LONGEST_WINDOW * num_steps)
    first, last = steps[:num_steps], steps[-length:]
    if not _finite(first) or not _finite(last):
        return None
    before, after = steps[-5 * num_steps : -3 * num_steps], steps[-2 * num_steps :]
    if _finite(before) and _rise(before, after, -_SURE) > increase_threshold_percent / 100:
        return (
            f"the loss rose from {_mean(before):.4g} to {_mean(after):.4g} between steps {before[0].step} "
            f"and {after[-1].step}"
        )
    halved = _mean(last) < first[0].loss / 2  # so quickly, perhaps, that the first losses differ by as much
    if not halved and not decreased(first, last, percent=diff_percent, errors=_NOISE):
        return (
            f"the loss was {_mean(first):.4g} in the first {num_steps} steps and is {_mean(last):.4g} in the "
            f"last {length} of {len(steps)}: it does not decrease"
        )
    return None


@rule("Overfit", on="epoch")
def overfit(
    history: History, *, start_step: int = 0, patience: int = 1, ratio_threshold: float = 0.1
) -> str | None:
    """The validation loss is above the training loss by more than a ratio of it, for so many epochs on end.

    AWS counts ``patience`` in steps of both kinds; losses are compared where there is a validation loss, so
    it counts epochs here.
    """
    count = 0
    for epoch in reversed(history.epochs):
        train, valid = (epoch.measures.get(key, math.nan) for key in ("train_loss", "valid_loss"))
        if epoch.step < start_step or not valid - train > ratio_threshold * train:
            break
        count += 1
    if count < max(1, patience):
        return None
    last = history.epochs[-1]
    train, valid = last.measures["train_loss"], last.measures["valid_loss"]
    above = f"{(valid - train) / train:.0%}" if train > 0 else "infinitely far"
    return (
        f"in epoch {last.epoch} the validation loss, {valid:.4g}, is {above} above the training loss, "
        f"{train:.4g}; so it has been above {ratio_threshold:.0%} for {count} epochs"
    )


@rule("Overtraining", on="epoch")
def overtraining(
    history: History, *, patience_train: int = 5, patience_validation: int = 10, delta: float = 0.01
) -> str | None:
    """The training loss, or the validation loss, has not improved by ``delta`` for so many epochs.

    AWS counts steps in which a loss was saved; here these are epochs.
    """
    for split, patience in (("validation", patience_validation), ("training", patience_train)):
        key = f"{split[:5]}_loss"
        best, since = math.inf, 0
        for epoch in history.epochs:
            loss = epoch.measures.get(key, math.nan)
            best, since = (loss, 0) if loss < best - delta else (best, since + 1)
        if since >= max(1, patience) and math.isfinite(best):
            return f"the {split} loss has not come below {best:.4g} by {delta:g} for {since} epochs"
    return None


@rule("StalledTrainingRule", on="profile")
def stalled_training(history: History, *, threshold: int = 1800) -> str | None:
    """Nothing but the machine's own records has come for so many seconds.

    It is among the profiler rules, unlike AWS's, for only those are asked while a training stands still. To
    end the training (AWS's ``stop_training_on_fire``) is no use: it would have to go on to notice.
    """
    kinds: tuple[Sequence[Record], ...] = (
        *(history.starts, history.steps, history.epochs, history.phases, history.spans),
    )
    last = max((records[-1].time for records in kinds if records), default=math.nan)
    now = history.system[-1].time if history.system else math.nan
    if now - last > threshold:
        return f"for {now - last:.0f} s no step, epoch or other part of the job has ended"
    return None


def _mean(steps: Sequence[Step]) -> float:
    return statistics.fmean(step.loss for step in steps)


def _finite(steps: Sequence[Step]) -> bool:
    return all(math.isfinite(step.loss) for step in steps)


def _rise(before: Sequence[Step], after: Sequence[Step], errors: float) -> float:
    """Return the mean loss's rise as a share of what it was, with some standard errors of it added."""
    means = [_mean(steps) for steps in (before, after)]
    noise = math.hypot(*(_deviation(steps) / math.sqrt(len(steps)) for steps in (before, after)))
    return (means[1] - means[0] + errors * noise) / max(abs(means[0]), 1e-12)


def _deviation(steps: Sequence[Step]) -> float:
    return statistics.stdev([step.loss for step in steps]) if len(steps) > 1 else 0.0
