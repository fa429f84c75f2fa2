"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.watch import RuleStatus


class CauseLike(Protocol):
    """A cause of trouble, as a diagnosis has it."""

    @property
    def title(self) -> str:
        """What is wrong, in a few words."""

    @property
    def explanation(self) -> str:
        """Why it matters."""

    @property
    def evidence(self) -> Sequence[str]:
        """Sentences with the numbers that show it."""

    @property
    def change(self) -> Mapping[str, tuple[Any, Any]]:
        """By the spec's field, the old value and the new."""

    @property
    def advice(self) -> Sequence[str]:
        """What to do where no field of a spec does it."""

    @property
    def level(self) -> str:
        """How bad it is: ``high``, ``medium`` or ``low``."""


class DiagnosisLike(Protocol):
    """A diagnosis: causes, the worst first, and what it is made of."""

    @property
    def causes(self) -> Sequence[CauseLike]:
        """What is wrong; empty where nothing was found."""

    @property
    def summary(self) -> str:
        """What is to be said before the causes, or instead of them; empty where they say it all."""

    @property
    def looked_at(self) -> Sequence[str]:
        """What was looked at, in a few words each."""

    @property
    def harmless(self) -> Sequence[str]:
        """Sentences on findings of rules that mean no harm; each begins with "Rule" and its name."""


@attrs.frozen(kw_only=True)
class ReportContent:
    """All that a report tells; what is not there is said to be missing, and why.

    Attributes:
        job_name: The title.
        describe: DescribeTrainingJob's answer, or as much of it as there is.
        history: What was recorded of the training.
        rules: What rules have found; empty where none were asked.
        parameters: Each rule's parameters, by its name.
        diagnosis: What follows from it all; None where nobody has asked.
        evaluation: The parsed ``evaluation.json``; None where there is none.
        settings: What the training was told and found, by name; without it, what the history says.
        left_out: Sentences on what could not be judged: rules whose code is not here, say.
    """

    job_name: str
    describe: Mapping[str, Any] = attrs.field(factory=dict)
    history: History = attrs.field(factory=History)
    rules: Sequence[RuleStatus] = ()
    parameters: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    diagnosis: DiagnosisLike | None = None
    evaluation: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    left_out: Sequence[str] = ()

    def is_harmless(self, rule: RuleStatus) -> bool:
        """Return whether the diagnosis says that what a rule found means no harm."""
        if self.diagnosis is None or rule.status != "IssuesFound":
            return False
        begins = f"Rule {rule.name}: ", f"Rule {rule.name} "
        return any(sentence.startswith(begins) for sentence in self.diagnosis.harmless)
