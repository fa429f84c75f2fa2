"""Rules on what layers put out: units that do nothing, and how a network begins.

Layers are modules: a ReLU that is a mere function call within another module's ``forward`` is not seen.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Container, Mapping

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.loss_rules import decreased
from sagemaker_dogbreed.container.debugging.records import Tensor, Tensors
from sagemaker_dogbreed.container.debugging.rules import rule
from sagemaker_dogbreed.container.debugging.tensor_rules import of_layers, where

_RELUS = ("ReLU", "ReLU6")  # the layers of which the recorder measures how often units are active


@rule("DeadRelu", on="tensors")
def dead_relu(
    history: History, *, threshold_inactivity: float = 1.0, threshold_layer: float = 50.0
) -> str | None:
    """More than ``threshold_layer`` percent of a ReLU layer's units are dead.

    A unit is dead in a batch if less than ``threshold_inactivity`` percent of its values are not zero. What
    is recorded are quantiles over the units, so their share is exact to 5 percent.
    """
    return _inactive(history, _RELUS, "zero", threshold_inactivity, threshold_layer)


@rule("SaturatedActivation", on="tensors")
def saturated_activation(
    history: History, *, threshold_inactivity: float = 1.0, threshold_layer: float = 50.0
) -> str | None:
    """More than ``threshold_layer`` percent of a tanh or sigmoid layer's units are saturated.

    A unit is saturated in a batch if for less than ``threshold_inactivity`` percent of its values the input
    is between the extremes: AWS's defaults of ``threshold_tanh`` (-9.4999, 9.4999) and ``threshold_sigmoid``
    (-23, 16.99999), which are fixed, for they are applied where the input is measured.
    """
    return _inactive(history, ("Tanh", "Sigmoid"), "saturated", threshold_inactivity, threshold_layer)


@rule("PoorWeightInitialization", on="step")
def poor_weight_initialization(
    history: History,
    *,
    threshold: float = 10.0,
    distribution_range: float = 0.001,
    patience: int = 5,
    steps: int = 10,
) -> str | None:
    """A network with random weights begins with layers of unlike variance, or does not begin to learn.

    Within the first ``steps`` steps, either the variances of what two successive ReLUs are given differ by a
    factor above ``threshold``; or the 5th and 95th percentile of each gradient are less than
    ``distribution_range`` apart, and the mean loss of the last ``patience`` of these steps has not fallen.

    AWS compares the largest with the smallest variance of all layers, which torch's own initialisation does
    not survive: with it the variance falls sixfold from one ReLU to the next. And it takes one small gradient
    for enough, or a loss that pauses; healthy trainings have both. Where the backbone is pretrained, only the
    head's weights have been initialised, and nothing else is judged.
    """
    if not history.steps or history.steps[0].step > 0 or len(history.steps) > steps:
        return None
    pretrained = history.settings.get("weights", "none") != "none"
    for tensors in history.tensors:
        found = _unequal(_of_network(tensors, "output", pretrained), threshold)
        if found and tensors.step < steps:
            return f"step {tensors.step}: {found}"
    patience = max(1, patience)
    if len(history.steps) < steps or not history.tensors:
        return None
    spreads = {
        name: tensor.high - tensor.low
        for name, tensor in of_layers(history, "gradient").items()
        if not pretrained or name.startswith("head.")
    }
    if not spreads or not all(spread < distribution_range for spread in spreads.values()):
        return None
    if decreased(history.steps[:patience], history.steps[-patience:], percent=0.0, errors=1.0):
        return None
    widest = max(spreads, key=spreads.__getitem__)
    return (
        f"step {history.tensors[-1].step}: the 5th and 95th percentile of the gradient {widest} are "
        f"{spreads[widest]:.3g} apart, of all others less; the loss was {history.steps[0].loss:.4g}, and "
        f"{history.steps[-1].loss:.4g} after {len(history.steps)} steps"
    )


def _inactive(
    history: History, layers: Container[str], how: str, threshold: float, layer_threshold: float
) -> str | None:
    for name, tensor in history.latest("output").items():
        if tensor.layer not in layers or not tensor.activity:
            continue
        below = bisect.bisect_left(sorted(tensor.activity), threshold)
        share = 100 * below / len(tensor.activity)
        if share > layer_threshold:
            return (
                f"{where(history, name, tensor)}: {share:.0f} % of its units are {how} in more than "
                f"{100 - threshold:g} % of a batch's values, the median unit in "
                f"{100 - tensor.activity[len(tensor.activity) // 2]:.4g} %"
            )
    return None


def _of_network(tensors: Tensors, kind: str, pretrained: bool) -> Mapping[str, Tensor]:
    prefix = f"{kind}/head." if pretrained else f"{kind}/"
    return {name: tensor for name, tensor in tensors.tensors.items() if name.startswith(prefix)}


def _unequal(outputs: Mapping[str, Tensor], threshold: float) -> str | None:
    """Say which two successive ReLUs are given inputs of very different variance, if any."""
    given = [
        (name.partition("/")[2], tensor.std**2)
        for (name, tensor), (_, after) in itertools.pairwise(outputs.items())
        if after.layer in _RELUS
    ]
    for (one, before), (other, after_it) in itertools.pairwise(given):
        small, large = sorted((before, after_it))
        if large > threshold * small:
            ratio = f"{large / small:.3g}" if small > 0 else "infinitely many"
            return (
                f"the variance of what ReLUs are given is {before:.3g} from {one} and {after_it:.3g} from "
                f"{other}, {ratio} times as much"
            )
    return None
