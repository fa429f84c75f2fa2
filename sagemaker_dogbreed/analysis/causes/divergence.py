"""Causes in steps that are too large, too small, or from a bad beginning: nothing good is learned."""

from __future__ import annotations

import math

from sagemaker_dogbreed.analysis.causes.amounts import number, percent
from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.causes.rates import lowered, raised

_RISEN = 1.5  # times the loss at the start
_JUMPED, _FAR = 5.0, 50.0  # times the first loss
_BARELY = 0.95  # of the loss at the start; below it, something was learned
_FEW_STEPS = 10
_LARGE_UPDATE, _SMALL_UPDATE = 0.1, 1e-6  # of a weight's norm in a step; usual is some 0.001
LEARNING_EFFECTS = (
    "ExplodingTensor",
    "NaNOrInf",
    "LossNotDecreasing",
    "WeightUpdateRatio",
    "PoorWeightInitialization",
    "VanishingGradient",
    "UnchangedTensor",
    "AllZero",
    "DeadRelu",
    "SaturatedActivation",
    "ClassImbalance",
    "Overfit",
    "Overtraining",
    "overfitting",
    "validation_guesses",
    "overtraining",
    "class_imbalance",
    "poor_initialization",
    "vanishing_gradients",
    "dead_relus",
    "saturated",
    "step_size",
    "all_zero",
    "unstable",
    "not_learning",
)
"""What follows where nothing can be learned: names of rules, and of causes that are none then."""


def not_finite_from_the_start(case: Case) -> Cause | None:
    """Find that numbers were not finite before a step could make them so."""
    first = case.history.steps[0] if case.history.steps else None
    if first is None or first.step > 0 or math.isfinite(first.loss):
        return None
    return Cause(
        name="not_finite_from_the_start",
        title="The loss is no number from the first step on",
        explanation="No step had been made yet: the images, the labels or the weights hold values that are "
        "not finite, and no learning rate mends that.",
        evidence=("The loss of step 0 is not finite.", *case.quotes("ExplodingTensor", "NaNOrInf")),
        advice=("Inspect the data set and the weights file for values that are NaN or infinite.",),
        severity=1.0,
        explains=(*LEARNING_EFFECTS, "diverging"),
    )


def diverging(case: Case) -> Cause | None:
    """Find that steps are so large that the loss grows, or is no number in the end."""
    bad = next((step for step in case.history.steps if not math.isfinite(step.loss)), None)
    first, last = case.first_loss, case.last_loss
    exploded = bad is not None or case.found("ExplodingTensor", "NaNOrInf")
    enough = len(case.losses) >= _FEW_STEPS and first is not None and last is not None
    risen = enough and last > _RISEN * max(first, 1e-6)  # type: ignore[operator,type-var]  # enough tells
    if not exploded and not risen:
        return None
    evidence = []
    if bad is not None:
        evidence.append(f"From step {bad.step} on the loss is not finite.")
    if risen:
        evidence.append(f"The loss rose from {number(first or 0)} to {number(last or 0)}.")
    evidence += [*case.quotes("ExplodingTensor", "NaNOrInf", "WeightUpdateRatio"), *_step_size(case)]
    return Cause(
        name="diverging",
        title="Training diverges: the learning rate is too high",
        explanation="Steps overshoot, and each makes the next one larger.",
        evidence=tuple(evidence),
        change=lowered(case),
        advice=() if case.learning_rate else ("Lower the learning rate to a tenth.",),
        severity=1.0,
        explains=LEARNING_EFFECTS,
    )


def unstable(case: Case) -> Cause | None:
    """Find that the first steps throw the loss far above what it was."""
    if not case.losses or case.history.steps[0].step != 0 or not math.isfinite(case.history.steps[0].loss):
        return None
    first, highest = max(case.losses[0], 0.01), max(case.losses)
    if highest <= _JUMPED * first:
        return None
    return Cause(
        name="unstable",
        title="The loss jumps: the learning rate is too high",
        explanation="A step that is too large undoes what was learned, and can leave units dead.",
        evidence=(
            f"The loss was {number(case.losses[0])} in the first step, and {number(highest)} at most.",
            *case.quotes("WeightUpdateRatio", "LossNotDecreasing"),
            *_step_size(case),
        ),
        change=lowered(case, 0.01 if highest > _FAR * first else 0.1),
        advice=("A warm-up (warmup: 0.1) makes the first steps small.",),
        severity=0.5 if case.learned and (case.last_loss or 0) < first else 0.95,
        explains=LEARNING_EFFECTS,
    )


def frozen_random_backbone(case: Case) -> Cause | None:
    """Find that a backbone that knows nothing is not trained either."""
    if case.setting("weights") != "none" or case.setting("finetune") in (None, "full"):
        return None
    return Cause(
        name="frozen_random_backbone",
        title="The backbone is random and is not trained",
        explanation="The head learns from features that say nothing of an image.",
        evidence=(f"weights is none and finetune is {case.setting('finetune')}.",),
        change={"weights": ("none", "imagenet")},
        severity=0.9,
        explains=LEARNING_EFFECTS,
    )


def not_learning(case: Case) -> Cause | None:
    """Find that the loss stays where it was, and whether steps are too large, too small, or neither."""
    first, last = case.first_loss, case.last_loss
    if first is None or last is None or len(case.losses) < _FEW_STEPS or last < _BARELY * first:
        return None
    top_1, chance = _top_1(case), 1 / case.class_count if case.class_count else None
    if top_1 is not None and chance is not None and top_1 > max(2 * chance, chance + 0.1):
        return None  # it has learned before these steps
    evidence = [
        f"After {len(case.losses)} steps the loss is {number(last)}; it was {number(first)} at first."
    ]
    if top_1 is not None and chance is not None:
        evidence.append(f"Top-1 is {percent(top_1)}; guessing gives {percent(chance)}.")
    evidence += [*case.quotes("LossNotDecreasing", "WeightUpdateRatio", "UnchangedTensor"), *_step_size(case)]
    updates = case.updates
    advice: tuple[str, ...] = ()
    if updates is not None and updates > _LARGE_UPDATE:
        title, change = "Nothing is learned: the learning rate is too high", lowered(case)
        explanation = "Steps are so large that each undoes what the last one learned."
    elif (updates is not None and updates < _SMALL_UPDATE) or (case.learning_rate or 1) <= 1e-6:
        title, change = "Nothing is learned: the learning rate is too low", raised(case)
        explanation = "Steps are so small that the weights stay what they were."
    else:
        title, change = "Nothing is learned, though steps have a usual size", {}
        explanation = "Then images and labels most likely do not belong together."
        advice = ("Look at some images with their labels; then find a learning rate with a range test.",)
    return Cause(
        name="not_learning",
        title=title,
        explanation=explanation,
        evidence=tuple(evidence),
        change=change,
        advice=advice,
        severity=0.95,
        explains=tuple(
            name for name in LEARNING_EFFECTS if name not in {"not_learning", "AllZero", "all_zero"}
        ),
    )


def step_size(case: Case) -> Cause | None:
    """Find that steps are too large or too small for the weights, though the loss falls."""
    updates = case.updates
    if not case.found("WeightUpdateRatio"):
        return None
    small = updates is not None and updates < _SMALL_UPDATE
    return Cause(
        name="step_size",
        title=f"Steps are too {'small' if small else 'large'} for the weights they change",
        explanation="A step usually changes a weight by some 0.1 % of it.",
        evidence=(*case.quotes("WeightUpdateRatio"), *_step_size(case)),
        change=raised(case) if small else lowered(case),
        severity=0.35,
        explains=("WeightUpdateRatio",),
    )


def _step_size(case: Case) -> tuple[str, ...]:
    sentences = []
    if case.learning_rate is not None:
        sentences.append(f"learning_rate was {case.learning_rate:g}.")
    if case.updates is not None:
        sentences.append(f"A step changes a weight by {number(100 * case.updates)} % of its norm (median).")
    return tuple(sentences)


def _top_1(case: Case) -> float | None:
    """Return the share of images classified rightly in the end, of validation where it was made."""
    for measure in ("valid_top_1", "train_top_1"):
        if curve := case.curve(measure):
            return curve[-1][1]
    shares = [step.top_1 for step in case.history.steps[-_FEW_STEPS:] if math.isfinite(step.top_1)]
    return sum(shares) / len(shares) if shares else None
