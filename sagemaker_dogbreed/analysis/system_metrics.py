"""Reads the system metrics that SageMaker writes of a job, under its profiler output's ``system``.

A file has a JSON object a line: what is measured (``Type``, ``Name``, ``Dimension``), of which node, when,
and the value. Files are named for the time they begin at and their node (``1591748160.algo-1.json``).
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-data-access.html
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sagemaker_dogbreed.analysis.quantiles import usable
from sagemaker_dogbreed.container.debugging.records import System
from sagemaker_dogbreed.errors import RecordingError

_NAME = re.compile(r"\d+\.[\w-]+\.json")
_LONGEST_LINE = 10_000  # characters; a measurement takes some 120
_CENTURY = 4e9  # seconds since the epoch
# What one look at a machine measures has nearly the same times; looks are 100 ms apart at least.
_PART_OF_A_SECOND = 10


class _Measurement(NamedTuple):
    node: str
    time: float
    kind: str
    name: str
    dimension: str
    value: float


def read_system_metrics(folder: str | Path) -> list[System]:
    """Read all measurements under a folder, in order of time.

    A line that is cut off, or that tells of something else, is passed over. What a node did not measure at a
    time is NaN, or an empty tuple.

    Args:
        folder: ``profiler-output``, its ``system``, or a folder below it.

    Raises:
        RecordingError: There is no such file, one cannot be read, or none of them has a measurement.
    """
    files = sorted(path for path in Path(folder).rglob("*.json") if _NAME.fullmatch(path.name))
    if not files:
        raise RecordingError(
            f"{folder} holds no system metrics (files such as 1591748160.algo-1.json): give the folder "
            "profiler-output of a job's output, or its folder system"
        )
    looks: dict[tuple[int, str], list[_Measurement]] = {}
    for path in files:
        for each in _measurements(path):
            looks.setdefault((round(each.time * _PART_OF_A_SECOND), each.node), []).append(each)
    if not looks:
        raise RecordingError(f"{folder}: none of the {len(files)} files of system metrics has a measurement")
    return [_system(looks[key]) for key in sorted(looks)]


def _measurements(path: Path) -> Iterator[_Measurement]:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            while line := lines.readline(_LONGEST_LINE):
                if (measurement := _measurement(line)) is not None:
                    yield measurement
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error


def _measurement(line: str) -> _Measurement | None:
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    time, value = fields.get("Timestamp"), fields.get("Value")
    texts = [fields.get(name) or "" for name in ("NodeId", "Type", "Name", "Dimension")]
    if not usable(time) or not 0 < time < _CENTURY or not usable(value) or value < 0:
        return None
    if not all(isinstance(text, str) for text in texts):
        return None
    node, kind, name, dimension = texts
    return _Measurement(node, float(time), kind.lower(), name, dimension.lower(), float(value))


def _system(look: list[_Measurement]) -> System:
    cpu = _units(look, "cpu", "cpuutilization")
    return System(
        time=min(each.time for each in look),
        node=look[0].node,
        cpu=cpu,
        io_wait=_average(
            each.value for each in look if "wait" in each.dimension or "wait" in each.name.lower()
        ),
        memory=_first(look, "memoryusedpercent"),
        own_memory=math.nan,
        disk_read=_first(look, "readthroughput"),
        disk_write=_first(look, "writethroughput"),
        network_in=_first(look, "receivebytes"),
        network_out=_first(look, "transmitbytes"),
        gpu=_units(look, "gpu", "gpuutilization"),
        gpu_memory=_units(look, "gpu", "gpumemoryutilization"),
    )


def _units(look: Iterable[_Measurement], kind: str, dimension: str) -> tuple[float, ...]:
    """Return the values of all cores, or GPUs, in the order of their numbers."""
    values = {each.name: each.value for each in look if (each.kind, each.dimension) == (kind, dimension)}
    return tuple(value for _, value in sorted(values.items(), key=lambda pair: (_number(pair[0]), pair[0])))


def _number(name: str) -> int:
    digits = re.search(r"\d{1,6}$", name)
    return int(digits[0]) if digits else -1


def _first(look: Iterable[_Measurement], name: str) -> float:
    found = (each.value for each in look if name in f"{each.name} {each.dimension}".lower())
    return next(found, math.nan)


def _average(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else math.nan
