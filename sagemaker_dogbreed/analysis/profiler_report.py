"""Reads what AWS's ProfilerReport rule writes of a job: a JSON file for each profiler rule.

https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-profiling-report.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sagemaker_dogbreed.analysis.profile import Batches, Profile
from sagemaker_dogbreed.analysis.quantiles import Quantiles, usable
from sagemaker_dogbreed.container.debugging.watch import RuleStatus
from sagemaker_dogbreed.errors import RecordingError

RULES = (
    "BatchSize",
    "CPUBottleneck",
    "Dataloader",
    "GPUMemoryIncrease",
    "IOBottleneck",
    "LoadBalancing",
    "LowGPUUtilization",
    "MaxInitializationTime",
    "OverallFrameworkMetrics",
    "OverallSystemUsage",
    "StepOutlier",
)
"""The rules whose files are read, and their names without the ending ``.json``."""

_LARGEST_FILE = 64 * 1024 * 1024  # bytes; a long job's files have some hundred thousand
_MODES = {"TRAIN": "train", "EVAL": "evaluate", "GLOBAL": "train", "PREDICT": "predict"}
_MICROSECONDS = 1e12  # a time above it is not in seconds


def read_profiler_report(folder: str | Path) -> Profile:
    """Read a report's files.

    Args:
        folder: The one that holds the files (``profiler-reports``), or one above it: a
            ``ProfilerReport-<number>``, the ``rule-output``, or a job's whole output. Of several reports the
            newest is read.

    Returns:
        A profile; what the files do not tell is None.

    Raises:
        RecordingError: There is no such file, or one of them cannot be read.
    """
    found = _newest(Path(folder))
    details = {name: _Part(content.get("Details")) for name, content in found.items()}
    usage = details.get("OverallSystemUsage", _Part(None))
    loader = details.get("Dataloader", _Part(None))
    start, end, first = _times(details.get("MaxInitializationTime", _Part(None)))
    gpu = usage.quantiles("GPU")
    return Profile(
        origin="ProfilerReport",
        seconds=_between(start, end),
        initialization_seconds=_between(start, first),
        processors=loader.whole("cores"),
        num_workers=loader.whole("num_workers"),
        pin_memory=loader.flag("pin_memory"),
        device=None if gpu is None else "cuda",
        gpus=_gpus(details),
        cpu=usage.quantiles("CPU"),
        gpu=gpu,
        gpu_memory=usage.quantiles("GPU memory"),
        memory=usage.quantiles("CPU memory"),
        io_wait=usage.quantiles("I/O"),
        network=usage.quantiles("Network"),
        batches=_batches(details.get("StepOutlier", _Part(None))),
        loading=_loading(loader, found.get("Dataloader", {})),
        samples=_whole(found.get("OverallSystemUsage", {}).get("Datapoints")) or 0,
        rules=tuple(_status(name, content) for name, content in found.items()),
    )


class _Part:
    """A JSON object that may lack anything, or hold something else than it should."""

    def __init__(self, value: object) -> None:
        self._value: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def parts(self) -> Iterator[tuple[str, _Part]]:
        return ((name, _Part(value)) for name, value in self._value.items() if isinstance(value, dict))

    def part(self, name: str) -> _Part:
        return _Part(self._value.get(name))

    def number(self, name: str) -> float | None:
        value = self._value.get(name)
        return float(value) if usable(value) and value >= 0 else None

    def whole(self, name: str) -> int | None:
        return _whole(self._value.get(name))

    def flag(self, name: str) -> bool | None:
        value = self._value.get(name)
        return value if isinstance(value, bool) else None

    def text(self, name: str) -> str:
        value = self._value.get(name)
        return value if isinstance(value, str) else ""

    def total(self, name: str) -> int:
        """Return the sum of a list of counts."""
        value = self._value.get(name)
        counts = [_whole(each) for each in value] if isinstance(value, list) else []
        return sum(count for count in counts if count is not None)

    def names(self) -> list[str]:
        return list(self._value)

    def spread(self, count: int | None = None) -> Quantiles | None:
        middle = self.number("p50")
        if middle is None:
            return None
        return Quantiles(
            count=count,
            minimum=self.number("min"),
            median=middle,
            p95=self.number("p95"),
            maximum=self.number("max"),
        )

    def quantiles(self, name: str) -> Quantiles | None:
        """Return what is told of a resource: of several nodes, the one that uses most of it."""
        nodes = [spread for _, node in self.part(name).parts() if (spread := node.spread()) is not None]
        return max(nodes, key=lambda spread: (spread.median, spread.high), default=None)


def _newest(folder: Path) -> dict[str, dict[str, Any]]:
    places = {path.parent for name in RULES for path in _files(folder, f"{name}.json")}
    if not places:
        raise RecordingError(
            f"{folder} holds no files of a ProfilerReport ({RULES[0]}.json, {RULES[1]}.json, ...): give the "
            "folder profiler-reports, or one above it such as rule-output"
        )
    place = max(places, key=lambda each: (max(path.stat().st_mtime for path in each.glob("*.json")), each))
    return {name: _read(path) for name in RULES if (path := place / f"{name}.json").is_file()}


def _files(folder: Path, name: str) -> list[Path]:
    if (folder / name).is_file():
        return [folder / name]
    return [path for path in folder.rglob(name) if path.is_file() and path.parent.name == "profiler-reports"]


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise RecordingError(f"{path} is too large for a file of a ProfilerReport; remove or replace it")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RecordingError(
            f"{path} is not JSON, perhaps because it was not copied whole: {error}; copy it again"
        ) from error
    if not isinstance(content, dict):
        raise RecordingError(f"{path} is no file of a ProfilerReport: it holds no JSON object")
    return content


def _status(name: str, content: Mapping[str, Any]) -> RuleStatus:
    triggered, violations = _whole(content.get("RuleTriggered")) or 0, _whole(content.get("Violations")) or 0
    looks = _whole(content.get("Datapoints")) or 0
    details = f"{violations} of {looks} measurements are beyond the thresholds" if violations else ""
    return RuleStatus(
        name=name,
        status="IssuesFound" if triggered else "NoIssuesFound",
        details=details,
        violations=violations,
        looks=looks,
    )


def _times(part: _Part) -> tuple[float | None, float | None, float | None]:
    """Return when the job began and ended, and when its first step did, seconds since the epoch."""
    values = (part.number("job_start"), part.number("job_end"), part.part("step_num").number("first"))
    start, end, first = (
        value / 1e6 if value is not None and value > _MICROSECONDS else value for value in values
    )
    return start, end, first


def _between(start: float | None, end: float | None) -> float | None:
    return end - start if start is not None and end is not None and end >= start else None


def _batches(part: _Part) -> dict[str, Batches]:
    """Return the steps of each mode, of the process that has most of them."""
    batches: dict[str, Batches] = {}
    for _, step in part.part("step_details").parts():
        mode = _MODES.get(step.text("phase").rpartition(".")[2])
        spread = step.part("step_stats").spread()
        if mode is None or spread is None:
            continue
        count = step.total("probs")
        if mode not in batches or count > batches[mode].count:
            # AWS measures a step from its forward to its optimizer; what is waited for comes before it.
            batches[mode] = Batches(count=count, seconds=spread, parts={"forward": spread.median})
    return batches


def _loading(part: _Part, content: Mapping[str, Any]) -> Quantiles | None:
    return part.part("dataloading_time").spread(_whole(content.get("Datapoints")))


def _gpus(details: Mapping[str, _Part]) -> int:
    names: set[tuple[str, str]] = set()
    for rule in ("LowGPUUtilization", "GPUMemoryIncrease"):
        for node, gpus in details.get(rule, _Part(None)).parts():
            names |= {(node, gpu) for gpu in gpus.names()}
    for node, workloads in details.get("LoadBalancing", _Part(None)).parts():
        names |= {(node, gpu) for gpu in workloads.part("workloads").names()}
    return len(names)


def _whole(value: object) -> int | None:
    return int(value) if usable(value) and 0 <= value < 1e12 and value == int(value) else None
