"""Instance types that a diagnosis proposes."""

from __future__ import annotations

import re
from typing import Any

from sagemaker_dogbreed.analysis.causes.case import Case

WITHOUT_GPU = "ml.m5.xlarge"
"""What trains a head on kept features well enough."""

# Of these families SageMaker has all the sizes.
_FAMILIES = re.compile(r"(ml\.(?:m5|m6i|m7i|c5|c6i|c7i|g4dn|g5|g6)\.)(x|2x)large")
_KEYS = ("compute.instance_type", "instance_type")


def instance_type(case: Case) -> str | None:
    """Return the type of instance that the job ran on, where it is known; a job on this machine has none."""
    if case.local:
        return None
    values = (case.settings.get(key) for key in _KEYS)
    return next((value for value in values if isinstance(value, str)), None)


def larger(case: Case) -> dict[str, tuple[Any, Any]]:
    """Return the change to an instance with twice the cores; empty where none is known."""
    old = instance_type(case)
    matched = _FAMILIES.fullmatch(old) if old else None
    if matched is None:
        return {}
    return {"compute.instance_type": (old, f"{matched[1]}{'2x' if matched[2] == 'x' else '4x'}large")}


def choose(case: Case, what: str) -> str:
    """Return the advice to run on an instance, or on a machine, that is another one (``with more cores``)."""
    return f"Train on a machine {what}." if case.local else f"Choose a compute.instance_type {what}."
