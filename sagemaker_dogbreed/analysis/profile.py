"""Where a job's time went and what its machine did: the numbers that a diagnosis and a report read."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard

import attrs

from sagemaker_dogbreed.analysis.quantiles import Quantiles, median, usable
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Phases, Record, System
from sagemaker_dogbreed.container.debugging.watch import RuleStatus

COMPUTING = ("forward", "backward", "optimizer")
"""Phases in which a batch is computed, and not waited for."""

_COUNTED_SECONDS = 3e7  # a year: what is longer is no time that a job has measured


@attrs.frozen(kw_only=True)
class Batches:
    """The batches of one mode.

    Attributes:
        count: How many were measured.
        seconds: From the end of one to the end of the next.
        parts: Median seconds by phase (``data``, ``copy``, ``forward``, ``backward``, ``optimizer``).
        sums: Seconds by phase, of all batches; ``total`` is the whole.
    """

    count: int
    seconds: Quantiles
    parts: Mapping[str, float] = attrs.field(factory=dict)
    sums: Mapping[str, float] = attrs.field(factory=dict)

    @property
    def computing(self) -> float | None:
        """Median seconds that a batch is computed; None where phases were not measured."""
        parts = [self.parts[phase] for phase in COMPUTING if phase in self.parts]
        return sum(parts) if parts else None


@attrs.frozen(kw_only=True)
class Profile:
    """The numbers of a job; what its origin does not tell is None or empty.

    Attributes:
        origin: Where the numbers are from: ``records`` or ``ProfilerReport``.
        seconds: From the first measurement to the last.
        initialization_seconds: Until the first batch.
        processors: Cores that the job may use on one machine.
        num_workers: Processes that load images.
        pin_memory: Whether batches are loaded into memory that a GPU can copy from by itself.
        device: What computes: ``cpu`` or ``cuda``.
        on_features: Whether a head was trained on kept features of a frozen backbone.
        gpus: GPUs that were measured.
        cpu: How busy the cores are on average (%).
        busiest_core: How busy the busiest core is (%).
        gpu: How busy the GPUs are on average (%).
        gpu_memory: GPU memory in use (%).
        memory: Main memory in use (%).
        io_wait: Time in which processors wait for input and output (%).
        network: Bytes received and sent a second.
        own_memory: Bytes the job's processes had in each sixth of the time (medians).
        batches: By mode (``train``, ``evaluate``, ``extract``).
        loading: Seconds that a batch is waited for.
        spans: Seconds in all, by the name of a part of the job.
        nodes: Mean seconds until a training batch has passed forward, by process, where several train.
        samples: How often the machine was measured.
        rules: What rules found of the machine and the time.
    """

    origin: str = "records"
    seconds: float | None = None
    initialization_seconds: float | None = None
    processors: int | None = None
    num_workers: int | None = None
    pin_memory: bool | None = None
    device: str | None = None
    on_features: bool | None = None
    gpus: int = 0
    cpu: Quantiles | None = None
    busiest_core: Quantiles | None = None
    gpu: Quantiles | None = None
    gpu_memory: Quantiles | None = None
    memory: Quantiles | None = None
    io_wait: Quantiles | None = None
    network: Quantiles | None = None
    own_memory: tuple[float, ...] = ()
    batches: Mapping[str, Batches] = attrs.field(factory=dict)
    loading: Quantiles | None = None
    spans: Mapping[str, float] = attrs.field(factory=dict)
    nodes: Mapping[str, float] = attrs.field(factory=dict)
    samples: int = 0
    rules: tuple[RuleStatus, ...] = ()

    @property
    def slowest(self) -> tuple[str, Batches] | None:
        """The mode in which most time was waited for batches, and its batches."""
        measured = [(name, each) for name, each in self.batches.items() if "data" in each.sums]
        return max(measured, key=lambda pair: pair[1].sums["data"], default=None)


def profile_of(history: History, rules: Sequence[RuleStatus] = ()) -> Profile:
    """Return the profile that a job's records tell.

    Args:
        history: The records; numbers in them that cannot be are left out.
        rules: What profiler rules found in them.
    """
    settings, system = history.settings, history.system
    batches = _batches(history.phases)
    modes: dict[str, float] = defaultdict(float)
    for span in history.spans:
        if _counts(span.seconds):
            modes[span.name] += span.seconds
    waits = max(batches.values(), key=lambda each: each.sums.get("data", 0.0), default=None)
    mode = next((name for name, each in batches.items() if each is waits), None)
    return Profile(
        seconds=_length(history),
        initialization_seconds=modes.get("initialization"),
        processors=_whole(settings.get("processors"))
        or max((len(each.cpu) for each in system), default=0)
        or None,
        num_workers=_whole(settings.get("num_workers")),
        pin_memory=_flag(settings.get("pin_memory")),
        device=str(settings["device"]).partition(":")[0] if settings.get("device") else None,
        on_features=_flag(settings.get("on_features")),
        gpus=max((len(each.gpu) for each in system), default=0),
        cpu=_percent(_mean(each.cpu) for each in system),
        busiest_core=_percent(max(each.cpu, default=None) for each in system),
        gpu=_percent(_mean(each.gpu) for each in system),
        gpu_memory=_percent(_mean(each.gpu_memory) for each in system),
        memory=_percent(each.memory for each in system),
        io_wait=_percent(each.io_wait for each in system),
        network=Quantiles.of(
            each.network_in + each.network_out
            for each in system
            if each.network_in >= 0 and each.network_out >= 0
        ),
        own_memory=_sixths([each for each in system if each.node == system[0].node]),
        batches=batches,
        loading=Quantiles.of(
            each.parts["data"]
            for each in history.phases
            if each.mode == mode and _counts(each.parts.get("data"))
        ),
        spans=dict(modes),
        nodes=_nodes(history.phases),
        samples=len(system),
        rules=tuple(rules),
    )


def _batches(phases: Sequence[Phases]) -> dict[str, Batches]:
    modes: dict[str, list[Phases]] = defaultdict(list)
    for each in phases:
        if _counts(each.total):
            modes[each.mode].append(each)
    return {name: batches for name, each in modes.items() if (batches := _of_mode(each))}


def _of_mode(phases: Sequence[Phases]) -> Batches | None:
    totals = [each.total for each in phases]
    seconds = Quantiles.of(totals)
    if seconds is None:
        return None
    # Of quick or very many batches some are measured as a whole only.
    measured = [each for each in phases if "forward" in each.parts] or phases
    parts: dict[str, list[float]] = defaultdict(list)
    for each in measured:
        for name, value in each.parts.items():
            if _counts(value):
                parts[name].append(value)
    return Batches(
        count=len(totals),
        seconds=seconds,
        parts={name: middle for name, values in parts.items() if (middle := median(values)) is not None},
        sums={
            "total": sum(each.total for each in measured),
            **{name: sum(values) for name, values in parts.items()},
        },
    )


def _nodes(phases: Sequence[Phases]) -> dict[str, float]:
    """Return each process's time for a batch, of the mode in which all of them compute for themselves."""
    values: dict[str, list[float]] = defaultdict(list)
    for each in phases:
        if each.mode == "train":
            # Processes wait for each other in backward, so that all take as long there as the slowest.
            own = [each.parts.get(phase, 0.0) for phase in ("data", "copy", "forward")]
            if all(map(_counts, own)):
                values[each.node].append(sum(own))
    return {node: sum(each) / len(each) for node, each in sorted(values.items())}


def _sixths(system: Sequence[System]) -> tuple[float, ...]:
    values = [each.own_memory for each in system if usable(each.own_memory) and each.own_memory > 0]
    if len(values) < 12:
        return ()
    edges = [len(values) * part // 6 for part in range(7)]
    middles = [median(values[start:end]) for start, end in itertools.pairwise(edges)]
    return tuple(middle for middle in middles if middle is not None)


def _length(history: History) -> float | None:
    lists: tuple[Sequence[Record], ...] = (
        history.starts,
        history.steps,
        history.epochs,
        history.system,
        history.phases,
        history.spans,
    )
    times = [each.time for records in lists for each in records]
    usable_times = [time for time in times if usable(time)]
    if len(usable_times) < 2:
        return None
    length = max(usable_times) - min(usable_times)
    return length if _counts(length) else None


def _counts(seconds: float | None) -> TypeGuard[float]:
    return usable(seconds) and 0 <= seconds <= _COUNTED_SECONDS


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if usable(value)]
    return sum(known) / len(known) if known else None


def _percent(values: Iterable[float | None]) -> Quantiles | None:
    # A little above 100 is how rounding looks; beyond that it is no share.
    return Quantiles.of(value for value in values if value is not None and 0 <= value <= 101)


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 9:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
