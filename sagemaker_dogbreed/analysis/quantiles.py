"""How numbers are spread: what is left of many measurements."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeGuard

import attrs

_LARGEST = 1e300  # beyond it, differences are no longer finite


@attrs.frozen(kw_only=True)
class Quantiles:
    """Five numbers of many; what an origin does not tell is None.

    >>> Quantiles.of([1, 2, 3, float("nan")]).median
    2.0
    """

    count: int | None = None
    minimum: float | None = None
    p5: float | None = None
    median: float
    p95: float | None = None
    maximum: float | None = None

    @classmethod
    def of(cls, values: Iterable[float]) -> Quantiles | None:
        """Return the quantiles of numbers, those that are not finite left out; None if none is left."""
        ordered = sorted(float(value) for value in values if usable(value))
        if not ordered:
            return None
        return cls(
            count=len(ordered),
            minimum=ordered[0],
            p5=_quantile(ordered, 0.05),
            median=_quantile(ordered, 0.5),
            p95=_quantile(ordered, 0.95),
            maximum=ordered[-1],
        )

    @property
    def high(self) -> float:
        """The 95th percentile, or what comes nearest to it."""
        return next(value for value in (self.p95, self.maximum, self.median) if value is not None)


def usable(value: object) -> TypeGuard[float]:
    """Return whether a value is a number that can be reckoned with."""
    # Whole numbers beyond what a float can hold are among those that JSON can bring.
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def median(values: Iterable[float]) -> float | None:
    """Return the median of numbers, those that are not finite left out; None if none is left."""
    ordered = sorted(float(value) for value in values if usable(value))
    return _quantile(ordered, 0.5) if ordered else None


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    # Rounded, it could lie beyond either.
    between = ordered[low] + (ordered[high] - ordered[low]) * (place - low)
    return min(max(between, ordered[low]), ordered[high])
