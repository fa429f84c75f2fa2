"""Causes in layers that pass nothing on: gradients that vanish, units that are always off or saturated."""

from __future__ import annotations

import math

from sagemaker_dogbreed.analysis.causes.amounts import number, percent
from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.causes.rates import lowered
from sagemaker_dogbreed.analysis.quantiles import usable
from sagemaker_dogbreed.container.debugging.records import Tensors

_TINY = 1e-7  # mean absolute gradient, as AWS's rule VanishingGradient has it
_FITTED = 1e-3  # a loss below it leaves nothing to learn
_MOST_NAMES = 3
_MOSTLY = 0.5  # of a layer's units, as AWS's rule DeadRelu has it
_EFFECTS = (
    "VanishingGradient",
    "AllZero",
    "LossNotDecreasing",
    "UnchangedTensor",
    "WeightUpdateRatio",
    "PoorWeightInitialization",
    "Overtraining",
    "overtraining",
    "vanishing_gradients",
    "poor_initialization",
    "all_zero",
    "step_size",
    "not_learning",
)


def zero_weights(case: Case) -> Cause | None:
    """Find that layers began with weights that are all zero, and stay so."""
    first = case.history.tensors[0].tensors if case.history.tensors else {}
    zero = [
        name.partition("/")[2]
        for name, tensor in first.items()
        if tensor.kind == "weight" and tensor.zeros == 1 and not name.endswith("bias")
    ]
    if not zero or case.learned:
        return None
    return _poor_beginning(case, (f"All zero at first: {_names(zero)}.",), ("DeadRelu", "dead_relus"))


def poor_initialization(case: Case) -> Cause | None:
    """Find that the weights that training began with make learning hard."""
    if not case.found("PoorWeightInitialization"):
        return None
    chance = math.log(case.class_count) if case.class_count and case.class_count > 1 else None
    first = case.losses[0] if case.losses and case.history.steps[0].step == 0 else None
    if first is None or chance is None or first <= 2 * chance:
        return _poor_beginning(case, (), ())
    return _poor_beginning(
        case, (f"The first loss was {number(first)}; guessing gives {number(chance)}.",), ()
    )


def _poor_beginning(case: Case, evidence: tuple[str, ...], effects: tuple[str, ...]) -> Cause:
    return Cause(
        name="poor_initialization",
        title="The weights that training began with make learning hard",
        explanation="Layers whose weights are all alike, all zero, or far too spread pass on little of use.",
        evidence=(*case.quotes("PoorWeightInitialization", "AllZero"), *evidence),
        change={"weights": ("none", "imagenet")} if case.setting("weights") == "none" else {},
        advice=("Leave layers as torch initializes them, or use He's initialization before a ReLU.",),
        severity=0.3 if case.learned else 0.9,
        explains=(*_EFFECTS, *effects),
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
        change=lowered(case),
        advice=("Use ReLU, or normalize a layer's inputs (BatchNorm, LayerNorm).",),
        severity=0.5,
        explains=("SaturatedActivation", *_EFFECTS),
    )


def dead_relus(case: Case) -> Cause | None:
    """Find layers in which many units are zero whatever comes in."""
    if not case.found("DeadRelu"):
        return None
    layers = _dead(case.history.tensors[-1]) if case.history.tensors else {}
    at_first = _dead(case.history.tensors[0]) if case.history.tensors else {}
    told = _names([f"{name} ({percent(share)})" for name, share in layers.items()])
    found = (f"Units that were never active in the last recorded step: {told}.",) if layers else ()
    change, advice = lowered(case), "A warm-up (warmup: 0.1) makes the first steps small."
    explanation = "One too large a step is enough to kill it."
    if set(layers) & set(at_first):
        change, advice = {}, "Leave layers as torch initializes them; biases begin near zero."
        explanation = "They were dead in the first recorded step: the layer began so."
    elif case.setting("head") == "mlp" and not change:
        change = {"head": ("mlp", "linear")}
    return Cause(
        name="dead_relus",
        title="Many ReLU units are dead",
        explanation=f"A unit that is zero for every image has no gradient and stays so. {explanation}",
        evidence=(*case.quotes("DeadRelu", "AllZero"), *found),
        change=change,
        advice=(advice,),
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
    """Find tensors that are zero throughout, where the loss does not fall."""
    if not case.found("AllZero") or case.learned:
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


def _dead(sample: Tensors) -> dict[str, float]:
    """Return the layers most of whose units are never active, with their share."""
    shares = {
        name.partition("/")[2]: _silent(tensor.activity)
        for name, tensor in sample.tensors.items()
        if tensor.kind == "output" and tensor.layer.startswith("ReLU")
    }
    return {name: share for name, share in shares.items() if share >= _MOSTLY}


def _silent(activity: tuple[float, ...]) -> float:
    """Return the share of units that are never active."""
    return sum(value <= 0 for value in activity) / len(activity) if activity else 0.0


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
