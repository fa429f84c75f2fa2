"""A training job in a few lines of HTML, as a notebook shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sagemaker_dogbreed.analysis.report.summary import instance, text, visible
from sagemaker_dogbreed.analysis.trials import ResultsLike
from sagemaker_dogbreed.container.debugging.watch import RuleStatus

_COLORS = {
    "Completed": "#00785A",
    "Failed": "#B84E00",
    "Stopped": "#6B7280",
    "IssuesFound": "#B84E00",
    "Error": "#B84E00",
}
_NEUTRAL = "#0072B2"
_MOST_RULES = 8
_CELL = "text-align:left;vertical-align:top;padding:1px 0"


def job_card(
    describe: Mapping[str, Any], metrics: Mapping[str, float], rules: Sequence[RuleStatus] = ()
) -> str:
    """Return a job's name, status, instance, metrics and the rules that found something, as HTML.

    Args:
        describe: DescribeTrainingJob's answer, or as much of it as there is.
        metrics: The last values by name (``Test Top-1``).
        rules: What rules have found.
    """
    status = _cell(describe.get("TrainingJobStatus") or "Unknown")
    rows = [
        ("instance", _cell(instance(describe) or "")),
        ("reason", _cell(describe.get("FailureReason") or "")),
        *((_cell(name), f"{value:.4g}") for name, value in metrics.items()),
        ("rules", _rules(rules)),
    ]
    body = "".join(
        f'<tr><td style="{_CELL};white-space:nowrap;opacity:.7;padding-right:14px">{name}</td>'
        f'<td style="{_CELL}">{value}</td></tr>'
        for name, value in rows
        if value
    )
    return (
        '<div style="border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:10px 14px;'
        'display:inline-block;max-width:48em">'
        f'<div style="margin-bottom:6px"><strong>{_cell(describe.get("TrainingJobName") or "training job")}'
        f"</strong> {_badge(status, _COLORS.get(status, _NEUTRAL))}</div>"
        f'<table style="border-collapse:collapse;margin:0">{body}</table></div>'
    )


def tuning_card(name: str, status: str, results: ResultsLike) -> str:
    """Return a search's name, status, number of trials and best trial, as HTML."""
    values: dict[str, float] = {"trials": len(results.trials)}
    best = results.best
    if best is not None and best.value is not None:
        numbers = {key: value for key, value in best.hyperparameters.items() if not isinstance(value, str)}
        values |= {f"best {results.objective.metric}": best.value, **numbers}
    return job_card({"TrainingJobName": name, "TrainingJobStatus": status}, values)


def _rules(rules: Sequence[RuleStatus]) -> str:
    found = [rule for rule in rules if rule.status in {"IssuesFound", "Error"}]
    if not found:
        return f"none of {len(rules)} found an issue" if rules else ""
    shown = [f"{_badge(_cell(rule.name), _COLORS[rule.status])} {_cell(rule.details)}" for rule in found]
    more = [f"and {len(found) - _MOST_RULES} more"] if len(found) > _MOST_RULES else []
    return "<br>".join([*shown[:_MOST_RULES], *more])


def _badge(content: str, color: str) -> str:
    return (
        f'<span style="background:{color};color:#fff;border-radius:9px;padding:1px 8px;font-size:85%">'
        f"{content}</span>"
    )


def _cell(value: object) -> str:
    return escape(visible(text(value)))
