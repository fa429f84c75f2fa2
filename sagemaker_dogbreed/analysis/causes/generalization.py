"""Causes that show where training goes on and validation does not: learned by heart, trained too long."""

from __future__ import annotations

from typing import Any, NamedTuple

from sagemaker_dogbreed.analysis.causes.amounts import number
from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.analysis.causes.cause import Cause

_WORSE, _WORSE_BY = 1.08, 0.02  # times the best validation loss, and at least by how much; less is noise
_LARGE_GAP = 0.15  # of top-1; some gap there always is
_HUGE_GAP, _STALLED = 0.25, 4  # of top-1, and epochs without a better one
_WASTED = 0.25  # of the epochs
_PATIENCE = 5
_MOST_CHANGES = 2  # more of them at once, and nobody knows which one did it


class Validation(NamedTuple):
    """How the validation loss went: its best epoch and value, its last, and the lower one of its last two."""

    best_epoch: int
    best: float
    last_epoch: int
    last: float
    settled: float

    @property
    def idle(self) -> int:
        """How many epochs came after the best one."""
        return max(0, self.last_epoch - self.best_epoch)

    @property
    def rise(self) -> float:
        """By which share of its best it rose; of the last two epochs, the better one counts."""
        return max(0.0, self.settled / max(self.best, 1e-6) - 1)

    @property
    def worse(self) -> bool:
        """Whether it has become worse since its best, clearly and for more than one epoch."""
        return self.settled > max(_WORSE * self.best, self.best + _WORSE_BY)


def validation(case: Case) -> Validation | None:
    """Return how the validation loss went; None where it was not measured."""
    curve = case.curve("valid_loss")
    if not curve:
        return None
    best_epoch, best = min(curve, key=lambda pair: pair[1])
    return Validation(best_epoch, best, *curve[-1], min(value for _, value in curve[-2:]))


def overfitting(case: Case) -> Cause | None:
    """Find that the training images are learned by heart, and validation suffers or stands still."""
    course = validation(case)
    if course is None or not _fell_on(case, course):
        return None
    gap = _gap(case, course.best_epoch)
    large = gap is not None and gap > _LARGE_GAP
    if not course.worse and not (gap is not None and gap > _HUGE_GAP and _stalled(case, course)):
        return None
    before, now = _near(case, "train_loss", course.best_epoch) or 0.0, case.curve("train_loss")[-1][1]
    best, last = number(course.best), number(course.last)
    evidence = [
        f"The validation loss was best in epoch {course.best_epoch}: {best}; it is {last} in the last."
    ]
    evidence.append(f"The training loss fell from {number(before)} to {number(now)} meanwhile.")
    if large:
        evidence.append(
            f"Top-1 of training was {number(100 * (gap or 0))} points above that of validation in epoch "
            f"{course.best_epoch}."
        )
    ended = _ends_itself(case, course)
    change = _against_overfitting(case, patience=not ended, regularize=large)
    return Cause(
        name="overfitting",
        title="The training images are learned by heart",
        explanation=f"The loss of training falls on while that of validation does not. The weights of epoch "
        f"{course.best_epoch}, the best one, are those that are kept; "
        + (
            "less would be learned by heart if images were more varied or targets less certain."
            if large
            else "what came after it was in vain."
        ),
        evidence=(*evidence, *case.quotes("Overfit")),
        change=change,
        advice=_advice(course, ended=ended, large=large),
        severity=_severity(course, ended=ended),
        explains=("Overfit", "Overtraining", "LossNotDecreasing", "overtraining"),
    )


def overtraining(case: Case) -> Cause | None:
    """Find that training goes on although nothing becomes better."""
    course = validation(case)
    patience = case.setting("patience")
    allowed = patience or _PATIENCE
    idle = min(course.idle, course.last_epoch - _best_share(case, course)) if course else 0
    wasted = course is not None and idle >= max(allowed, _PATIENCE) and idle > _WASTED * course.last_epoch
    # With a patience, training ends by itself so many epochs after the best: that is no waste.
    if course is not None and _ends_itself(case, course):
        return None
    if not wasted and (course is None or idle < 2 or not case.found("Overtraining")):
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


def describe(course: Validation) -> str:
    """Return why a validation loss is none that has suffered, in words."""
    if course.idle == 0:
        return f"the validation loss, {number(course.last)}, is the best so far in the last epoch"
    if course.last <= max(_WORSE * course.best, course.best + _WORSE_BY):
        return f"the validation loss, {number(course.last)}, is still near its best, {number(course.best)}"
    if not course.worse:
        return "the validation loss has not been clearly above its best for two epochs in a row"
    return f"the training loss has not fallen either since epoch {course.best_epoch}"


def _fell_on(case: Case, course: Validation) -> bool:
    """Return whether the training loss has fallen since the best epoch of validation."""
    then, curve = _near(case, "train_loss", course.best_epoch), case.curve("train_loss")
    return then is not None and curve[-1][0] > course.best_epoch and curve[-1][1] < then


def _near(case: Case, measure: str, epoch: int) -> float | None:
    """Return a measure of an epoch, or of the last one before that has it."""
    return next((value for number, value in reversed(case.curve(measure)) if number <= epoch), None)


def _gap(case: Case, epoch: int) -> float | None:
    """Return by how much top-1 of training is above that of validation in an epoch."""
    train, valid = _near(case, "train_top_1", epoch), _near(case, "valid_top_1", epoch)
    return None if train is None or valid is None else train - valid


def _stalled(case: Case, course: Validation) -> bool:
    """Return whether neither loss nor top-1 of validation has become better for several epochs."""
    return min(course.idle, course.last_epoch - _best_share(case, course)) >= _STALLED


def _best_share(case: Case, course: Validation) -> int:
    """Return the epoch in which top-1 of validation was best, or else the loss."""
    shares = case.curve("valid_top_1")
    return max(shares, key=lambda pair: pair[1])[0] if shares else course.best_epoch


def _ends_itself(case: Case, course: Validation) -> bool:
    """Return whether patience ends the training, soon enough after its best epoch."""
    patience = case.setting("patience")
    return bool(patience) and course.idle <= patience <= 2 * _PATIENCE


def _severity(course: Validation, *, ended: bool) -> float:
    if ended:
        return 0.1
    return min(0.7, 0.2 + 0.5 * course.rise) if course.worse else 0.15


def _advice(course: Validation, *, ended: bool, large: bool) -> tuple[str, ...]:
    advice = []
    if ended:
        advice.append(
            f"patience ends the training, so that little is lost; epochs: {max(1, course.best_epoch)} would "
            "do as well."
        )
    if large:
        advice.append("More images of the classes that are confused help most.")
    return tuple(advice)


def _against_overfitting(case: Case, *, patience: bool, regularize: bool) -> dict[str, tuple[Any, Any]]:
    """Return the changes that help most certainly, and no more of them than can be told apart."""
    change = _patience(case) if patience else {}
    wanted: dict[str, tuple[Any, Any]] = {}
    if case.profile.on_features:
        if case.setting("views") == 1:
            wanted["views"] = (1, 4)  # images pass once, so that they can only vary by views
    elif case.setting("augmentation") == "none":
        wanted["augmentation"] = ("none", "flip_crop")
    if case.setting("weight_decay") == 0:
        wanted["weight_decay"] = (case.setting("weight_decay"), 0.0001)
    if case.setting("label_smoothing") == 0:
        wanted["label_smoothing"] = (case.setting("label_smoothing"), 0.1)
    return dict([*change.items(), *(wanted.items() if regularize else ())][:_MOST_CHANGES])


def _patience(case: Case) -> dict[str, tuple[Any, Any]]:
    old = case.setting("patience")
    if old is None:
        return {}
    return {"patience": (old, _PATIENCE)} if old == 0 or old > _PATIENCE else {}
