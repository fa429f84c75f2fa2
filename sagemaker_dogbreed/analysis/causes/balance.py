"""Causes in how many images there are of each class."""

from __future__ import annotations

from sagemaker_dogbreed.analysis.causes.amounts import number, percent
from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.causes.divergence import LEARNING_EFFECTS

_RATIO = 10  # as AWS's rule ClassImbalance has it
_HARMED = 1.5  # times the share of wrong answers of the common classes


def one_class(case: Case) -> Cause | None:
    """Find that all training images are of one class."""
    labels = _labels(case)
    if sum(count > 0 for count in labels) != 1:
        return None
    return Cause(
        name="one_class",
        title="All training images are of one class",
        explanation="A model learns to answer with it, whatever it sees.",
        evidence=(f"All {sum(labels)} training images of an epoch have the same label.",),
        advice=("Look at the data set's folders: each class is a folder of its own.",),
        severity=1.0,
        explains=(*LEARNING_EFFECTS, "leaked_labels"),
    )


def class_imbalance(case: Case) -> Cause | None:
    """Find that classes with few images are learned worse."""
    labels, errors = _labels(case), case.history.epochs[-1].errors if case.history.epochs else ()
    counts = sorted(count for count in labels if count > 0)
    uneven = len(counts) > 1 and counts[-1] >= _RATIO * counts[0]
    rare = [place for place, count in enumerate(labels) if 0 < count <= counts[-1] / _RATIO] if uneven else []
    common = [place for place, count in enumerate(labels) if count > 0 and place not in rare]
    harm = _wrong(rare, labels, errors), _wrong(common, labels, errors)
    harmed = harm[0] is not None and harm[1] is not None and harm[0] > _HARMED * harm[1] + 0.05
    if not case.found("ClassImbalance") and not harmed:
        return None
    evidence = list(case.quotes("ClassImbalance"))
    if uneven:
        evidence.append(
            f"The classes have between {counts[0]} and {counts[-1]} training images, "
            f"{number(counts[-1] / counts[0])} times as many."
        )
    if harmed:
        evidence.append(
            f"Of the rare classes' training images {percent(harm[0] or 0)} were classified wrongly in the "
            f"last epoch, of the others' {percent(harm[1] or 0)}."
        )
    change = case.change(class_weights="balanced")
    return Cause(
        name="class_imbalance",
        title="Classes with few images are learned worse",
        explanation="Each image counts the same, and so the frequent classes count most.",
        evidence=tuple(evidence),
        change=change,
        advice=()
        if change
        else ("class_weights: balanced makes all classes count the same; or add images.",),
        severity=0.4,
        explains=("ClassImbalance",),
    )


def _labels(case: Case) -> tuple[int, ...]:
    labels = case.history.epochs[-1].labels if case.history.epochs else ()
    return tuple(max(count, 0) for count in labels)


def _wrong(places: list[int], labels: tuple[int, ...], errors: tuple[int, ...]) -> float | None:
    """Return the share of images of some classes that are classified wrongly."""
    if not places or len(errors) != len(labels):
        return None
    return min(1.0, sum(max(errors[place], 0) for place in places) / sum(labels[place] for place in places))
