"""Rules and who asks them: moments, findings, failures, stops, and own rules."""

from __future__ import annotations

import pytest

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Epoch, Record, Span, Step, System, Tensors
from sagemaker_dogbreed.container.debugging.rules import REGISTRY, Rule, RuleError, rule
from sagemaker_dogbreed.container.debugging.statuses import from_file
from sagemaker_dogbreed.container.debugging.watch import SCAN_SECONDS, RuleWatch


def step(number: int, *, loss: float = 1.0) -> Step:
    """Make a step's record."""
    return Step(time=float(number), step=number, epoch=1, loss=loss, top_1=0.5, learning_rate=0.1, images=8)


def system(time: float) -> System:
    """Make a record of the machine."""
    rates = dict.fromkeys(("disk_read", "disk_write", "network_in", "network_out"), 0.0)
    return System(time=time, node="rank-0", cpu=(1.0,), io_wait=0.0, memory=1.0, own_memory=1.0, **rates)


def made(check, *, name: str = "Own", on: str = "step", stops: bool = False) -> Rule:
    """Make a rule of a function."""
    return Rule(name, check, on, {}, stops)


def high_loss(history: History) -> str | None:
    """Find a loss above 2."""
    last = history.steps[-1] if history.steps else None
    return f"the loss of step {last.step} is {last.loss:g}" if last and last.loss > 2 else None


@pytest.fixture
def own_rule():
    """Let a test register rules; afterwards they are gone."""
    before = dict(REGISTRY)
    yield rule
    REGISTRY.clear()
    REGISTRY.update(before)


def test_a_finding_is_kept_and_counted():
    """The last finding's words, the first one's step, and how often it was found and asked."""
    watch = RuleWatch([made(high_loss)])
    for number, loss in enumerate((1.0, 3.0, 4.0, 1.0)):
        watch.see(step(number, loss=loss))
    (status,) = watch.statuses(profiles=False)
    assert (status.status, status.details) == ("IssuesFound", "the loss of step 2 is 4")
    assert (status.violations, status.looks, status.first_step, status.time) == (2, 4, 1, 2.0)
    assert watch.statuses(profiles=True) == []


def test_what_finds_nothing_ends_with_no_issues():
    """Until the end it is in progress, for it may find something yet."""
    watch = RuleWatch([made(high_loss)])
    watch.see(step(0))
    assert watch.statuses(profiles=False)[0].status == "InProgress"
    watch.finish()
    assert watch.statuses(profiles=False)[0].status == "NoIssuesFound"


def test_each_rule_is_asked_at_its_moments():
    """After steps, tensors or epochs; of the machine once in 60 seconds; all once more at the end."""
    asked = []
    rules = [
        made(lambda _, on=on: asked.append(on), name=on, on=on)
        for on in ("step", "tensors", "epoch", "profile")
    ]
    watch = RuleWatch(rules)
    records: list[tuple[Record, list[str]]] = [
        (step(0), ["step"]),
        (Tensors(time=1.0, step=0, tensors={}), ["tensors"]),
        (Epoch(time=2.0, epoch=1, step=0, measures={}), ["epoch"]),
        (Span(time=2.0, node="rank-0", name="train", seconds=1.0), []),
        (system(3.0), []),
        (system(3.0 + SCAN_SECONDS), ["profile"]),
        (system(4.0 + SCAN_SECONDS), []),
    ]
    for record, expected in records:
        watch.see(record)
        assert asked == expected
        asked.clear()
    watch.finish()
    assert asked == ["step", "tensors", "epoch", "profile"]


def test_after_hours_the_machine_is_judged_more_rarely():
    """Profiler rules read all there is, which takes ever longer: of a day there are not 1,440 looks."""
    asked = []
    watch = RuleWatch([made(lambda _: asked.append(1), name="Machine", on="profile")])
    for second in range(0, 24 * 3600, 20):
        watch.see(system(float(second)))
    assert 300 < len(asked) < 450


@pytest.mark.parametrize("time", ["1e12", "99999999999999", "9" * 400, "-1", "NaN", "Infinity", '"1"'])
def test_a_status_at_an_impossible_time_is_left_out(time):
    """The file comes from a bucket: what is in it must not break the description of a job."""
    status = '{"RuleConfigurationName": "A", "RuleEvaluationStatus": "B", "StatusDetails": "C", '
    content = f'{{"DebugRuleEvaluationStatuses": [{status} "LastModifiedTime": {time}}}]}}'
    assert from_file(content.encode()) == {"DebugRuleEvaluationStatuses": []}


def test_a_rule_that_fails_is_an_error_and_asked_no_more():
    """Others go on, and so does the training."""
    calls = []

    def broken(history: History) -> str | None:
        calls.append(1)
        raise KeyError("valid_loss")

    watch = RuleWatch([made(broken, name="Broken", stops=True), made(high_loss)])
    changed = watch.see(step(0, loss=3.0))
    watch.see(step(1))
    watch.finish()
    broken_status, other = watch.statuses(profiles=False)
    assert (broken_status.status, broken_status.details) == (
        "Error",
        "the rule failed: KeyError: 'valid_loss'",
    )
    assert len(calls) == 1
    assert other.status == "IssuesFound"
    assert {status.name for status in changed} == {"Broken", "Own"}
    assert watch.stopped_by is None


def test_the_first_rule_that_stops_is_named():
    """A finding of a rule that does not stop changes nothing; of two that do, the first counts."""
    rules = [
        made(high_loss, name="Watching"),
        made(high_loss, name="Stopping", stops=True),
        made(high_loss, name="Late", stops=True),
    ]
    watch = RuleWatch(rules)
    watch.see(step(0))
    assert watch.stopped_by is None
    watch.see(step(1, loss=5.0))
    assert watch.stopped_by.name == "Stopping"


def test_long_findings_are_cut():
    """The API takes 1,024 characters."""
    watch = RuleWatch([made(lambda _: "x" * 5000)])
    watch.see(step(0))
    assert len(watch.statuses(profiles=False)[0].details) == 1024


def test_a_replay_finds_the_same():
    """Afterwards the records alone are enough."""
    records: list[Record] = [step(number, loss=number) for number in range(5)]
    live = RuleWatch([made(high_loss)])
    for record in records:
        live.see(record)
    live.finish()
    assert RuleWatch.replayed([made(high_loss)], records).statuses(profiles=False) == live.statuses(
        profiles=False
    )


def test_an_own_rule_is_a_function(own_rule):
    """A decorated function is a rule like those of AWS's names, with the parameters it has."""

    @own_rule("LossAbove", on="step")
    def loss_above(history, *, limit=2.0, steps=1, strict=False, unit="nats"):
        if history.steps and history.steps[-1].loss > limit:
            return f"above {limit} {unit}"
        return None

    found = REGISTRY["LossAbove"]
    assert dict(found.parameters) == {"limit": 2.0, "steps": 1, "strict": False, "unit": "nats"}
    assert not found.profiles
    changed = found.with_parameters(
        {"limit": "0.5", "strict": "True", "steps": "3", "unit": "bits"}, stops=True
    )
    assert changed.parameters == {"limit": 0.5, "strict": True, "steps": 3, "unit": "bits"}
    assert changed(History.of([step(0)])) == "above 0.5 bits"
    assert found(History.of([step(0)])) is None
    assert found.with_parameters({"limit": 1}).parameters["limit"] == 1.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"limits": 1}, "rule LossAbove has no parameter limits; there are limit"),
        ({"limit": "high"}, "LossAbove.limit must be like 2.0, got 'high'"),
        ({"limit": float("nan")}, "must be like 2.0, got nan"),
        ({"limit": None}, "must be like 2.0, got None"),
        ({"limit": True}, "must be like 2.0, got True"),
    ],
)
def test_parameters_are_checked(own_rule, parameters, message):
    """Names, types and numbers that are none are refused, with what would do."""
    own_rule("LossAbove", on="step")(lambda history, *, limit=2.0: None)
    with pytest.raises(RuleError, match=message):
        REGISTRY["LossAbove"].with_parameters(parameters)


def test_what_is_no_rule_is_refused(own_rule):
    """A name, a moment or a parameter that cannot be, and a name that is taken."""
    with pytest.raises(RuleError, match="a rule's name is like VanishingGradient, got 'loss above'"):
        own_rule("loss above", on="step")
    with pytest.raises(RuleError, match="on is one of step, tensors, epoch, profile, got 'batch'"):
        own_rule("LossAbove", on="batch")
    for check in (
        lambda history, limit=2.0: None,
        lambda history, *, limit: None,
        lambda history, *, limit=[]: None,
    ):
        with pytest.raises(RuleError, match="parameter limit must come after"):
            own_rule("LossAbove", on="step")(check)
    own_rule("LossAbove", on="step")(high_loss)
    own_rule("LossAbove", on="step")(high_loss)
    with pytest.raises(RuleError, match="there is a rule LossAbove already"):
        own_rule("LossAbove", on="step")(step)
