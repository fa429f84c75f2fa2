"""Causes in layers that pass nothing on: gradients that vanish, units that are always off or saturated."""

from __future__ import annotations

import math

from sagemaker_dogbreed.analysis.causes.amounts import number, percent
from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.quantiles import usable

_TINY = 1e-7  # mean absolute gradient, as AWS's rule VanishingGradient has it
_FITTED = 1e-3  # a loss below it leaves nothing to learn
_MOST_NAMES = 3
_EFFECTS = (
    "VanishingGradient",
    "AllZero",
    "LossNotDecreasing",
    "UnchangedTensor",
    "vanishing_gradients",
    "all_zero",
)


def poor_initialization(case: Case) -> Cause | None:
    """Find that the weights that training began with make learning hard."""
    chance = math.log(case.class_count) if case.class_count and case.class_count > 1 else None
    first = case.losses[0] if case.losses and case.history.steps[0].step == 0 else None
    if not case.found("PoorWeightInitialization"):
        return None
    evidence = list(case.quotes("PoorWeightInitialization", "AllZero"))
    if first is not None and chance is not None and first > 2 * chance:
        evidence.append(f"The first loss was {number(first)}; guessing gives {number(chance)}.")
    zero = [
        name
        for name, tensor in (case.history.tensors[0].tensors if case.history.tensors else {}).items()
        if tensor.kind == "weight" and tensor.zeros == 1 and not name.endswith("bias")
    ]
    if zero:
        evidence.append(f"All zero at first: {_names(zero)}.")
    return Cause(
        name="poor_initialization",
        title="The weights that training began with make learning hard",
        explanation="Layers whose weights are all alike, all zero, or far too spread pass on little of use.",
        evidence=tuple(evidence),
        change={"weights": ("none", "imagenet")} if case.setting("weights") == "none" else {},
        advice=("Leave layers as torch initializes them, or use He's initialization before a ReLU.",),
        severity=0.6,
        explains=("PoorWeightInitialization", *_EFFECTS),
    )


def saturated(case: Case) -> Cause | None:
    """Find units of tanh or sigmoid layers that are at their limits."""
    if not case.found("SaturatedActivation"):
        return None
    return Cause(
        name="saturated",
        title="Units are saturated",
        explanation="A tanh or a sigmoid at its limit passes no gradient on. Its inputs are too large: the "
        "steps, or what comes in, should be smaller.",
        evidence=case.quotes("SaturatedActivation", "VanishingGradient"),
        change=case.changed_rate(0.1),
        advice=("Use ReLU, or normalize a layer's inputs (BatchNorm, LayerNorm).",),
        severity=0.5,
        explains=("SaturatedActivation", *_EFFECTS),
    )


def dead_relus(case: Case) -> Cause | None:
    """Find layers in which many units are zero whatever comes in."""
    if not case.found("DeadRelu"):
        return None
    layers = [
        f"{name} ({percent(silent)})"
        for name, tensor in case.history.latest("output").items()
        if (silent := _silent(tensor.activity)) >= 0.5
    ]
    found = (f"Units that were never active in the last recorded step: {_names(layers)}.",) if layers else ()
    change = case.changed_rate(0.1)
    if case.setting("head") == "mlp" and not change:
        change = {"head": ("mlp", "linear")}
    return Cause(
        name="dead_relus",
        title="Many ReLU units are dead",
        explanation="A unit that is zero for every image has no gradient and never comes back. One step that "
        "is too large is enough to kill it.",
        evidence=(*case.quotes("DeadRelu", "AllZero"), *found),
        change=change,
        advice=("A warm-up (warmup: 0.1) makes the first steps small.",),
        severity=0.5,
        explains=("DeadRelu", *_EFFECTS),
    )


def vanishing_gradients(case: Case) -> Cause | None:
    """Find gradients that are next to nothing although there is something to learn."""
    if not case.found("VanishingGradient") or fitted(case):
        return None
    tiny = [
        name
        for name, tensor in case.history.latest("gradient").items()
        if usable(tensor.mean_abs) and tensor.mean_abs < _TINY
    ]
    layers = (f"Below {_TINY:g} in the last recorded step: {_names(tiny)}.",) if tiny else ()
    return Cause(
        name="vanishing_gradients",
        title="Gradients vanish",
        explanation="The layers they do not reach learn nothing.",
        evidence=(*case.quotes("VanishingGradient"), *layers),
        change=case.change(head="linear") if any("head" in name for name in tiny) else {},
        advice=("Use ReLU in place of sigmoid or tanh, normalization, and connections past layers.",),
        severity=0.55,
        explains=_EFFECTS,
    )


def all_zero(case: Case) -> Cause | None:
    """Find tensors that are zero throughout."""
    if not case.found("AllZero"):
        return None
    return Cause(
        name="all_zero",
        title="Tensors are zero throughout",
        explanation="A layer whose weights, outputs or gradients are all zero takes no part in learning.",
        evidence=case.quotes("AllZero"),
        advice=("Look at how the layer is initialized, and at what it is given.",),
        severity=0.45,
        explains=("AllZero", "UnchangedTensor"),
    )


def fitted(case: Case) -> bool:
    """Return whether the training images are learned so well that no gradient is left."""
    return case.last_loss is not None and case.last_loss < _FITTED


def _silent(activity: tuple[float, ...]) -> float:
    """Return the share of units that are never active."""
    return sum(value <= 0 for value in activity) / len(activity) if activity else 0.0


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
