"""Why a training is slow, or learns badly, and what to change: rules and numbers, weighed together."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from sagemaker_dogbreed.analysis.causes import KNOWN
from sagemaker_dogbreed.analysis.causes.case import Case, quote
from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.causes.harmless import EXCUSES
from sagemaker_dogbreed.analysis.profile import Profile
from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.watch import RuleStatus
from sagemaker_dogbreed.specs.training import TrainingSpec

_UNKNOWN = 0.15  # the severity of what a rule found that no cause is known for
_NOTHING = "There was nothing to judge: no step and no epoch was recorded."
_ENDED = ("Failed", "Stopped", "Stopping", "Killed")  # statuses of a job that is not as it should be
_TELLS_ONLY = {"OverallFrameworkMetrics", "OverallSystemUsage"}  # rules that find nothing wrong, ever


@attrs.frozen(kw_only=True)
class Diagnosis:
    """Causes of what is wrong, the worst first.

    Attributes:
        causes: Empty where nothing is wrong, as far as can be told.
        looked_at: What was looked at, in a few words each.
        harmless: Findings of rules that mean no harm, and why.
        judged: Whether enough was recorded to tell that something is wrong, or that nothing is.
        status: What became of the job (``Failed``, ``Stopped``), where that was told and is not as it should.
    """

    causes: tuple[Cause, ...] = ()
    looked_at: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    judged: bool = True
    status: str | None = None

    @property
    def changes(self) -> dict[str, Any]:
        """The new values of hyperparameters, by name; where causes disagree, the worst one's.

        ``spec.with_hyperparameters(diagnosis.changes)`` is the training to try next.
        """
        return {name: new for name, new in self._merged().items() if name in hparams.names()}

    def applied_to(self, spec: TrainingSpec) -> TrainingSpec:
        """Return a training with all changes made, those of its compute too.

        Raises:
            SpecError: The changed values do not go together with others of the spec.
        """
        merged = self._merged()
        others = {name: new for name, new in merged.items() if name not in hparams.names()}
        compute = {
            name.partition(".")[2]: others.pop(name) for name in list(others) if name.startswith("compute.")
        }
        changed = spec.with_hyperparameters(self.changes)
        return attrs.evolve(changed, compute=attrs.evolve(spec.compute, **compute), **others)

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as what JSON can hold."""
        return {
            "causes": [cause.to_dict() for cause in self.causes],
            "looked_at": list(self.looked_at),
            "harmless": list(self.harmless),
            "judged": self.judged,
            "status": self.status,
        }

    def __str__(self) -> str:
        parts = [f"{place}. {cause}" for place, cause in enumerate(self.causes, 1)]
        if self.summary:
            parts.insert(0, self.summary)
        parts += [f"Looked at: {', '.join(self.looked_at) or 'nothing, for nothing was recorded'}."]
        parts += [f"No harm: {sentence}" for sentence in self.harmless]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        causes = "".join(f"<li>{cause._repr_html_()}</li>" for cause in self.causes)
        harmless = "".join(f"<p>No harm: {html.escape(sentence)}</p>" for sentence in self.harmless)
        looked_at = html.escape(", ".join(self.looked_at) or "nothing, for nothing was recorded")
        return (
            f"{f'<p>{html.escape(self.summary)}</p>' if self.summary else ''}"
            f"{f'<ol>{causes}</ol>' if causes else ''}"
            f"<p>Looked at: {looked_at}.</p>{harmless}"
        )

    @property
    def summary(self) -> str:
        """What is to be said before the causes, or instead of them; empty where they say it all."""
        sentences = []
        if self.status:
            sentences.append(
                f"The job's status is {self.status}: this is of what it recorded before; its log says more."
            )
        if not self.causes:
            sentences.append("Nothing wrong was found." if self.judged else _NOTHING)
        return " ".join(sentences)

    def _merged(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for cause in self.causes:
            for field, (_, new) in cause.change.items():
                merged.setdefault(field, new)
        return merged


def diagnose(
    profile: Profile,
    rules: Sequence[RuleStatus] = (),
    history: History | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Diagnosis:
    """Weigh what rules found and what was measured, and say what to change.

    Args:
        profile: Where the time went and what the machine did.
        rules: What training rules and profiler rules found; those of the profile are known already.
        history: The records of the training, where there are any.
        settings: What the job was told: hyperparameters by name, as values or texts; ``input_mode`` and
            ``compute.instance_type`` of its spec; ``local``, whether it runs on this machine, and its
            ``status``. Without them, what its records say it was told.

    >>> print(diagnose(Profile()))
    There was nothing to judge: no step and no epoch was recorded.
    Looked at: nothing, for nothing was recorded.
    """
    history = history if history is not None else History()
    statuses = {status.name: status for status in (*profile.rules, *rules)}
    case = Case(
        profile=profile, rules=statuses, history=history, settings={**history.settings, **(settings or {})}
    )
    roots = list(_roots(case))
    explained = {name for cause in roots for name in cause.explains}
    harmless, unknown = [], []
    for status in statuses.values():
        if not case.found(status.name) or status.name in explained or status.name in _TELLS_ONLY:
            continue
        excuse = EXCUSES[status.name](case) if status.name in EXCUSES else None
        if excuse:
            harmless.append(f"{quote(status).rstrip('.')}; but {excuse}.")
        else:
            unknown.append(_unknown(status))
    return Diagnosis(
        causes=tuple(sorted((*roots, *unknown), key=lambda cause: -cause.severity)),
        looked_at=tuple(_looked_at(case)),
        harmless=tuple(harmless),
        judged=_judged(case),
        status=next((status for status in _ENDED if case.settings.get("status") == status), None),
    )


def _judged(case: Case) -> bool:
    """Return whether anything of the training was recorded; what reports of AWS's tell is recorded."""
    history, profile = case.history, case.profile
    seen = history.steps or history.epochs or history.tensors or profile.batches
    return bool(seen) or (profile.origin != "records" and bool(profile.rules))


def _roots(case: Case) -> Iterator[Cause]:
    """Yield the causes that no other accounts for, with what they account for as evidence."""
    explained: set[str] = set()
    for find in KNOWN:
        cause = find(case)
        if cause is None or cause.name in explained:
            continue
        effects = [
            case.rules[name]
            for name in cause.explains
            if case.found(name) and name not in explained and not _quoted(case.rules[name], cause)
        ]
        explained.update(cause.explains)
        yield attrs.evolve(
            cause,
            evidence=(*cause.evidence, *(f"It accounts for this, too: {quote(each)}" for each in effects)),
        )


def _quoted(status: RuleStatus, cause: Cause) -> bool:
    return quote(status) in cause.evidence


def _unknown(status: RuleStatus) -> Cause:
    return Cause(
        name=f"rule_{status.name}",
        title=f"Rule {status.name} found something",
        explanation="No cause is known for it here.",
        evidence=(quote(status),),
        severity=_UNKNOWN,
        explains=(status.name,),
    )


def _looked_at(case: Case) -> Iterator[str]:
    history, profile = case.history, case.profile
    counts = (
        (len(case.rules), "rule"),
        (len(history.steps), "step"),
        (len(history.epochs), "epoch"),
        (len(history.tensors), "sample of tensors", "samples of tensors"),
        (profile.samples, "measurement of the machine", "measurements of the machine"),
        (sum(each.count for each in profile.batches.values()), "batch", "batches"),
    )
    for count, one, *many in counts:
        if count > 0:
            yield f"{count} {one if count == 1 else many[0] if many else f'{one}s'}"
    failed = [status.name for status in case.rules.values() if status.status == "Error"]
    if failed:
        yield f"not at {', '.join(failed)}, which failed"
