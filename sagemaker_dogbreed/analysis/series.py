"""Long series of numbers, in as few points as a figure has room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Numbers = Any  # numpy arrays of float64


class Series(NamedTuple):
    """Means over neighbours, with the lowest and the highest of them; NaN where none is finite."""

    places: Numbers
    means: Numbers
    low: Numbers
    high: Numbers


def thinned(places: Sequence[float], values: Sequence[float], most: int = 400) -> Series:
    """Return a series of so many points at most; numbers that are not finite are passed over.

    >>> thinned([0, 1, 2, 3], [1, 3, 5, float("nan")], most=2).means.tolist()
    [2.0, 5.0]
    """
    x, y = np.asarray(places, dtype=float), np.asarray(values, dtype=float)
    finite = np.isfinite(y)
    if len(x) <= most:
        y = np.where(finite, y, np.nan)
        return Series(x, y, y, y)
    starts = np.linspace(0, len(x), most, endpoint=False).astype(int)
    counts = np.add.reduceat(finite.astype(float), starts)
    there = np.maximum(counts, 1)
    sizes = np.diff(np.append(starts, len(x)))
    means = np.add.reduceat(np.where(finite, y, 0.0), starts) / there
    low = np.minimum.reduceat(np.where(finite, y, np.inf), starts)
    high = np.maximum.reduceat(np.where(finite, y, -np.inf), starts)
    empty = counts == 0
    return Series(
        np.add.reduceat(x, starts) / sizes,
        *(np.where(empty, np.nan, each) for each in (means, low, high)),
    )


def finite(values: Sequence[float]) -> list[float]:
    """Return the numbers that are numbers.

    >>> finite([1.0, float("nan"), float("inf")])
    [1.0]
    """
    return [value for value in values if np.isfinite(value)]
