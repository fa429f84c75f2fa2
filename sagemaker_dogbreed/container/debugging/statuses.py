"""What rules have found, as DescribeTrainingJob has it: a file beside the records; standard library only.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DebugRuleEvaluationStatus.html
"""

from __future__ import annotations

import json
from typing import Any

from sagemaker_dogbreed.container.debugging.watch import RuleWatch

STATUS_FILE = "rules.json"
MEMBERS = ("DebugRuleEvaluationStatuses", "ProfilerRuleEvaluationStatuses")

_TEXTS = ("RuleConfigurationName", "RuleEvaluationStatus", "StatusDetails")
_LARGEST = 1_000_000  # bytes
_LATEST = 2**37  # seconds since the epoch, in the year 6325: calendars end in 9999


def to_answer(watch: RuleWatch) -> dict[str, list[dict[str, Any]]]:
    """Return the members of DescribeTrainingJob about rules; times are seconds since the epoch."""
    return {
        member: [
            {
                "RuleConfigurationName": status.name,
                "RuleEvaluationStatus": status.status,
                "StatusDetails": status.details,
                "LastModifiedTime": status.time,
            }
            for status in watch.statuses(profiles=profiles)
        ]
        for member, profiles in zip(MEMBERS, (False, True), strict=True)
    }


def from_file(content: bytes) -> dict[str, list[dict[str, Any]]]:
    """Read the file that a job wrote; what is not as ``to_answer`` has it is left out."""
    if len(content) > _LARGEST:
        return {}
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(answer, dict):
        return {}
    return {
        member: [_status(each) for each in answer[member] if _is_status(each)]
        for member in MEMBERS
        if isinstance(answer.get(member), list)
    }


def _status(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in (*_TEXTS, "LastModifiedTime")}


def _is_status(found: Any) -> bool:
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in _TEXTS):
        return False
    time = found.get("LastModifiedTime")
    return isinstance(time, int | float) and 0 <= time < _LATEST
