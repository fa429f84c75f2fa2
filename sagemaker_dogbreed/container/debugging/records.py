"""The records of a training and of the machine it runs on, one JSON object a line; standard library only.

A record is written whole and at once, so what a killed job leaves can be read up to its last line.
Times are seconds since the epoch; numbers that are not finite are written as null; those, and
some that are too large to reckon with, are read as NaN.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

FOLDER = "debugger"
"""Folder, among a job's checkpoints and in its output, that holds the records."""

EVALUATION_FILE = "evaluation.json"
"""File beside the records: what the model gets right and wrong on the test split."""

SMDEBUG_FOLDER = "smdebug"
"""Folder, in a job's output, of what smdebug's hook has recorded."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """A process of a training begins, or goes on after an interruption.

    Attributes:
        node: The process: ``rank-0`` is the first of those that train together.
        settings: What it was told (hyperparameters, by name) and what it found: ``processors``, ``device``,
            ``num_workers``, ``pin_memory``, ``on_features``, ``class_names``, versions.
    """

    time: float
    node: str
    settings: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resume:
    """Training goes on after an interruption: what was recorded from this step on has not happened.

    Attributes:
        epoch: The last complete one.
        step: The first step to come.
    """

    time: float
    epoch: int
    step: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One training step. ``step`` counts from 0 over all epochs, which are numbered from 1.

    Attributes:
        loss: The batch's mean.
        top_1: The share of its images that are classified rightly, 0 to 1.
        images: How many there are in the batch, of all processes.
    """

    time: float
    step: int
    epoch: int
    loss: float
    top_1: float
    learning_rate: float
    images: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor:
    """Statistics of one tensor at one step.

    Attributes:
        kind: ``weight`` (before the step), ``gradient``, or ``output`` (of a layer).
        layer: The layer's class (``Linear``, ``ReLU``, ``Tanh``, ...).
        elements: How many numbers it has; the other statistics are over the finite ones.
        norm: The Euclidean norm.
        zeros: The share of its elements that are exactly zero, 0 to 1.
        low: The 5th percentile.
        high: The 95th percentile.
        not_finite: How many elements are infinite or not a number.
        update: Of a weight: the norm of its change in this step over its norm before, else None.
        nans: How many of those are not a number.
        activity: Of a ReLU's, tanh's or sigmoid's output: how often (% of the batch's values) its units are
            active, which is not zero or not saturated; the quantiles 0, 5, ... 100 % over its units.
    """

    kind: str
    layer: str
    elements: int
    mean: float
    mean_abs: float
    std: float
    minimum: float
    maximum: float
    norm: float
    zeros: float
    low: float
    high: float
    not_finite: int
    update: float | None = None
    nans: int = 0
    activity: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensors:
    """Statistics of the tensors of a sampled step, by name (``weight/head.0.weight``)."""

    time: float
    step: int
    tensors: Mapping[str, Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Epoch:
    """An epoch's measures.

    Attributes:
        step: The last step in it.
        measures: By key: ``train_loss``, ``train_top_1``, ``valid_loss``, ``valid_top_1``, ...
        labels: How many training images of each class there were.
        errors: How many of those were classified wrongly.
    """

    time: float
    epoch: int
    step: int
    measures: Mapping[str, float]
    labels: tuple[int, ...] = ()
    errors: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """What the machine does at a time; percentages are 0 to 100, rates are bytes a second since the last one.

    Attributes:
        cpu: Of each core, how busy it is (%).
        io_wait: Time in which processors had nothing but input and output to wait for (%).
        memory: Main memory in use (%).
        own_memory: Main memory that this process and those it started have (bytes).
        gpu: Of each GPU, how busy it is (%).
        gpu_memory: Of each GPU, its memory in use (%).
    """

    time: float
    node: str
    cpu: tuple[float, ...]
    io_wait: float
    memory: float
    own_memory: float
    disk_read: float
    disk_write: float
    network_in: float
    network_out: float
    gpu: tuple[float, ...] = ()
    gpu_memory: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phases:
    """Where the time of one batch went.

    Attributes:
        time: When it ended.
        mode: ``train``, ``evaluate`` (no learning) or ``extract`` (images pass the frozen backbone, once).
        step: The training step, or the batch's number.
        total: Seconds from the end of the batch before to the end of this one.
        parts: Seconds by phase: ``data`` (waiting for the batch), ``copy`` (host to device), ``forward``,
            ``backward``, ``optimizer``; what is missing to the total is the loop's own.
    """

    time: float
    node: str
    mode: str
    step: int
    total: float
    parts: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """A part of a job that has ended.

    Attributes:
        time: When it ended.
        name: ``initialization`` (until the first batch), ``extraction``, ``train``, ``evaluation``,
            ``checkpoint`` or ``test``.
    """

    time: float
    node: str
    name: str
    seconds: float


Record: TypeAlias = Start | Resume | Step | Tensors | Epoch | System | Phases | Span

_KINDS: dict[str, type[Record]] = {
    kind.__name__.lower(): kind for kind in (Start, Resume, Step, Tensors, Epoch, System, Phases, Span)
}

_LARGEST, _LATEST = 1e150, 1e11  # a number that has a square; a time that calendars have


class RecordError(Exception):
    """A line is no record."""


def to_line(record: Record) -> str:
    """Return a record as a line of JSON, without the line break.

    >>> to_line(Span(time=1.0, node="rank-0", name="checkpoint", seconds=float("nan")))
    '{"kind":"span","time":1.0,"node":"rank-0","name":"checkpoint","seconds":null}'
    """
    fields = {"kind": type(record).__name__.lower(), **record.__dict__}
    if isinstance(record, Tensors):
        fields["tensors"] = {name: tensor.__dict__ for name, tensor in record.tensors.items()}
    try:
        return json.dumps(fields, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(fields), separators=(",", ":"), allow_nan=False)


def from_line(line: str) -> Record:
    """Return the record of a line.

    Raises:
        RecordError: The line is cut off, or not one that ``to_line`` writes.
    """
    try:
        fields = json.loads(line, parse_constant=_whole, parse_int=_whole)
        kind = _KINDS[fields.pop("kind")]
        if kind is Tensors:
            fields["tensors"] = {
                name: Tensor(**_checked(Tensor, value)) for name, value in fields["tensors"].items()
            }
        return kind(**_checked(kind, fields))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(f"no record: {line[:80]!r} ({error})") from None


def _checked(kind: type[Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with the types that the record's class has them in."""
    checked = {}
    for field in dataclasses.fields(kind):
        if field.name not in fields:
            continue  # the class says whether it can do without
        checked[field.name] = _value(str(field.type), fields.pop(field.name))
    if not 0 <= checked.get("time", 0) < _LATEST:
        raise ValueError("at no time")
    if fields:
        raise ValueError(f"unknown fields {sorted(fields)}")
    return checked


def _value(kind: str, value: Any) -> Any:
    if kind in {"float", "float | None"}:
        return None if value is None and "None" in kind else _number(value)
    if kind == "int" and type(value) is int:
        return value
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "tuple[float, ...]" and isinstance(value, list):
        return tuple(map(_number, value))
    if kind == "tuple[int, ...]" and isinstance(value, list) and all(type(each) is int for each in value):
        return tuple(value)
    if kind == "Mapping[str, float]" and isinstance(value, dict):
        return {name: _number(each) for name, each in value.items()}
    if kind in {"Mapping[str, Any]", "Mapping[str, Tensor]"} and isinstance(value, dict):
        return value
    raise ValueError(f"not a {kind}: {value!r:.80}")


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"not a number: {value!r:.80}")
    return float(value) if abs(value) < _LARGEST else math.nan


def _whole(text: str) -> int:
    if len(text) > 18 or not text.lstrip("-").isdigit():
        raise ValueError(f"{text:.80} is no number of a record")
    return int(text)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
