"""The diagnosis as a whole: its order, its forms, its changes, and whatever it is given."""

from __future__ import annotations

import json
import math

import attrs
import pytest
from diagnosed_cases import (
    batches,
    curves,
    diagnosis_of,
    epochs,
    found,
    machine,
    names,
    start,
    steps,
    tensors,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sagemaker_dogbreed.analysis.causes import Cause
from sagemaker_dogbreed.analysis.diagnosis import Diagnosis, diagnose
from sagemaker_dogbreed.analysis.profile import Profile
from sagemaker_dogbreed.analysis.profiler_report import read_profiler_report
from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.container.debugging.records import Epoch, Phases, Span, Step, System
from sagemaker_dogbreed.container.debugging.watch import RuleStatus
from sagemaker_dogbreed.specs.training import TrainingSpec


@pytest.fixture
def troubled():
    """A training that waits for its images, overfits, and has a rule of its own that found something."""
    return diagnosis_of(
        start(num_workers=0, processors=4, device="cuda", patience=0),
        batches(50, data=0.9, forward=0.1),
        epochs(curves([2.0, 1.0, 0.1], [1.0, 1.5, 2.0])),
        machine(10, gpu=(3.0,)),
        rules=found("SlowStart", details="<b>slow</b> & late"),
        **{"compute.instance_type": "ml.g5.xlarge"},
    )


def test_the_reference_projects_profile_names_the_data_loader(test_data):
    """Its loader had no workers; its batch size, which was blamed, is not named at all."""
    folder = test_data / "fixtures" / "profiler-reports"
    if not folder.is_dir():
        pytest.skip(f"no profiler report at {folder}")
    diagnosis = diagnose(read_profiler_report(folder))
    assert names(diagnosis) == ["data_loader"]
    cause = diagnosis.causes[0]
    assert dict(cause.change) == {"num_workers": (0, 4)}
    assert cause.evidence[0].startswith("A batch is waited for 0.35 s, and computed in 26 ms")
    assert any("pin_memory" in advice for advice in cause.advice)
    for text in (str(diagnosis), diagnosis._repr_html_(), json.dumps(diagnosis.to_dict())):
        assert "batch size" not in text.lower()
        assert "batch_size" not in text.lower()
        assert "BatchSize" not in text


def test_the_worst_comes_first(troubled):
    """Causes are in the order of their severity; what no cause is known for is the last."""
    assert names(troubled) == ["data_loader", "overfitting", "rule_SlowStart"]
    severities = [cause.severity for cause in troubled.causes]
    assert severities == sorted(severities, reverse=True)


def test_it_prints_as_a_spec_diff(troubled):
    """The text has the rank, the evidence, the change, and what was looked at."""
    text = str(troubled)
    assert text.startswith("1. Too few processes load images (high)\n")
    assert "change  num_workers: 0 → 4" in text
    assert "change  patience: 0 → 5" in text
    assert "Looked at: 1 rule, 3 epochs, 10 measurements of the machine, 50 batches." in text


def test_html_shows_what_rules_say_as_text(troubled):
    """A rule's words are no markup."""
    html = troubled._repr_html_()
    assert "<li><code>num_workers: 0 → 4</code></li>" in html
    assert "<b>slow" not in html
    assert "&lt;b&gt;slow&lt;/b&gt; &amp; late" in html
    falling = steps([4.0 / (1 + number) for number in range(50)])
    harmless = diagnosis_of(falling, rules=found("AllZero", details="<b>zero</b>"))
    assert "&lt;b&gt;zero&lt;/b&gt;" in harmless._repr_html_()


def test_as_a_dict_it_is_json(troubled):
    """The dict survives JSON, with the level in a word."""
    again = json.loads(json.dumps(troubled.to_dict(), allow_nan=False))
    assert again["causes"][0]["change"] == {"num_workers": [0, 4]}
    assert again["causes"][0]["level"] == "high"


def test_its_changes_make_the_next_training(troubled):
    """Hyperparameters go into the spec as they are, the compute's fields with ``applied_to``."""
    spec = TrainingSpec(num_workers=0, patience=0)
    assert troubled.changes == {"num_workers": 4, "patience": 5}
    assert troubled.applied_to(spec) == spec.with_hyperparameters(troubled.changes)
    smaller = diagnosis_of(
        start(on_features=True, device="cuda"),
        machine(50, gpu=(0.0,)),
        **{"compute.instance_type": "ml.g5.xlarge"},
    )
    assert smaller.applied_to(spec).compute.instance_type == "ml.m5.xlarge"
    assert smaller.changes == {}
    streamed = diagnosis_of(rules=found("MaxInitializationTime"), input_mode="File")
    assert streamed.applied_to(spec) == attrs.evolve(spec, input_mode="FastFile")


def test_where_causes_disagree_the_worst_decides():
    """The first cause's value is taken, and what only others change is added."""
    worst, other = (
        Cause(name=name, title=name, explanation="", change=change, severity=severity)
        for name, change, severity in [
            ("worst", {"learning_rate": (0.01, 0.001)}, 0.9),
            ("other", {"learning_rate": (0.01, 0.1), "patience": (0, 5)}, 0.1),
        ]
    )
    assert Diagnosis(causes=(worst, other)).changes == {"learning_rate": 0.001, "patience": 5}


def test_nothing_wrong_says_what_was_looked_at():
    """An empty diagnosis is no empty text; a rule that failed is told."""
    rules = [RuleStatus(name="Overfit", status="NoIssuesFound"), RuleStatus(name="AllZero", status="Error")]
    diagnosis = diagnosis_of(steps([1.0, 0.9, 0.8]), machine(3), rules=rules)
    assert diagnosis.causes == ()
    assert str(diagnosis) == (
        "Nothing wrong was found.\n"
        "Looked at: 2 rules, 3 steps, 3 measurements of the machine, not at AllZero, which failed."
    )
    assert "Nothing wrong was found." in diagnosis._repr_html_()


def test_without_steps_there_is_nothing_to_judge():
    """Rules that had nothing to look at have not found that all is well."""
    diagnosis = diagnose(Profile(samples=1), [RuleStatus(name="Overfit", status="NoIssuesFound")])
    assert not diagnosis.judged
    for text in (str(diagnosis), diagnosis._repr_html_()):
        assert "There was nothing to judge" in text
        assert "Nothing wrong" not in text


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_that_did_not_complete_is_told_as_such(status):
    """What was recorded before is judged all the same."""
    diagnosis = diagnosis_of(steps([1.0, 0.9, 0.8]), status=status)
    assert str(diagnosis).startswith(f"The job's status is {status}: ")
    assert f"The job&#x27;s status is {status}" in diagnosis._repr_html_()
    assert diagnosis_of(steps([1.0, 0.9, 0.8]), status="Completed").status is None


ODD = st.floats() | st.sampled_from([0.0, -1.0, 1e-9, 0.3, 1.0, 99.0, 1e300, math.inf, math.nan])
WHOLE = st.integers(-3, 60)
TIMES = st.floats(0, 1e4)
RECORDS = st.one_of(
    st.builds(
        Step, time=TIMES, step=WHOLE, epoch=WHOLE, loss=ODD, top_1=ODD, learning_rate=ODD, images=WHOLE
    ),
    st.builds(
        Epoch,
        time=TIMES,
        epoch=WHOLE,
        step=WHOLE,
        measures=st.dictionaries(
            st.sampled_from(["train_loss", "valid_loss", "train_top_1", "valid_top_1", "test_top_1"]), ODD
        ),
        labels=st.lists(WHOLE, max_size=4).map(tuple),
        errors=st.lists(WHOLE, max_size=4).map(tuple),
    ),
    st.builds(
        Phases,
        time=TIMES,
        node=st.sampled_from(["rank-0", "rank-1"]),
        mode=st.sampled_from(["train", "extract"]),
        step=WHOLE,
        total=ODD,
        parts=st.dictionaries(st.sampled_from(["data", "copy", "forward", "other"]), ODD),
    ),
    st.builds(
        Span, time=TIMES, node=st.just("rank-0"), name=st.sampled_from(["initialization", "x"]), seconds=ODD
    ),
    st.builds(
        System,
        time=TIMES,
        node=st.just("rank-0"),
        cpu=st.lists(ODD, max_size=3).map(tuple),
        gpu=st.lists(ODD, max_size=2).map(tuple),
        gpu_memory=st.lists(ODD, max_size=2).map(tuple),
        **dict.fromkeys(
            ("io_wait", "memory", "own_memory", "disk_read", "disk_write", "network_in", "network_out"), ODD
        ),
    ),
    st.builds(
        lambda step, kind, values: tensors(step, **{f"{kind}__head": values}),
        WHOLE,
        st.sampled_from(["weight", "gradient", "output"]),
        st.fixed_dictionaries(
            {
                "mean_abs": ODD,
                "zeros": ODD,
                "update": st.none() | ODD,
                "activity": st.lists(ODD, max_size=3).map(tuple),
            }
        ),
    ),
)
RULE_NAMES = [
    "AllZero", "BatchSize", "CPUBottleneck", "ClassImbalance", "Dataloader", "DeadRelu",
    "ExplodingTensor", "GPUMemoryIncrease", "IOBottleneck", "LoadBalancing", "LossNotDecreasing",
    "LowGPUUtilization", "MaxInitializationTime", "Overfit", "Overtraining", "Own",
    "PoorWeightInitialization", "SaturatedActivation", "StepOutlier", "VanishingGradient",
    "WeightUpdateRatio",
]  # fmt: skip
RULES = st.lists(st.sampled_from(RULE_NAMES), max_size=6, unique=True)
VALUES = (
    ODD
    | WHOLE
    | st.sampled_from(["", "4", "0.1", "none", "head", "on", "off", "mlp", "File", "ml.g5.xlarge"])
)
SETTINGS = st.dictionaries(
    st.sampled_from(
        [*hparams.names(), "num_workers", "processors", "device", "on_features", "compute.instance_type"]
    ),
    VALUES | st.booleans(),
    max_size=12,
)


@settings(max_examples=50)
@given(records=st.lists(RECORDS, max_size=15), rules=RULES, told=SETTINGS)
def test_any_history_gets_a_diagnosis(records, rules, told):
    """Whatever was recorded, there is an answer, it is JSON, and its changes are acceptable."""
    diagnosis = diagnosis_of(start(**told), records, rules=found(*rules), **told)
    json.dumps(diagnosis.to_dict(), allow_nan=False)
    assert str(diagnosis)
    assert diagnosis._repr_html_()
    assert all(0 <= cause.severity <= 1 for cause in diagnosis.causes)
    assert all(cause.evidence for cause in diagnosis.causes)
    for name, value in diagnosis.changes.items():
        hparams.check(name, value)
    diagnosis.applied_to(TrainingSpec())
