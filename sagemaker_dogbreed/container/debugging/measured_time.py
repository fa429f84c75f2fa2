"""The part of a history that profiler rules look at; standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Phases, System


def image_modes(history: History) -> tuple[str, ...]:
    """Return the modes in which images are loaded and pass the network."""
    return ("extract",) if history.settings.get("on_features") is True else ("train", "evaluate")


def settled(history: History, modes: Sequence[str], patience: int) -> dict[str, list[System]]:
    """Return the samples of each node from its first batch to its last, without the first ``patience`` ones.

    Before and after, a machine idles for good reasons. Where no batches are recorded, all samples count.
    """
    ends = [batch.time for batch in history.phases if batch.mode in modes]
    first, last = (min(ends), max(ends)) if ends else (-math.inf, math.inf)
    nodes: dict[str, list[System]] = {}
    if ends or not history.phases:
        for sample in history.system:
            if first <= sample.time <= last:
                nodes.setdefault(sample.node, []).append(sample)
    return {node: samples[max(0, patience) :] for node, samples in nodes.items() if len(samples) > patience}


def batches(history: History, modes: Sequence[str]) -> dict[tuple[str, str], list[Phases]]:
    """Return the batches of each node and mode, without the first of a pass: its loader starts processes."""
    found: dict[tuple[str, str], list[Phases]] = {}
    before: dict[str, str] = {}
    for batch in history.phases:
        if before.get(batch.node) == batch.mode and batch.mode in modes and batch.total >= 0:
            found.setdefault((batch.node, batch.mode), []).append(batch)
        before[batch.node] = batch.mode
    return found


def waited(history: History, modes: Sequence[str], phase: str = "data") -> tuple[float, float]:
    """Return the seconds that all batches spent in a phase of waiting, and in all."""
    measured = [batch for batch in history.phases if batch.mode in modes and batch.total >= 0]
    waits = math.fsum(batch.parts.get(phase, 0.0) for batch in measured)
    return waits, math.fsum(batch.total for batch in measured)


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value that a share of the values, 0 to 1, does not exceed; NaN without any.

    >>> quantile([1, 2, 3, 4, 5], 0.5)
    3.0
    """
    ordered = sorted(value for value in values if math.isfinite(value))
    if not ordered:
        return math.nan
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    above = ordered[min(low + 1, len(ordered) - 1)]
    return float(ordered[low] + (above - ordered[low]) * (place - low))


def mean(values: Sequence[float]) -> float:
    """Return the mean; NaN without any values."""
    return math.fsum(values) / len(values) if values else math.nan
