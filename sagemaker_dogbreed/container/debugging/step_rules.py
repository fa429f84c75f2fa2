"""Profiler rules that judge the time of batches, and what comes before the first.

Those that find lost time say nothing before ``min_seconds`` are lost: it would not be worth a change.
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-profiler-rules.html
"""

from __future__ import annotations

import bisect
import math
import statistics

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.measured_time import (
    batches,
    image_modes,
    quantile,
    settled,
    waited,
)
from sagemaker_dogbreed.container.debugging.rules import rule

_USUAL = 0.9  # the share of steps that say what is usual: others must not hide behind their own spread
_WORTH_A_LOOK = 0.1  # the share of time below which slow steps are no matter


@rule("Dataloader", on="profile")
def dataloader(
    history: History,
    *,
    min_threshold: int = 70,
    max_threshold: int = 200,
    min_waiting: int = 20,
    max_waiting: int = 50,
    min_seconds: float = 10.0,
) -> str | None:
    """Find that processes which load data are too few or too many, or that batches are waited for.

    AWS's rule wants ``min_threshold`` to ``max_threshold`` percent as many as there are cores. Here too few
    are an issue only where batches are waited for in more than ``min_waiting`` percent of the time. More
    than ``max_waiting`` percent is one, however many there are.
    """
    waits, total = waited(history, image_modes(history))
    settings = history.settings
    workers, cores = settings.get("num_workers"), settings.get("processors")
    if total <= 0 or total < min_seconds:
        return None
    share = 100 * waits / total
    told = f"batches are waited for in {share:.0f} % of the time"
    if type(workers) is int and type(cores) is int:
        told += f"; {workers} processes load them, on {cores} cores"
        if workers > cores * max_threshold / 100:
            return f"{workers} processes load data on {cores} cores, more than {max_threshold} %"
        few = cores > 1 and workers < cores * min_threshold / 100
        if few and share > min_waiting and waits >= min_seconds:
            return f"{told}, less than {min_threshold} %"
    return told if share > max_waiting and waits >= min_seconds else None


@rule("LoadBalancing", on="profile")
def load_balancing(
    history: History, *, threshold: float = 0.5, patience: int = 1000, min_seconds: float = 10.0
) -> str | None:
    """Find that the work is spread unevenly: over the GPUs of a machine, or over the processes that train.

    Of two GPUs the distributions of how busy they are differ by more than ``threshold``, 0 to 1 (the mean
    distance of their quantiles), after ``patience`` samples. Of processes, one waits for the others that much
    more of the time of its training steps than another does; where one alone is known, than one that never
    waits.
    """
    return _uneven_gpus(history, threshold, patience) or _uneven_processes(history, threshold, min_seconds)


@rule("MaxInitializationTime", on="profile")
def max_initialization_time(history: History, *, threshold: float = 20.0) -> str | None:
    """Find that a process took more than ``threshold`` minutes from its start to its first batch."""
    begins = [(start.node, start.time) for start in history.starts]
    if not begins and history.system:
        begins = [(history.system[0].node, history.system[0].time)]
    batches_begin: dict[str, list[float]] = {}
    for batch in history.phases:
        batches_begin.setdefault(batch.node, []).append(batch.time - batch.total)
    latest = max((records[-1].time for records in (history.system, history.phases) if records), default=0.0)
    for number, (node, begun) in enumerate(begins):
        again = [time for name, time in begins[number + 1 :] if name == node]
        known = batches_begin.get(node, [])
        first = known[bisect.bisect_left(known, begun) :][:1]
        # One that was interrupted before its first batch had until it started again.
        minutes = (min([*first, *again], default=latest) - begun) / 60
        if minutes > threshold:
            return f"{node} spent {minutes:.1f} minutes before its first batch"
    return None


@rule("OverallFrameworkMetrics", on="profile")
def overall_framework_metrics(_history: History) -> str | None:
    """Find nothing: as AWS's rule, it stands for the shares of time that the profile always has."""
    return None


@rule("StepOutlier", on="profile")
def step_outlier(
    history: History,
    *,
    stddev: float = 3.0,
    mode: str = "",
    n_outliers: int = 10,
    min_seconds: float = 10.0,
) -> str | None:
    """Find more than ``n_outliers`` steps that take longer than is usual by ``stddev`` standard deviations.

    What is usual is said by the 90 % of steps that are shortest. The outliers must take a tenth of the time
    more than usual steps would have, and at least twice as long as the median. The first batch of a pass, in
    which a loader starts its processes, does not count. ``mode`` restricts it to ``train``, ``evaluate`` or
    ``extract``.
    """
    modes = (mode,) if mode else ("train", "evaluate", "extract")
    for (node, of_mode), measured in batches(history, modes).items():
        totals = [batch.total for batch in measured]
        limit = quantile(totals, _USUAL)
        usual = [total for total in totals if total <= limit]
        if len(usual) < 2:
            continue
        middle, center = statistics.median(totals), statistics.fmean(usual)
        deviation = math.sqrt(math.fsum((total - center) ** 2 for total in usual) / (len(usual) - 1))
        limit = max(center + stddev * deviation, 2 * middle)
        outliers = [total for total in totals if total > limit]
        lost = sum(outliers) - middle * len(outliers)
        if len(outliers) > n_outliers and lost > max(_WORTH_A_LOOK * sum(totals), min_seconds):
            return (
                f"{len(outliers)} of {len(totals)} {of_mode} steps of {node} took up to "
                f"{max(outliers):.3g} s, where {middle:.3g} s are usual: "
                f"{100 * lost / sum(totals):.0f} % of the time"
            )
    return None


def _uneven_gpus(history: History, threshold: float, patience: int) -> str | None:
    for node, samples in settled(history, image_modes(history), patience).items():
        gpus = len(samples[-1].gpu)
        busy = [
            sorted(sample.gpu[number] for sample in samples if len(sample.gpu) == gpus)
            for number in range(gpus)
        ]
        for first in range(gpus):
            for second in range(first):
                pairs = list(zip(busy[first], busy[second], strict=True))
                distance = sum(abs(one - other) for one, other in pairs) / len(pairs) / 100
                if distance > threshold:
                    means = [statistics.fmean(busy[number]) for number in (second, first)]
                    return (
                        f"GPU {second} of {node} was {means[0]:.0f} % busy on average, GPU {first} "
                        f"{means[1]:.0f} % (distance of the distributions {distance:.2f})"
                    )
    return None


def _uneven_processes(history: History, threshold: float, min_seconds: float) -> str | None:
    waits: dict[str, float] = {}
    totals: dict[str, float] = {}
    for batch in history.phases:
        if batch.mode == "train":
            waits[batch.node] = waits.get(batch.node, 0.0) + batch.parts.get("ranks", 0.0)
            totals[batch.node] = totals.get(batch.node, 0.0) + batch.total
    shares = {node: waits[node] / total for node, total in totals.items() if total > 0}
    if not shares:
        return None
    idle, slow = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
    least = shares[slow] if len(shares) > 1 else 0.0
    if shares[idle] - least <= threshold or waits[idle] < min_seconds:
        return None
    whom = f"{slow} for {100 * least:.0f} %" if len(shares) > 1 else "another process never does"
    return f"{idle} waits for the others in {100 * shares[idle]:.0f} % of the time of its steps, {whom}"
