"""Asks the rules about each record: live in the job, or afterwards from its files, with the same result."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Epoch, Phases, Record, Step, System, Tensors
from sagemaker_dogbreed.container.debugging.rules import MOMENTS, Rule

SCAN_SECONDS = 60.0
"""Between two looks of the profiler rules, as AWS has it; they read all there is, so later they are rarer."""

_RARER = 100  # of the time that has passed there is one look in so many parts
_MOMENTS: dict[type[Any], str] = {Step: "step", Tensors: "tensors", Epoch: "epoch"}
_LONGEST = 1024  # characters of StatusDetails, as the API has it


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleStatus:
    """What a rule has found.

    Attributes:
        status: ``InProgress``, ``NoIssuesFound``, ``IssuesFound`` or ``Error`` (the rule itself failed).
        details: The finding that came last, or the rule's error.
        violations: How often the rule found something.
        looks: How often it was asked.
        first_step: Training step of the first finding.
        time: Of the last change, seconds since the epoch.
    """

    name: str
    status: str = "InProgress"
    details: str = ""
    violations: int = 0
    looks: int = 0
    first_step: int | None = None
    time: float = 0.0


class RuleWatch:
    """Rules, the history they judge, and what they have found."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Watch by rules, which differ in their names."""
        self.history = History()
        self._rules = {rule.name: rule for rule in rules}
        self._statuses = {rule.name: RuleStatus(name=rule.name) for rule in rules}
        self._looks = dict.fromkeys(self._rules, 0)
        self._asked = {moment: [rule for rule in rules if rule.on == moment] for moment in MOMENTS}
        self._first_time, self._next_scan = 0.0, math.inf
        self._stopped_by: str | None = None
        self._lock = threading.Lock()  # the system is measured in a thread of its own

    @classmethod
    def replayed(cls, rules: Sequence[Rule], records: Iterable[Record]) -> RuleWatch:
        """Return what rules find in the records of a training that has ended."""
        watch = cls(rules)
        for record in records:
            watch.see(record)
        watch.finish()
        return watch

    @property
    def stopped_by(self) -> RuleStatus | None:
        """The status of the first rule that found something and is to stop the training, if any."""
        return None if self._stopped_by is None else self._statuses[self._stopped_by]

    def go_on(self, records: Iterable[Record]) -> None:
        """See what was recorded before; a rule that ended the training then does not end it now."""
        for record in records:
            self.see(record)
        self._stopped_by = None

    def see(self, record: Record) -> list[RuleStatus]:
        """Add a record, ask the rules whose moment it is, and return those whose status has changed."""
        with self._lock:
            self.history.add(record)
            moment = _MOMENTS.get(type(record))
            if moment:
                return self._ask(self._asked[moment], record.time)
            if isinstance(record, System | Phases):
                is_first = math.isinf(self._next_scan)
                if is_first:
                    self._first_time = record.time
                if is_first or record.time >= self._next_scan:
                    pause = max(SCAN_SECONDS, (record.time - self._first_time) / _RARER)
                    self._next_scan = record.time + pause
                    return [] if is_first else self._ask(self._asked["profile"], record.time)
            return []

    def finish(self) -> list[RuleStatus]:
        """Ask all rules once more, for nothing is to come; return those that have found something now."""
        with self._lock:
            ended = self._latest_time()
            changed = self._ask(list(self._rules.values()), ended)
            for name, status in self._statuses.items():
                if status.status == "InProgress":
                    self._statuses[name] = dataclasses.replace(status, status="NoIssuesFound", time=ended)
            return changed

    def statuses(self, *, profiles: bool) -> list[RuleStatus]:
        """Return what the training rules have found, or the profiler rules."""
        return [
            dataclasses.replace(self._statuses[name], looks=self._looks[name])
            for name, rule in self._rules.items()
            if rule.profiles == profiles
        ]

    def _ask(self, rules: Sequence[Rule], time: float) -> list[RuleStatus]:
        """Ask rules, and return those whose status has changed."""
        changed = []
        for rule in rules:
            before = status = self._statuses[rule.name]
            if status.status == "Error":
                continue
            self._looks[rule.name] += 1
            try:
                found = rule(self.history)
            except Exception as error:  # a rule that fails is no reason for the training to fail
                details = f"the rule failed: {type(error).__name__}: {error}"
                status = dataclasses.replace(status, status="Error", details=details[:_LONGEST], time=time)
            else:
                if not found:
                    continue
                status = self._found(rule, status, found, time)
            self._statuses[rule.name] = status
            if status.status != before.status:
                changed.append(status)
        return changed

    def _found(self, rule: Rule, status: RuleStatus, found: str, time: float) -> RuleStatus:
        if rule.stops and self._stopped_by is None:
            self._stopped_by = rule.name
        step = self.history.steps[-1].step if self.history.steps else 0
        return dataclasses.replace(
            status,
            status="IssuesFound",
            details=str(found)[:_LONGEST],
            violations=status.violations + 1,
            first_step=step if status.first_step is None else status.first_step,
            time=time,
        )

    def _latest_time(self) -> float:
        lists: tuple[Sequence[Record], ...] = (
            self.history.steps,
            self.history.epochs,
            self.history.system,
            self.history.phases,
            self.history.spans,
        )
        return max((records[-1].time for records in lists if records), default=0.0)
