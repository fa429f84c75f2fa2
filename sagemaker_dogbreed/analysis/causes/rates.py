"""The learning rate to try next, so that steps have a size that trains."""

from __future__ import annotations

import math
from typing import Any

from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.container import hparams

_HEALTHY = 0.003  # of a weight's norm in a step: between 0.1 % and 1 %
_FAR = 30.0  # times the usual rate, or a fraction of it: then no small correction mends it
_USUAL = {"adam": 0.001, "adamw": 0.001, "sgd": 0.01}


def lowered(case: Case, factor: float = 0.1) -> dict[str, tuple[Any, Any]]:
    """Return a lower learning rate as a change; empty where the old one is unknown or the lowest.

    Args:
        case: What is known of the training.
        factor: What the rate is multiplied with where nothing tells more.
    """
    old, usual = case.learning_rate, _USUAL.get(str(case.setting("optimizer")))
    if old is None or old <= 0:
        return {}
    measured = _measured(case, old)
    # Adam's first steps are large whatever the rate, and later ones small beside weights that have exploded.
    adaptive = case.setting("optimizer") in {"adam", "adamw"}
    if usual is not None and old >= _FAR * usual and (adaptive or measured is None):
        return _change(old, usual)
    if measured is None or measured > old / 2:
        return _change(old, old * factor)
    return _change(old, max(measured, usual) if adaptive and usual and old > usual else measured)


def raised(case: Case) -> dict[str, tuple[Any, Any]]:
    """Return a higher learning rate as a change; empty where the old one is unknown or the highest."""
    old = case.learning_rate
    usual = _USUAL.get(str(case.setting("optimizer")), float(hparams.default("learning_rate")))
    if old is None or old < 0:
        return {}
    if old <= usual / _FAR:
        return _change(old, usual)
    return _change(old, max(_measured(case, old) or 0.0, 10 * old))


def _measured(case: Case, old: float) -> float | None:
    """Return the power of ten at which steps would have changed weights by a healthy share."""
    if not case.updates or case.updates < 0:
        return None
    exponent = math.log10(max(old, 1e-30)) + math.log10(_HEALTHY) - math.log10(case.updates)
    return float(10.0 ** min(max(round(exponent), -30), 30))


def _change(old: float, wanted: float) -> dict[str, tuple[Any, Any]]:
    limits = hparams.rules("learning_rate")
    new = float(f"{min(max(wanted, limits['minimum']), limits['maximum']):.3g}")
    return {"learning_rate": (old, new)} if new != old else {}
