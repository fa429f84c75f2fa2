"""The values a tuning job may choose from."""

from __future__ import annotations

from typing import Any

import attrs

from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.validation import choice, number

SCALINGS = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")


def _check_order(low: float, high: float, scaling: str) -> None:
    if not low < high:
        raise SpecError(f"min ({low}) must be less than max ({high})")
    if scaling == "Logarithmic" and low <= 0:
        raise SpecError(f"min must be above 0 with Logarithmic scaling, got {low}")
    if scaling == "ReverseLogarithmic" and not (low >= 0 and high < 1):
        raise SpecError(f"ReverseLogarithmic scaling needs 0 <= min and max < 1, got {low} to {high}")


@attrs.frozen(kw_only=True)
class ContinuousRange:
    """Any number from min to max.

    >>> ContinuousRange(min=0.001, max=0.1).scaling
    'Auto'
    """

    min: float = number("least value")
    max: float = number("greatest value")
    scaling: str = choice("how the range is searched", SCALINGS, "Auto")

    def __attrs_post_init__(self) -> None:
        _check_order(self.min, self.max, self.scaling)


@attrs.frozen(kw_only=True)
class IntegerRange:
    """Any whole number from min to max.

    >>> IntegerRange(min=32, max=512).max
    512
    """

    min: int = number("least value", whole=True)
    max: int = number("greatest value", whole=True)
    scaling: str = choice("how the range is searched", SCALINGS[:3], "Auto")

    def __attrs_post_init__(self) -> None:
        _check_order(self.min, self.max, self.scaling)


def _as_tuple(values: Any) -> Any:
    return tuple(values) if isinstance(values, (list, tuple)) else values


@attrs.frozen(kw_only=True)
class CategoricalRange:
    """One of a few values.

    >>> CategoricalRange(values=[32, 64]).values
    (32, 64)
    """

    values: tuple[str | int | float, ...] = attrs.field(
        converter=_as_tuple, metadata={"help": "the values, at most 30"}
    )

    @values.validator
    def _check_values(self, _attribute: attrs.Attribute[Any], values: object) -> None:
        if not isinstance(values, tuple) or not 1 <= len(values) <= 30:
            raise SpecError(f"values must be a list of 1 to 30 values, got {values!r}")
        for value in values:
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise SpecError(f"values must be texts or numbers, got {value!r}")
        if len({str(value) for value in values}) != len(values):
            raise SpecError(f"values must differ from each other, got {list(values)!r}")


Range = ContinuousRange | IntegerRange | CategoricalRange
