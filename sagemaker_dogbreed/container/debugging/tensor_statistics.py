"""What is recorded of a tensor: a few numbers, computed where it lies and fetched together with others'."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from sagemaker_dogbreed.container.debugging.records import Tensor

RELUS = ("ReLU", "ReLU6")
"""Layers whose units are active where their output is not zero."""
UNSATURATED = {"Tanh": (-9.4999, 9.4999), "Sigmoid": (-23.0, 16.99999)}
"""Layers whose units are active where their input is between two numbers.

Beyond them their gradient is below 1e-7; the numbers are those of AWS's rule SaturatedActivation.
"""

_MEASURES = 11  # numbers that ``measure`` returns
_LEVELS = 21  # and ``activity``
_SAMPLE = 16_384  # elements that, on a CPU, stand for all where each pass over them is felt
_ORDERED = 2048  # elements that percentiles are estimated from, everywhere
_PERCENTILES = (0.05, 0.95)
_ROUNDED = ("mean", "mean_abs", "std", "minimum", "maximum", "norm", "low", "high")
_SMALL, _LARGE = 1e-12, 1e12  # between these a float32 holds squares and their sums


def measurable(tensor: object) -> bool:
    """Return whether something is a tensor that ``measure`` takes."""
    return isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.layout == torch.strided


@torch.no_grad()
def measure(tensor: torch.Tensor) -> torch.Tensor:
    """Return the numbers (11,) that ``described`` takes, in float64, without waiting for a GPU.

    Percentiles are estimates from some 2,000 elements; on a CPU the mean of absolute values and the share of
    zeros are, of larger tensors, from some 16,000. All others are exact.
    """
    flat = tensor.detach().reshape(-1)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    if not flat.numel():
        return torch.zeros(_MEASURES, dtype=torch.float64, device=flat.device)
    if flat.device.type == "cpu":
        lowest, highest = flat.aminmax()
        extremes = lowest.item(), highest.item()  # on a CPU this waits for nothing
        if _SMALL < max(-extremes[0], extremes[1]) < _LARGE:
            return _of_moderate(flat, *extremes)
    return _of_any(flat)


def activity(layer: str, inputs: Sequence[Any], output: torch.Tensor) -> torch.Tensor | None:
    """Return how often a layer's units are active (%), as quantiles over them (21,), or None if it has none.

    A unit is a channel of (batch, channels, height, width), else a place in the last dimension; its activity
    is a share of its values in the batch. Maps of one pixel have none: they are those of gates (squeeze and
    excitation), which are given nearly the same of each image, and of which many are off by nature.

    Args:
        layer: The layer's class.
        inputs: What it was given.
        output: What it made of that.
    """
    if layer in RELUS:
        active = output != 0
    elif layer in UNSATURATED and inputs and measurable(inputs[0]):
        low, high = UNSATURATED[layer]
        active = (inputs[0] > low) & (inputs[0] < high)
    else:
        return None
    if not active.numel() or active.shape[2:] == (1, 1):
        return None
    units = 1 if active.ndim == 4 else active.ndim - 1
    others = [place for place in range(active.ndim) if place != units]
    counts = active.count_nonzero(others) if others else active.long()
    ordered = (counts.double() * (100 * counts.numel() / active.numel())).sort().values
    places = torch.linspace(0, ordered.numel() - 1, _LEVELS, device=ordered.device).round().long()
    return ordered[places]


def described(kind: str, layer: str, elements: int, numbers: Sequence[float], **more: Any) -> Tensor:
    """Return the record of a tensor.

    Args:
        kind: weight, gradient or output.
        layer: The layer's class.
        elements: How many numbers the tensor has.
        numbers: What ``measure`` returned.
        more: Further fields of the record.
    """
    finite, nans, scale, mean, mean_abs, squares, nonzero, lowest, highest, low, high = numbers
    if finite:
        variance = max(0.0, squares) / finite
        statistics = (
            mean * scale,
            mean_abs * scale,
            math.sqrt(variance) * scale,
            lowest,
            highest,
            math.sqrt(finite * (variance + mean**2)) * scale,
            low * scale,
            high * scale,
        )
        fields: dict[str, Any] = dict(zip(_ROUNDED, map(rounded, statistics), strict=True))
        fields["zeros"] = (finite - nonzero) / elements
    else:
        fields = dict.fromkeys((*_ROUNDED, "zeros"), math.nan)
    fields |= {"not_finite": elements - int(finite), "nans": int(nans), **more}
    return Tensor(kind=kind, layer=layer, elements=elements, **fields)


def rounded(value: float) -> float:
    """Return six digits of a number: a float32 has hardly more, and lines stay short."""
    return float(f"{value:.6g}")


def norm(tensor: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean norm (1,), in float64; infinite or not a number only where the tensor is."""
    if tensor.device.type == "cpu":
        found: torch.Tensor = torch.linalg.vector_norm(tensor.float())
        if found.isfinite():
            return found.double().reshape(1)
    exact: torch.Tensor = torch.linalg.vector_norm(tensor, dtype=torch.float64)
    return exact.reshape(1)


def sample(tensor: torch.Tensor) -> torch.Tensor:
    """Return some 16,000 elements of a tensor, or all where there are no more; a view where it can be."""
    return _every(tensor.detach().reshape(-1), _SAMPLE)


def _of_moderate(flat: torch.Tensor, lowest: float, highest: float) -> torch.Tensor:
    """Measure values on a CPU that are finite and neither huge nor tiny, in few passes."""
    count = flat.numel()
    some = _every(flat, _SAMPLE)
    mean = flat.sum().item() / count
    squares = torch.dot(flat, flat).item()
    if count * mean**2 > squares / 4:  # so much of them is the mean's that little is left of the variance
        centred = flat - mean
        squares = torch.dot(centred, centred).item()
    else:
        squares -= count * mean**2
    nonzero = some.count_nonzero().item() / some.numel() * count
    nonzero = max(nonzero, 1.0)  # the largest is one
    mean_abs = some.abs().mean().item()
    ordered = _every(some, _ORDERED).sort().values
    low, high = (ordered[round(share * (ordered.numel() - 1))].item() for share in _PERCENTILES)
    parts = (count, 0, 1, mean, mean_abs, squares, nonzero, lowest, highest, low, high)
    return torch.tensor(parts, dtype=torch.float64)


def _of_any(flat: torch.Tensor) -> torch.Tensor:
    """Measure any values: finite ones, divided by the largest, so that squares of 1e38 and 1e-30 are held."""
    mask = flat.isfinite()
    count = mask.sum()
    lowest, highest = flat.where(mask, math.inf).amin(), flat.where(mask, -math.inf).amax()
    scale = torch.maximum(lowest.abs(), highest.abs())
    values = torch.where(mask & (scale > 0), flat / scale, 0.0)
    mean = values.sum() / count
    centred = torch.where(mask, values - mean, 0.0)
    kept = _every(mask, _ORDERED)
    ordered = _every(values, _ORDERED).where(kept, math.inf).sort().values
    places = [((kept.sum() - 1) * share).round().clamp(min=0).long() for share in _PERCENTILES]
    parts = (
        *(count, flat.isnan().sum(), scale, mean),
        values.abs().sum() / count,
        torch.dot(centred, centred),
        (mask & (flat != 0)).sum(),
        *(lowest, highest),
        *(ordered.take(place) for place in places),
    )
    return torch.stack([part.double() for part in parts])


def _every(flat: torch.Tensor, count: int) -> torch.Tensor:
    """Return some ``count`` elements; the stride is odd, for a power of 2 would keep to a few columns."""
    return flat if flat.numel() <= count else flat[:: -(-flat.numel() // count) | 1]
