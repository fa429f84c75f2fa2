"""Numbers as sentences have them: with their unit, and no more digits than tell something."""

from __future__ import annotations

import math


def seconds(value: float) -> str:
    """Return a time.

    >>> seconds(0.0004), seconds(0.0261), seconds(0.354), seconds(340.5), seconds(9000)
    ('0.4 ms', '26 ms', '0.35 s', '5.7 min', '2.5 h')
    """
    if not math.isfinite(value):
        return "an unknown time"
    for limit, factor, unit in ((0.1, 1000, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if abs(value) < limit:
            return (
                f"{value * factor:.2g} {unit}"
                if abs(value * factor) < 10
                else f"{value * factor:.{_digits(value * factor)}f} {unit}"
            )
    return f"{value / 3600:.{_digits(value / 3600)}f} h"


def percent(share: float) -> str:
    """Return a share, which is 0 to 1.

    >>> percent(0.934), percent(0.004), percent(1)
    ('93 %', '0.4 %', '100 %')
    """
    return points(100 * share)


def points(value: float) -> str:
    """Return a percentage, which is 0 to 100."""
    if not math.isfinite(value):
        return "an unknown share"
    return f"{value:.1g} %" if 0 < abs(value) < 1 else f"{value:.0f} %"


def number(value: float) -> str:
    """Return any other number, with three digits.

    >>> number(0.00123456), number(4), number(1234567)
    ('0.00123', '4', '1.23e+06')
    """
    return f"{value:.3g}"


def size(value: float) -> str:
    """Return an amount of memory, in bytes.

    >>> size(3.2e9), size(250_000_000)
    ('3.2 GB', '250 MB')
    """
    if not math.isfinite(value):
        return "an unknown amount"
    return f"{value / 1e9:.2g} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def _digits(value: float) -> int:
    return 0 if abs(value) >= 10 else 1
