"""Causes in how images and labels are shared out over the splits."""

from __future__ import annotations

import math

from sagemaker_dogbreed.analysis.causes.amounts import number, percent
from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.quantiles import median, usable

_PERFECT, _AT_ONCE = 0.99, 0.3
_SETTLED = 3  # the epoch from which a running average tells something: before, it is of the beginning
_BETTER, _FAR_BETTER = 0.2, 0.35  # of top-1
_CERTAIN = 4.0  # standard deviations
_SPLIT_IMAGES = 50  # of validation or test, whose number is not recorded: few, so that chance is not blamed
_ENOUGH_EPOCHS = 4  # with fewer, batch normalization alone can keep validation at guessing
_FALLEN = 0.8  # of the first training loss


def validation_guesses(case: Case) -> Cause | None:
    """Find that validation is never better than guessing although training learns."""
    losses, shares, train = (case.curve(name) for name in ("valid_loss", "valid_top_1", "train_loss"))
    classes = _classes(case)
    if classes < 2 or min(len(losses), len(shares), len(train)) < _ENOUGH_EPOCHS:
        return None
    best_epoch, best = min(losses, key=lambda pair: pair[1])
    bound = f"guessing among {classes} classes gives {number(math.log(classes))}"
    chance, usual = 1 / classes, median(share for _, share in shares) or 0.0
    fell = train[-1][1] < _FALLEN * min(train[0][1], math.log(classes))
    # Of few images some are guessed rightly by luck in some epoch.
    guessed = usual <= chance and max(share for _, share in shares) <= 1.5 * chance
    if best < math.log(classes) or not guessed or not fell or best_epoch == losses[-1][0]:
        return None
    return Cause(
        name="validation_guesses",
        title="Validation never beats guessing",
        explanation="What is learned of the training images says nothing of those of validation: the labels "
        "of one of them are most likely wrong, or the classes of the splits are not the same.",
        evidence=(
            f"The training loss fell from {number(train[0][1])} to {number(train[-1][1])}.",
            f"The validation loss was {number(best)} at best; {bound}.",
            f"Top-1 of validation is {percent(usual)} at the median; guessing gives {percent(chance)}.",
            *case.quotes("Overfit", "Overtraining"),
        ),
        advice=(
            "Look at some images of each split with their labels.",
            "Look whether the folders of the splits are named and sorted alike.",
        ),
        severity=0.9,
        explains=("Overfit", "Overtraining", "LossNotDecreasing", "overfitting", "overtraining"),
    )


def leaked_labels(case: Case) -> Cause | None:
    """Find that validation, or the test, is better than honest images allow."""
    evidence, severity = [], 0.0
    first = next((share for epoch, share in case.curve("valid_top_1") if epoch == 1), 0.0)
    # A backbone that has seen such images before may have nothing left to learn; a random one has.
    if first >= _PERFECT and case.setting("weights") == "none" and (case.class_count or 2) > 2:
        severity = _AT_ONCE
        evidence.append(
            f"After the first epoch of random weights already, {percent(first)} of the validation images of "
            f"{case.class_count} classes were classified rightly."
        )
    train = _trained(case)
    # Mixup's training images are blends, which nobody classifies as well as whole ones.
    for measure in () if case.setting("mixup") or train is None else ("valid_top_1", "test_top_1"):
        share = _lately(case, measure)
        if train is None or share is None or not _clearly_above(case, share, train):
            continue
        severity = max(severity, 0.6 if share - train >= _FAR_BETTER else 0.3)
        evidence.append(
            f"{measure} is {percent(share)}, far above top-1 of training, which was {percent(train)} at best."
        )
    if not evidence:
        return None
    return Cause(
        name="leaked_labels",
        title="Validation is suspiciously good",
        explanation="Images of one split may be in another too, or something in an image (a border, its "
        "size) tells its class. What is measured then says nothing of new images.",
        evidence=tuple(evidence),
        advice=(
            "Look for copies of images across the splits, which inspect() finds.",
            "Prepare the data set anew, which keeps copies together.",
        ),
        severity=severity,
        explains=(
            "LossNotDecreasing",
            "VanishingGradient",
            "Overtraining",
            "overtraining",
            "vanishing_gradients",
        ),
    )


def _classes(case: Case) -> int:
    """Return how many classes have training images, or else how many there are."""
    labels = case.history.epochs[-1].labels if case.history.epochs else ()
    return sum(count > 0 for count in labels) or case.class_count or 0


def _trained(case: Case) -> float | None:
    """Return the best top-1 of training that an epoch, or the end of one, has come to."""
    settled = [share for epoch, share in case.curve("train_top_1") if epoch >= _SETTLED]
    if not settled:
        return None
    last = case.history.epochs[-1].epoch
    shares = [step.top_1 for step in case.history.steps if step.epoch == last and usable(step.top_1)]
    ending = shares[-max(1, len(shares) // 4) :]
    return max(*settled, sum(ending) / len(ending)) if ending else max(settled)


def _lately(case: Case, measure: str) -> float | None:
    """Return a share of the last epoch; of validation the lower one of two, for one may be luck."""
    shares = [share for _, share in case.curve(measure)]
    if not shares:
        return None
    return min(shares[-2:]) if measure == "valid_top_1" else shares[-1]


def _clearly_above(case: Case, share: float, train: float) -> bool:
    """Return whether a share of a split is above that of training by more than chance can make it."""
    images = max(sum(max(count, 0) for count in case.history.epochs[-1].labels), _SPLIT_IMAGES)
    mean = (share * _SPLIT_IMAGES + train * images) / (_SPLIT_IMAGES + images)
    spread = math.sqrt(max(mean * (1 - mean), 0.0) * (1 / _SPLIT_IMAGES + 1 / images))
    return share - train >= max(_BETTER, _CERTAIN * spread)
