"""Where values lie along an axis: numbers evenly or by their logarithm, choices side by side."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

import attrs

from sagemaker_dogbreed.analysis.trials import is_number

Value = int | float | str

_LOG_FROM = 30.0  # times the smallest value that the largest has to be
_WHOLE_LOG_FROM = 7.5  # likewise, of whole numbers: they are often powers of two
_FEW = 8  # whole numbers with no more distinct values than these are each a tick
_CLOSEST = 0.05  # of the axis between two ticks, for their labels to be apart


@attrs.frozen
class Scale:
    """Places along an axis from 0 to 1 by value, and the labels of its ticks by place."""

    places: Mapping[Value, float]
    ticks: Mapping[float, str]
    logarithmic: bool = False
    choices: bool = False


def wants_log(values: Sequence[float], ratio: float = _LOG_FROM) -> bool:
    """Return whether values span a range of such a ratio, and crowd at its lower end."""
    if not values or min(values) <= 0 or max(values) / min(values) < ratio:
        return False
    return statistics.median(values) - min(values) < (max(values) - min(values)) / 3


def scale_for(values: Sequence[Value]) -> Scale:
    """Return the scale that suits values of one hyperparameter: numbers, or texts for choices."""
    if not all(map(is_number, values)):
        return _choices(sorted(set(values), key=lambda value: (isinstance(value, str), str(value))))
    numbers = sorted({float(value) for value in values})
    if len(numbers) == 1:
        return Scale({numbers[0]: 0.5}, {0.5: short(numbers[0])})
    whole = all(number.is_integer() for number in numbers)
    logarithmic = wants_log(numbers, _WHOLE_LOG_FROM if whole else _LOG_FROM)
    ticks = numbers if whole and len(numbers) <= _FEW else _ticks(numbers[0], numbers[-1], logarithmic)
    low, high = min(numbers[0], ticks[0]), max(numbers[-1], ticks[-1])
    scaled = math.log if logarithmic else float
    places: dict[Value, float] = {
        number: (scaled(number) - scaled(low)) / (scaled(high) - scaled(low)) for number in {*numbers, *ticks}
    }
    gaps = [places[after] - places[before] for before, after in itertools.pairwise(ticks)]
    if min(gaps, default=1.0) < _CLOSEST:
        return _choices(numbers)
    return Scale(places, {places[tick]: short(tick) for tick in ticks}, logarithmic)


def short(value: float) -> str:
    """Return a number in few characters.

    >>> short(0.00123456), short(64.0), short(25000.0)
    ('0.00123', '64', '25,000')
    """
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def _choices(values: Sequence[Value]) -> Scale:
    step = 1 / max(len(values) - 1, 1)
    places = {value: number * step if len(values) > 1 else 0.5 for number, value in enumerate(values)}
    labels = {place: value if isinstance(value, str) else short(value) for value, place in places.items()}
    return Scale(places, labels, choices=True)


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Return round numbers, the outermost at the range's ends or beyond (or, by logarithm, within)."""
    from matplotlib.ticker import MaxNLocator

    if not logarithmic:
        return [float(tick) for tick in MaxNLocator(5).tick_values(low, high)]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for multiples in ((1,), (1, 3), (1, 2, 5)):
        ticks = [
            float(f"{multiple}e{decade}")
            for decade in decades
            for multiple in multiples
            if low <= float(f"{multiple}e{decade}") <= high
        ]
        if len(ticks) >= 3:
            break
    return ticks[:: math.ceil(len(ticks) / 8)]
