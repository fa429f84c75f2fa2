"""What is watched while a job trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.validation import choice, number, texts

RULE_PATTERN = r"[A-Z][A-Za-z]+"
_MOST_RULES = 20
_INTERVALS = (100, 200, 500, 1000, 5000, 60_000)


def _backend(what: str) -> Any:
    return choice(
        f"what {what}: native (the training script, everywhere) or aws (SageMaker Debugger, which is "
        "closed to accounts that did not use it before 2026-07-30)",
        ("native", "aws"),
        "native",
    )


def _check_rules(rules: Sequence[str]) -> None:
    if len(rules) > _MOST_RULES:
        raise SpecError(f"rules must be {_MOST_RULES} at most, got {len(rules)}")
    if len(set(rules)) != len(rules):
        raise SpecError(f"rules must differ from each other, got {list(rules)}")


@attrs.frozen(kw_only=True)
class DebuggerSpec:
    """The training rules a job is watched by, under AWS's names.

    https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html

    >>> DebuggerSpec(rules=["Overfit"]).rules
    ('Overfit',)
    """

    rules: Sequence[str] = texts("training rules", pattern=RULE_PATTERN, example="VanishingGradient")
    save_interval: int = number("steps between recordings", default=100, minimum=1, whole=True)
    backend: str = _backend("watches")

    def __attrs_post_init__(self) -> None:
        _check_rules(self.rules)


@attrs.frozen(kw_only=True)
class ProfilerSpec:
    """System monitoring of a job and the profiler rules it is judged by, under AWS's names.

    >>> ProfilerSpec(rules=["LowGPUUtilization"]).interval_milliseconds
    500
    """

    rules: Sequence[str] = texts("profiler rules", pattern=RULE_PATTERN, example="LowGPUUtilization")
    interval_milliseconds: int = number(
        "time between measurements, ms: 100, 200, 500, 1000, 5000 or 60000",
        default=500,
        minimum=100,
        maximum=60_000,
        whole=True,
    )
    backend: str = _backend("measures")

    def __attrs_post_init__(self) -> None:
        _check_rules(self.rules)
        if self.interval_milliseconds not in _INTERVALS:
            raise SpecError(
                f"interval_milliseconds must be one of {', '.join(map(str, _INTERVALS))}; "
                f"got {self.interval_milliseconds}"
            )
