"""Rules on weights and their gradients, in the steps in which tensors are sampled.

They judge statistics, not the tensors themselves. AWS's parameters that choose tensors (``base_trial``,
``collection_names``, ``tensor_regex``) are not there: all that is recorded is judged. Vanishing, zero and
unchanged numbers are no fault of biases, normalisation layers and tokens, many of which begin with zeros or
stay where they are; these rules look at layers' weights alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Tensor
from sagemaker_dogbreed.container.debugging.rules import rule

_STATISTICS = ("mean", "mean_abs", "std", "minimum", "maximum", "norm", "low", "high")
_DROPPING = ("Dropout", "AlphaDropout", "FeatureAlphaDropout", "StochasticDepth")  # give zeros on purpose


def of_layers(history: History, kind: str) -> Mapping[str, Tensor]:
    """Return the last sampled weights of layers, or the gradients of these, by name."""
    return {
        name: tensor
        for name, tensor in history.latest(kind).items()
        if name.endswith("weight") and "Norm" not in tensor.layer
    }


def where(history: History, name: str, tensor: Tensor) -> str:
    """Return which tensor it is, in words."""
    return f"step {history.tensors[-1].step}: the {tensor.kind} {name} ({tensor.layer})"


@rule("VanishingGradient", on="tensors")
def vanishing_gradient(history: History, *, threshold: float = 1e-7) -> str | None:
    """The mean of a gradient's absolute values is below a threshold."""
    found = {
        name: tensor for name, tensor in of_layers(history, "gradient").items() if tensor.mean_abs < threshold
    }
    if not found:
        return None
    name = min(found, key=lambda each: found[each].mean_abs)
    more = f", and {len(found) - 1} more are below {threshold:g}" if len(found) > 1 else ""
    return (
        f"{where(history, name, found[name])} is {found[name].mean_abs:.3g} on average, "
        f"below {threshold:g}{more}"
    )


@rule("ExplodingTensor", on="tensors")
def exploding_tensor(history: History, *, only_nan: bool = False) -> str | None:
    """A weight, gradient or output has elements that are infinite or not a number.

    Args:
        history: The records.
        only_nan: Let infinite ones pass.
    """
    for kind in ("weight", "gradient", "output"):
        for name, tensor in history.latest(kind).items():
            count = tensor.nans if only_nan else tensor.not_finite
            if count:
                what = "not numbers" if only_nan else "infinite or not numbers"
                return f"{where(history, name, tensor)} has {tensor.elements} elements, {count} are {what}"
    return None


@rule("WeightUpdateRatio", on="tensors")
def weight_update_ratio(
    history: History,
    *,
    large_threshold: float = 10.0,
    small_threshold: float = 1e-8,
    epsilon: float = 1e-9,
) -> str | None:
    """A step changes a weight by too many times its size, or by too little of it.

    Both are Euclidean norms. The change is that of one step, whatever the interval of sampled steps; AWS
    compares saved steps, and has ``num_steps`` for that. A weight of zeros has no size and is passed over.
    """
    for name, tensor in of_layers(history, "weight").items():
        if tensor.update is None or not tensor.norm > 0:
            continue
        ratio = tensor.update * tensor.norm / (tensor.norm + epsilon)
        if ratio > large_threshold or ratio < small_threshold:
            limit = f"above {large_threshold:g}" if ratio > large_threshold else f"below {small_threshold:g}"
            return f"{where(history, name, tensor)} changes by {ratio:.3g} of its norm, {limit}"
    return None


@rule("AllZero", on="tensors")
def all_zero(history: History, *, threshold: float = 100.0) -> str | None:
    """Of a weight, a weight's gradient or an output, so many percent of the elements are zero."""
    outputs = {
        name: tensor
        for name, tensor in history.latest("output").items()
        if not tensor.layer.startswith(_DROPPING)
    }
    for tensors in (of_layers(history, "weight"), of_layers(history, "gradient"), outputs):
        for name, tensor in tensors.items():
            if 100 * tensor.zeros >= threshold:
                share = f"{tensor.zeros:.4%} of its {tensor.elements} elements"
                return f"{where(history, name, tensor)} is zero in {share}"
    return None


@rule("UnchangedTensor", on="tensors")
def unchanged_tensor(
    history: History, *, num_steps: int = 3, rtol: float = 1e-5, atol: float = 1e-8
) -> str | None:
    """A weight is the same in the last ``num_steps`` sampled steps, and each of these changes it by nothing.

    AWS compares the elements, as ``numpy.allclose`` does. Here all statistics must be that close from one
    sampled step to the next, and the norm of each step's change to zero.
    """
    if num_steps < 2 or len(history.tensors) < num_steps:
        return None
    sampled = history.tensors[-num_steps:]
    for name, last in of_layers(history, "weight").items():
        series = [tensors.tensors.get(f"weight/{name}") for tensors in sampled]
        known = [tensor for tensor in series if tensor is not None]
        still = len(known) == num_steps and all(_still(tensor, rtol, atol) for tensor in known)
        if still and all(_close(one, other, rtol, atol) for one, other in itertools.pairwise(known)):
            return (
                f"{where(history, name, last)} is what it was in step {sampled[0].step}: "
                f"its norm was {known[0].norm:.6g} and is {last.norm:.6g}"
            )
    return None


def _still(tensor: Tensor, rtol: float, atol: float) -> bool:
    change = (tensor.update or 0.0) * tensor.norm
    return change <= atol * math.sqrt(tensor.elements) + rtol * tensor.norm


def _close(one: Tensor, other: Tensor, rtol: float, atol: float) -> bool:
    return all(
        abs(getattr(one, name) - getattr(other, name)) <= atol + rtol * abs(getattr(other, name))
        for name in _STATISTICS
    )
