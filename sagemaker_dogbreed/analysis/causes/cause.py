"""One cause of what is wrong with a training, and what to change."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Cause:
    """What is wrong, how that is known, and the change to make.

    Attributes:
        name: A short name that never changes (``data_loader``).
        title: What is wrong, in a few words.
        explanation: Why it matters, and what the change does.
        evidence: Sentences with the numbers that show it.
        change: By the spec's field (``num_workers``, ``compute.instance_type``), the old value and the new.
        advice: What to do where no field of a spec does it.
        severity: From 0 to 1: the share of the time that it costs, or how much the result suffers.
        explains: Names of rules whose findings it accounts for, and of causes that are not such then.
    """

    name: str
    title: str
    explanation: str
    evidence: tuple[str, ...] = ()
    change: Mapping[str, tuple[Any, Any]] = attrs.field(factory=dict)
    advice: tuple[str, ...] = ()
    severity: float
    explains: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """The severity in a word: ``high``, ``medium`` or ``low``."""
        return "high" if self.severity >= 0.5 else "medium" if self.severity >= 0.2 else "low"

    @property
    def changes(self) -> tuple[str, ...]:
        """The changes as a spec diff, such as ``num_workers: 0 → 4``."""
        return tuple(f"{field}: {_shown(old)} → {_shown(new)}" for field, (old, new) in self.change.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the cause as what JSON can hold."""
        return {
            "name": self.name,
            "title": self.title,
            "explanation": self.explanation,
            "evidence": list(self.evidence),
            "change": {field: list(values) for field, values in self.change.items()},
            "advice": list(self.advice),
            "severity": self.severity,
            "level": self.level,
        }

    def __str__(self) -> str:
        lines = [f"{self.title} ({self.level})", f"  {self.explanation}"]
        lines += [f"  - {sentence}" for sentence in self.evidence]
        lines += [f"  change  {change}" for change in self.changes]
        lines += [f"  advice  {sentence}" for sentence in self.advice]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        evidence = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.evidence)
        changes = "".join(f"<li><code>{html.escape(change)}</code></li>" for change in self.changes)
        advice = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.advice)
        todo = f"<p>Change:</p><ul>{changes}{advice}</ul>" if changes or advice else ""
        return (
            f"<h4>{html.escape(self.title)} <small>({self.level})</small></h4>"
            f"<p>{html.escape(self.explanation)}</p>"
            f"{f'<ul>{evidence}</ul>' if evidence else ''}{todo}"
        )


def _shown(value: object) -> str:
    if value is None:
        return "default"
    return f"{value:g}" if isinstance(value, float) else str(value)
