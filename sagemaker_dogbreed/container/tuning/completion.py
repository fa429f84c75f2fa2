"""When a tuning is done before its number of trials is reached.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-progress.html
"""

from __future__ import annotations

from collections.abc import Sequence

from sagemaker_dogbreed.container.tuning.configuration import Config, is_minimized

FUTILE = 5
"""Trials after which a tuning of which none has an objective is given up, as on AWS."""

_IMPROVEMENT = 0.01
"""By how much of the best value before it a trial must be better to count as an improvement."""

_CONVERGED_AFTER = 10


def not_improving(values: Sequence[float], *, minimize: bool) -> int:
    """Return how many trials have ended since one was better than all before it by 1 %.

    >>> not_improving([1.0, 0.5, 0.6, 0.499], minimize=True)
    2
    """
    count = 0
    best = None
    for value in values:
        gain = 0.0 if best is None else (best - value if minimize else value - best)
        if best is None or gain > _IMPROVEMENT * abs(best):
            count = 0
        else:
            count += 1
        if best is None or gain > 0:
            best = value
    return count


def criterion(config: Config, values: Sequence[float], seconds: float) -> str | None:
    """Return the name of a completion criterion that is met, None while none is.

    Convergence is AWS's own estimate there; here it is ten trials in a row without an improvement
    of 1 %.

    Args:
        config: The tuning's HyperParameterTuningJobConfig.
        values: The objective of each trial that has one, in the order in which they ended.
        seconds: Since the tuning began.
    """
    criteria = config.get("TuningJobCompletionCriteria", {})
    minimize = is_minimized(config)
    runtime = config["ResourceLimits"].get("MaxRuntimeInSeconds")
    if runtime is not None and seconds >= runtime:
        return "MaxRuntimeInSeconds"
    if not values:
        return None
    target = criteria.get("TargetObjectiveMetricValue")
    if target is not None and (min(values) <= target if minimize else max(values) >= target):
        return "TargetObjectiveMetricValue"
    stalled = not_improving(values, minimize=minimize)
    most = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    if most is not None and stalled >= most:
        return "BestObjectiveNotImproving"
    converges = criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled"
    return "ConvergenceDetected" if converges and stalled >= _CONVERGED_AFTER else None
