"""What is watched while a job trains."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sagemaker_dogbreed.specs.validation import number, texts

RULE_PATTERN = r"[A-Z][A-Za-z]+"


@attrs.frozen(kw_only=True)
class DebuggerSpec:
    """The training rules a job is watched by, under AWS's names.

    https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html

    >>> DebuggerSpec(rules=["Overfit"]).rules
    ('Overfit',)
    """

    rules: Sequence[str] = texts("training rules", pattern=RULE_PATTERN, example="VanishingGradient")
    save_interval: int = number("steps between recordings", default=100, minimum=1, whole=True)


@attrs.frozen(kw_only=True)
class ProfilerSpec:
    """System monitoring of a job and the profiler rules it is judged by, under AWS's names.

    >>> ProfilerSpec(rules=["LowGPUUtilization"]).interval_milliseconds
    500
    """

    rules: Sequence[str] = texts("profiler rules", pattern=RULE_PATTERN, example="LowGPUUtilization")
    interval_milliseconds: int = number(
        "time between measurements, ms", default=500, minimum=100, maximum=60_000, whole=True
    )
