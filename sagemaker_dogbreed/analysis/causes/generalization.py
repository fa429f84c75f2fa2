"""Causes that show where training and validation are compared."""

from __future__ import annotations

from typing import Any, NamedTuple

from sagemaker_dogbreed.analysis.causes.amounts import number, percent
from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.analysis.causes.cause import Cause

_WORSE, _WORSE_BY = 1.05, 0.02  # times the best validation loss, and at least by how much
_APART = 0.05  # of top-1
_PERFECT, _BETTER = 0.99, 0.15
_WASTED = 0.25  # of the epochs
_PATIENCE = 5


class Validation(NamedTuple):
    """How the validation loss went: its best epoch and value, its last, and the epochs in all."""

    best_epoch: int
    best: float
    last_epoch: int
    last: float

    @property
    def worse(self) -> bool:
        """Whether it has become worse since its best."""
        return self.last > max(_WORSE * self.best, self.best + _WORSE_BY)


def validation(case: Case) -> Validation | None:
    """Return how the validation loss went; None where it was not measured."""
    curve = case.curve("valid_loss")
    if not curve:
        return None
    best_epoch, best = min(curve, key=lambda pair: pair[1])
    return Validation(best_epoch, best, *curve[-1])


def top_1_gap(case: Case) -> float | None:
    """Return by how much top-1 of training is above that of validation at the end."""
    train, valid = case.curve("train_top_1"), case.curve("valid_top_1")
    return train[-1][1] - valid[-1][1] if train and valid else None


def leaked_labels(case: Case) -> Cause | None:
    """Find that validation, or the test, is better than honest images allow."""
    valid, evidence = case.curve("valid_top_1"), []
    if valid and valid[0][0] == 1 and valid[0][1] >= _PERFECT and (case.class_count or 2) > 2:
        evidence.append(
            f"After the first epoch already, {percent(valid[0][1])} of the validation images of "
            f"{case.class_count or 'unknown'} classes were classified rightly."
        )
    train = case.curve("train_top_1")
    # Mixup's training images are blends, which nobody classifies as well as whole ones.
    for measure in () if case.setting("mixup") else ("valid_top_1", "test_top_1"):
        others = case.curve(measure)
        if train and others and others[-1][1] - train[-1][1] >= _BETTER:
            evidence.append(
                f"{measure} is {percent(others[-1][1])}, far above train_top_1, {percent(train[-1][1])}."
            )
    if not evidence:
        return None
    return Cause(
        name="leaked_labels",
        title="Validation is suspiciously good",
        explanation="Images of one split are most likely in another too, or something in an image (a border, "
        "its size) tells its class. What is measured then says nothing of new images.",
        evidence=tuple(evidence),
        advice=(
            "Look for copies of images across the splits, which inspect() finds.",
            "Prepare the data set anew, which keeps copies together.",
        ),
        severity=0.8,
        explains=(
            "LossNotDecreasing",
            "VanishingGradient",
            "Overtraining",
            "overtraining",
            "vanishing_gradients",
        ),
    )


def overfitting(case: Case) -> Cause | None:
    """Find that the training images are learned by heart."""
    course, gap = validation(case), top_1_gap(case)
    train = case.curve("train_loss")
    falls = len(train) > 1 and train[-1][1] < train[0][1]
    harmful = course is not None and course.worse and falls
    apart = gap is not None and gap > _APART
    if not harmful and not (case.found("Overfit") and (apart or course is None)):
        return None
    evidence = list(case.quotes("Overfit"))
    if course is not None:
        evidence.append(
            f"The validation loss was best in epoch {course.best_epoch} ({number(course.best)}) and is "
            f"{number(course.last)} in epoch {course.last_epoch}."
        )
    if train:
        evidence.append(f"The training loss is {number(train[-1][1])}.")
    if gap is not None and apart:
        evidence.append(f"Top-1 of training is {number(100 * gap)} points above that of validation.")
    return Cause(
        name="overfitting",
        title="The training images are learned by heart",
        explanation="The loss of training falls on while that of validation does not. Less certain targets "
        "and more varied images help.",
        evidence=tuple(evidence),
        change=_against_overfitting(case, harmful=harmful),
        advice=("More images of the classes that are confused help most.",),
        severity=min(0.7, 0.3 + (2 * gap if gap is not None and gap > 0 else 0.1)),
        explains=("Overfit", "LossNotDecreasing", *(("Overtraining", "overtraining") if harmful else ())),
    )


def overtraining(case: Case) -> Cause | None:
    """Find that training goes on although nothing becomes better."""
    course = validation(case)
    patience = case.setting("patience")
    idle = course.last_epoch - course.best_epoch if course else 0
    allowed = patience or _PATIENCE
    wasted = course is not None and idle >= max(allowed, _PATIENCE) and idle > _WASTED * course.last_epoch
    # With a patience, training ends by itself so many epochs after the best: that is no waste.
    if course is not None and patience and idle <= patience:
        return None
    if not wasted and not case.found("Overtraining"):
        return None
    evidence = list(case.quotes("Overtraining"))
    if course is not None:
        evidence.append(
            f"The best of {course.last_epoch} epochs was epoch {course.best_epoch}, with a validation loss "
            f"of {number(course.best)}."
        )
    return Cause(
        name="overtraining",
        title="Training goes on without getting better",
        explanation="Epochs after the best one cost time; patience ends training when they do not help.",
        evidence=tuple(evidence),
        change=_patience(case),
        severity=min(0.5, idle / max(1, course.last_epoch)) if course and idle > 0 else 0.2,
        explains=("Overtraining", "LossNotDecreasing"),
    )


def _against_overfitting(case: Case, *, harmful: bool) -> dict[str, tuple[Any, Any]]:
    change: dict[str, tuple[Any, Any]] = {}
    if case.setting("label_smoothing") == 0:
        change["label_smoothing"] = (case.setting("label_smoothing"), 0.1)
    if case.profile.on_features and case.setting("views") == 1:
        change["views"] = (1, 4)  # images pass once, so that they can only vary by views
    elif case.setting("augmentation") == "none":
        change["augmentation"] = ("none", "flip_crop")
    if case.setting("weight_decay") == 0:
        change["weight_decay"] = (case.setting("weight_decay"), 0.0001)
    return change | (_patience(case) if harmful else {})


def _patience(case: Case) -> dict[str, tuple[Any, Any]]:
    old = case.setting("patience")
    if old is None:
        return {}
    return {"patience": (old, _PATIENCE)} if old == 0 or old > _PATIENCE else {}
