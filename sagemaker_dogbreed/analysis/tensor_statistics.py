"""Statistics of an array as the recorder of a training has them; imported on use, for it needs numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sagemaker_dogbreed.container.debugging.records import Tensor

_RECTIFIERS = ("ReLU", "ReLU6")
_LEVELS = 21  # the quantiles 0, 5, ... 100 % over the units


def of_array(array: NDArray[np.float64], *, kind: str, layer: str, update: float | None = None) -> Tensor:
    """Return the statistics of an array.

    Args:
        array: The numbers; an output's first axis is that of the examples.
        kind: ``weight``, ``gradient`` or ``output``.
        layer: The layer's class, where it is known.
        update: Of a weight: the norm of its change over its own.
    """
    finite = array[np.isfinite(array)]
    if finite.size == 0:
        return of_reductions({}, kind=kind, layer=layer, elements=array.size, not_finite=array.size)
    low, high = np.percentile(finite, (5, 95))
    with np.errstate(over="ignore", invalid="ignore"):  # an exploded tensor's square is beyond any number
        return Tensor(
            kind=kind,
            layer=layer,
            elements=array.size,
            mean=float(finite.mean()),
            mean_abs=float(np.abs(finite).mean()),
            std=float(finite.std()),
            minimum=float(finite.min()),
            maximum=float(finite.max()),
            norm=float(np.linalg.norm(finite)),
            zeros=float((finite == 0).mean()),
            low=float(low),
            high=float(high),
            not_finite=array.size - finite.size,
            nans=int(np.isnan(array).sum()),
            update=update,
            activity=_activity(array) if kind == "output" and layer in _RECTIFIERS else (),
        )


def of_reductions(
    values: Mapping[tuple[str, bool], float], *, kind: str, layer: str, elements: int, not_finite: int = 0
) -> Tensor:
    """Return the statistics of which only smdebug's reductions were saved; what they do not tell is NaN.

    Args:
        values: By smdebug's name, and whether the reduction is of absolute values.
        kind: ``weight``, ``gradient`` or ``output``.
        layer: The layer's class, where it is known.
        elements: How many numbers the tensor has, 0 where nobody knows.
        not_finite: How many of them are not finite; reductions that are not tell of one at least.
    """
    variance = values.get(("variance", False), math.nan)
    if not not_finite and not all(map(math.isfinite, values.values())):
        not_finite = 1
    return Tensor(
        kind=kind,
        layer=layer,
        elements=elements,
        mean=values.get(("mean", False), math.nan),
        mean_abs=values.get(("mean", True), math.nan),
        std=values.get(("std", False), math.sqrt(variance) if variance >= 0 else math.nan),
        minimum=values.get(("min", False), math.nan),
        maximum=values.get(("max", False), math.nan),
        norm=values.get(("l2", False), math.nan),
        zeros=math.nan,
        low=math.nan,
        high=math.nan,
        not_finite=not_finite,
    )


def update_ratio(before: NDArray[np.float64] | None, after: NDArray[np.float64]) -> float | None:
    """Return the norm of a weight's change over its norm before, or None where there was none."""
    if before is None or before.shape != after.shape:
        return None
    with np.errstate(all="ignore"):
        norm = float(np.linalg.norm(before))
        change = float(np.linalg.norm(after - before))
    return change / norm if norm > 0 else None


def _activity(array: NDArray[np.float64]) -> tuple[float, ...]:
    """Return how often units are not zero (%): channels of images, else places in the last dimension."""
    if array.ndim < 2 or array.size == 0:
        return ()
    unit = 1 if array.ndim == 4 else array.ndim - 1
    others = tuple(axis for axis in range(array.ndim) if axis != unit)
    shares = 100 * (array != 0).mean(axis=others)
    return tuple(np.percentile(shares, np.linspace(0, 100, _LEVELS), method="nearest").tolist())
