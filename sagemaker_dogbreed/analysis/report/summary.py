"""The report's numbers and tables, as its template shows them: texts, none of them escaped yet."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeGuard

from sagemaker_dogbreed.analysis.labels import seconds_text
from sagemaker_dogbreed.analysis.report.content import ReportContent
from sagemaker_dogbreed.container.debugging.watch import RuleStatus

_SECRET = re.compile(r"secret|token|passw|credential|api_?key|access_?key", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST = 2_000  # characters of a value
_ORDER = ("IssuesFound", "Error", "InProgress", "NoIssuesFound")
_LOOKS = {"IssuesFound": "bad", "Error": "bad", "NoIssuesFound": "good"}
_NO_HARM = "no harm"
_WORDS = {
    "IssuesFound": "issue",
    "Error": "error",
    "InProgress": "in progress",
    "NoIssuesFound": "fine",
    "Stopped": "stopped",
}


class Tile(NamedTuple):
    """A number that the report begins with."""

    name: str
    value: str
    note: str = ""


class RuleRow(NamedTuple):
    """A rule, as its table has it; ``status`` is AWS's word, ``word`` a short one, ``look`` its badge's."""

    name: str
    status: str
    word: str
    look: str
    evidence: str
    parameters: str
    first_step: str
    violations: int


def tiles(content: ReportContent) -> list[Tile]:
    """Return what a reader wants to know first, as far as it is known."""
    from sagemaker_dogbreed.analysis.learning_curves import best_epoch

    describe, history, rules = content.describe, content.history, content.rules
    metrics = final_metrics(describe)
    found = []
    for name, shown in (("Test Top-1", percent), ("Test Loss", number)):
        if name in metrics:
            found.append(Tile(name.replace("Top-1", "top-1").replace("Loss", "loss"), shown(metrics[name])))
    best = best_epoch(history)
    if best is not None:
        loss = number(best.measures["valid_loss"])
        found.append(
            Tile("Best epoch", f"{best.epoch} of {history.epochs[-1].epoch}", f"validation loss {loss}")
        )
    if rules:
        harmless = sum(map(content.is_harmless, rules))
        issues = sum(rule.status == "IssuesFound" for rule in rules) - harmless
        note = f"{harmless} more, which mean{'s' * (harmless == 1)} no harm" if harmless else ""
        found.append(Tile("Rules with issues", f"{issues} of {len(rules)}", note))
    seconds = describe.get("TrainingTimeInSeconds")
    if is_number(seconds):
        billed = describe.get("BillableTimeInSeconds")
        note = f"{seconds_text(billed)} billed" if is_number(billed) and billed != seconds else ""
        found.append(Tile("Training time", seconds_text(seconds), note))
    return found


def final_metrics(describe: Mapping[str, Any]) -> dict[str, float]:
    """Return the last values of the job's metrics, by name."""
    data = describe.get("FinalMetricDataList") or ()
    return {
        str(each.get("MetricName")): float(each["Value"])
        for each in data
        if isinstance(each, Mapping) and is_number(each.get("Value"))
    }


def rule_rows(content: ReportContent) -> list[RuleRow]:
    """Return the rules that found something first, those that mean harm before the others."""
    rank = {status: place for place, status in enumerate(_ORDER)}

    def place(rule: RuleStatus) -> float:
        return 1.5 if content.is_harmless(rule) else rank.get(rule.status, len(rank))

    return [
        RuleRow(
            name=rule.name,
            status=rule.status,
            word=_NO_HARM if content.is_harmless(rule) else _WORDS.get(rule.status, rule.status),
            look="plain" if content.is_harmless(rule) else _LOOKS.get(rule.status, "plain"),
            evidence=rule.details,
            parameters=", ".join(
                f"{name} {text(value)}" for name, value in content.parameters.get(rule.name, {}).items()
            ),
            first_step="" if rule.first_step is None else f"{rule.first_step:,}",
            violations=rule.violations,
        )
        for rule in sorted(content.rules, key=place)
    ]  # fmt: skip


def job_facts(describe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what DescribeTrainingJob says of the job's environment, as names and texts."""
    algorithm = _part(describe, "AlgorithmSpecification")
    facts = {
        "Instance": instance(describe),
        "Image": algorithm.get("TrainingImage") or algorithm.get("AlgorithmName"),
        "Spot": describe.get("EnableManagedSpotTraining"),
        "Created": describe.get("CreationTime"),
        "Started": describe.get("TrainingStartTime"),
        "Ended": describe.get("TrainingEndTime"),
        "Model": _part(describe, "ModelArtifacts").get("S3ModelArtifacts"),
        "Checkpoints": _part(describe, "CheckpointConfig").get("S3Uri"),
        "ARN": describe.get("TrainingJobArn"),
    }
    channels = describe.get("InputDataConfig") or ()
    for channel in (each for each in channels if isinstance(each, Mapping)):
        uri = _part(_part(channel, "DataSource"), "S3DataSource").get("S3Uri")
        facts[f"Channel {channel.get('ChannelName')}"] = uri
    return named(facts)


def instance(describe: Mapping[str, Any]) -> str | None:
    """Return on what the job runs.

    >>> instance({"ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2}})
    '2 of ml.g5.xlarge'
    """
    resources = _part(describe, "ResourceConfig")
    kind, count = resources.get("InstanceType"), resources.get("InstanceCount")
    return f"{count} of {kind}" if kind and isinstance(count, int) and count != 1 else kind


def named(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values as texts, without those that are None; what looks secret is hidden."""
    return [
        (str(name), "(hidden)" if _SECRET.search(str(name)) else text(value))
        for name, value in values.items()
        if value is not None
    ]


def text(value: Any) -> str:
    """Return any value in a form that people read, and not too long.

    >>> text(True), text(0.00012), text([1, 2]), text("adam")
    ('yes', '0.00012', '[1, 2]', 'adam')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S %Z}".strip()
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, default=str, ensure_ascii=False)
    shown = str(value)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def visible(content: str) -> str:
    """Return a text in which nothing is hidden: no control characters, none that turns text around.

    Half a character (from a file's name that is not UTF-8) cannot be written and is replaced as well.
    """
    return _UNSEEN.sub("\ufffd", content)


def percent(value: float | None) -> str:
    """Return a share as a percentage, or a dash.

    >>> percent(0.8712), percent(None)
    ('87.1 %', '-')
    """
    return "-" if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """Return a number in four digits, or a dash."""
    return "-" if value is None else f"{value:.4g}"


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number that is finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def when(seconds: Iterable[float]) -> str:
    """Return the day and time of the first of the times, in UTC; an empty text where there is none."""
    first = min((each for each in seconds if 0 < each < 1e11), default=None)
    return "" if first is None else f"{dt.datetime.fromtimestamp(first, dt.UTC):%Y-%m-%d %H:%M UTC}"


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    return part if isinstance(part, Mapping) else {}
