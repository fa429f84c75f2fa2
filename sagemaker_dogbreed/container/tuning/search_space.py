"""The ranges of a search: checked, and translated for Optuna and back into SageMaker's texts.

Standard library only, but for Optuna, which is imported where a distribution is made.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SCALINGS = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
AUTO_LOGARITHMIC = 100
"""From this ratio of max to min on, Auto scaling is Logarithmic; below, and from 0 or less, Linear."""

_LARGEST_INTEGER = 2**53  # from there on a float does not hold every whole number


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter and its range.

    Attributes:
        name: The hyperparameter.
        kind: ``Continuous``, ``Integer`` or ``Categorical``.
        low: Least value of a range of numbers.
        high: Greatest value of a range of numbers.
        scaling: Of a range of numbers; ``Auto`` has been decided.
        values: Of a Categorical range, as texts.
    """

    name: str
    kind: str
    low: float = 0
    high: float = 0
    scaling: str = "Linear"
    values: tuple[str, ...] = ()

    @property
    def size(self) -> int | None:
        """How many values there are; None for any number of them."""
        if self.kind == "Categorical":
            return len(self.values)
        if self.kind == "Integer" or self.low == self.high:
            return int(self.high) - int(self.low) + 1
        return None

    def every(self) -> Sequence[str]:
        """Return all values, as texts, of a range that has a size."""
        if self.kind == "Categorical":
            return self.values
        if self.kind == "Continuous":
            return [repr(float(self.low))]
        return [str(number) for number in range(int(self.low), int(self.high) + 1)]

    def distribution(self) -> BaseDistribution:
        """Return Optuna's equivalent; its values are turned into texts by ``decode``."""
        from optuna import distributions

        if self.kind == "Categorical":
            return distributions.CategoricalDistribution(self.values)
        is_logarithmic = self.scaling != "Linear"
        if self.kind == "Integer":
            return distributions.IntDistribution(int(self.low), int(self.high), log=is_logarithmic)
        low, high = self._distances() if self.scaling == "ReverseLogarithmic" else (self.low, self.high)
        return distributions.FloatDistribution(low, high, log=is_logarithmic)

    def decode(self, value: Any) -> str:
        """Return a value that Optuna chose as the text a training job gets."""
        if self.kind != "Continuous":
            return str(value)
        number = 1 - value if self.scaling == "ReverseLogarithmic" else value
        return repr(min(max(float(number), self.low), self.high))

    def encode(self, text: str) -> Any:
        """Return a training job's value as Optuna holds it.

        Raises:
            ValueError: It is not in the range.
        """
        if self.kind == "Categorical":
            if text not in self.values:
                raise ValueError(f"{self.name}: {text!r} is none of {', '.join(self.values)}")
            return text
        number = _whole(text) if self.kind == "Integer" else float(text)
        if not self.low <= number <= self.high:
            raise ValueError(f"{self.name}: {text} is not from {self.low} to {self.high}")
        if self.scaling != "ReverseLogarithmic":
            return number
        low, high = self._distances()
        return min(max(1 - number, low), high)

    def _distances(self) -> tuple[float, float]:
        """The ends of the range as distances from 1, which a reverse logarithm is taken of."""
        return 1 - self.high, 1 - self.low


def read(ranges: Mapping[str, Mapping[str, Any]]) -> tuple[Dimension, ...]:
    """Return the dimensions of a search, by name.

    A range is ``{"type": "Continuous" | "Integer", "min", "max", "scaling"}`` or
    ``{"type": "Categorical", "values"}``; numbers may be given as texts, as SageMaker's are.

    Raises:
        ValueError: A range is not acceptable; the message names the hyperparameter.
    """
    if not ranges:
        raise ValueError(f"ranges must map at least one hyperparameter to its range, got {ranges!r}")
    found = []
    for name in sorted(ranges):
        try:
            found.append(_dimension(name, ranges[name]))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return tuple(found)


def combinations(dimensions: Sequence[Dimension]) -> Iterator[dict[str, str]]:
    """Yield every combination of values once, the last hyperparameter changing fastest.

    Every range must have a size, and not too large a one.
    """
    names = [dimension.name for dimension in dimensions]
    for values in itertools.product(*(dimension.every() for dimension in dimensions)):
        yield dict(zip(names, values, strict=True))


def _dimension(name: str, described: Any) -> Dimension:
    if not isinstance(described, Mapping):
        raise ValueError(f"a range must be a mapping, got {described!r}")
    kind = described.get("type")
    if kind == "Categorical":
        return Dimension(name, kind, values=_values(described.get("values")))
    if kind not in {"Continuous", "Integer"}:
        raise ValueError(f"type must be Continuous, Integer or Categorical, got {kind!r}")
    read_number = _whole if kind == "Integer" else _finite
    low, high = read_number(described.get("min")), read_number(described.get("max"))
    if low > high:
        raise ValueError(f"min ({low}) must not be more than max ({high})")
    scaling = described.get("scaling") or "Auto"
    if scaling not in SCALINGS:
        raise ValueError(f"scaling must be one of {', '.join(SCALINGS)}, got {scaling!r}")
    if scaling == "Auto":
        scaling = "Logarithmic" if low > 0 and high / low >= AUTO_LOGARITHMIC else "Linear"
    if scaling == "Logarithmic" and low <= 0:
        raise ValueError(f"min must be above 0 with Logarithmic scaling, got {low}")
    if scaling == "ReverseLogarithmic" and (kind == "Integer" or low < 0 or high >= 1):
        raise ValueError("ReverseLogarithmic scaling is for Continuous ranges with 0 <= min and max < 1")
    return Dimension(name, kind, low, high, scaling)


def _values(values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ValueError(f"values must be a list of at least one value, got {values!r}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"values must be texts or numbers, got {value!r}")
    texts = tuple(str(value) for value in values)
    if len(set(texts)) != len(texts):
        raise ValueError(f"values must differ from each other, got {', '.join(texts)}")
    return texts


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"min and max must be numbers, got {value!r}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"min and max must be numbers, got {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"min and max must be finite, got {value!r}")
    return number


def _whole(value: Any) -> int:
    number = _finite(value)
    if not number.is_integer() or abs(number) > _LARGEST_INTEGER:
        raise ValueError(f"min and max must be whole numbers of at most 2**53, got {value!r}")
    return int(number)
