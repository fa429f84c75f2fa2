"""Configuration files: strict, round-tripping, every problem at once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed import (
    CategoricalRange,
    ComputeSpec,
    ConfigError,
    ContinuousRange,
    DatasetSpec,
    DebuggerSpec,
    DogbreedError,
    EndpointSpec,
    IntegerRange,
    ProfilerSpec,
    RuleSpec,
    SplitSpec,
    TrainingSpec,
    TuningSpec,
    WorkflowSpec,
)
from sagemaker_dogbreed.config.files import dumps, load, loads
from sagemaker_dogbreed.config.reader import read, read_scalar
from sagemaker_dogbreed.config.schema import schema
from sagemaker_dogbreed.specs.dataset import CHECKS

EXAMPLES = Path(__file__).parents[1] / "examples"

texts = st.text(min_size=1, max_size=20).filter(str.strip)
shares = st.floats(min_value=0.01, max_value=0.4)
learning_rates = st.floats(min_value=1e-9, max_value=100)

datasets = st.builds(
    DatasetSpec,
    source=texts,
    split=st.builds(SplitSpec, valid=shares, test=shares, seed=st.integers(0, 10)),
    checks=st.dictionaries(st.sampled_from(sorted(CHECKS)), st.sampled_from(["error", "warning", "ignore"])),
    max_files=st.integers(1, 10**9),
)
trainings = st.builds(
    TrainingSpec,
    backbone=texts.filter(lambda text: "'" not in text and text.isprintable()),
    weights=texts.filter(lambda text: text != "none"),
    epochs=st.integers(1, 10_000),
    learning_rate=learning_rates,
    image_size=st.none() | st.integers(16, 2048),
    compute=st.builds(ComputeSpec, volume_size_gb=st.integers(1, 16384)),
    environment=st.dictionaries(
        st.from_regex("[B-R][A-Z_]{0,9}", fullmatch=True),
        texts.filter(lambda text: "\0" not in text),
        max_size=40,
    ),
    debugger=st.none()
    | st.builds(
        DebuggerSpec,
        rules=st.sampled_from(
            [
                ("Overfit", "Overtraining"),
                (
                    "Overfit",
                    RuleSpec(name="Overtraining", parameters={"patience_train": 3}, on_trigger="stop"),
                ),
            ]
        ),
        hook=st.just("smdebug"),
        collections=st.sampled_from([{}, {"gradients": {"save_interval": "10"}, "losses": {}}]),
    ),
    profiler=st.none() | st.builds(ProfilerSpec, interval_milliseconds=st.sampled_from([100, 60_000])),
)
tunings = st.builds(
    TuningSpec,
    objective=st.sampled_from(["Train Loss", "valid_top_1"]),
    ranges=st.fixed_dictionaries(
        {"learning_rate": st.builds(ContinuousRange, min=st.just(0.001), max=st.floats(0.01, 1))},
        optional={
            "batch_size": st.just(CategoricalRange(values=(32, 64))),
            "epochs": st.just(IntegerRange(min=1, max=9)),
            "backbone": st.just(CategoricalRange(values=("resnet18", "1e3", "no"))),
        },
    ),
    seed=st.none() | st.integers(0, 2**31 - 1),
    early_stopping=st.booleans(),
)
endpoints = st.builds(EndpointSpec, top_k=st.integers(1, 10_000), allowed_url_hosts=st.just(("a.b", "1.2")))
workflows = st.builds(
    WorkflowSpec,
    dataset=datasets,
    training=trainings,
    tuning=st.none() | tunings,
    endpoint=st.none() | endpoints,
)


@given(workflows)
def test_dumps_round_trips(spec):
    """What is dumped loads as an equal spec, whatever its texts look like."""
    assert loads(dumps(spec)) == spec


VALIDATOR = jsonschema.Draft202012Validator(schema())


@given(workflows)
def test_every_spec_fits_the_schema(spec):
    """The JSON Schema accepts the file of every valid spec."""
    VALIDATOR.validate(_plain(dumps(spec)))


def _plain(text):
    return read(text, "test").value


@given(st.text() | st.from_regex(r"(dataset|training|tuning): [{}\[\]a-z0-9&*!:, \n-]*"))
def test_any_text_loads_or_raises_a_config_error(text):
    """No text, however odd, raises anything but ConfigError."""
    with contextlib.suppress(ConfigError):
        assert isinstance(loads(text), WorkflowSpec)


def test_all_problems_are_reported_at_once_with_path_and_line():
    """Unknown keys, wrong types, lossy scalars, bad limits: all in one error, in reading order."""
    text = """\
dataset:
  sorce: photos
  split: {valid: 0.2, test: "0.2"}
training:
  epochs: 2.7
  learning_rate: yes
  num_worker: 3
  compute: {instance_type: p3, max_runtime_seconds: -1}
  environment: {A: 1}
tuning:
  ranges:
    learning_rate: {min: 0.1, max: 0.001}
    bach_size: [32]
  early_stopping: "true"
endpoint: ml.m5.large
"""
    with pytest.raises(ConfigError) as caught:
        loads(text, source="job.yaml")
    found = [(problem.line, problem.path) for problem in caught.value.problems]
    assert found == [
        (1, "dataset.source"),
        (2, "dataset.sorce"),
        (3, "dataset.split.test"),
        (5, "training.epochs"),
        (6, "training.learning_rate"),
        (7, "training.num_worker"),
        (8, "training.compute.instance_type"),
        (8, "training.compute.max_runtime_seconds"),
        (9, "training.environment"),
        (12, "tuning.ranges.learning_rate"),
        (13, "tuning.ranges.bach_size"),
        (14, "tuning.early_stopping"),
        (15, "endpoint"),
    ]
    message = str(caught.value)
    assert message.startswith("job.yaml has 13 problems:")
    assert "line 2: dataset.sorce: unknown key; did you mean 'source'?" in message
    assert "line 5: training.epochs: must be a whole number, got 2.7" in message
    assert "line 13: tuning.ranges.bach_size: unknown hyperparameter; did you mean 'batch_size'?" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: [", "not readable as YAML"),
        ("- dataset", "must hold a mapping"),
        ("dataset: {source: a, source: b}", "given twice (first on line 1)"),
        ("dataset: {source: a}\n---\ndataset: {source: b}", "not readable as YAML"),
        ("dataset: !!python/object/apply:os.system [ls]", "tags such as"),
        ("dataset: {source: !!set {a}}", "tags such as"),
        ("a: &a [*a]", "too many values"),
        ("a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: " + "[" + "*b," * 9999 + "]", "too many values"),
        ("? [a]\n: b", "keys must be plain texts"),
        ("dataset: {source: photos, max_total_gb: .inf}", "not a finite number"),
        (f"dataset: {{source: a, max_files: {'9' * 5000}}}", "too large a number"),
        ("x" * 1_000_001, "characters long"),
        ("", "dataset: is required"),
        ("dataset: {source: 2024}", "must be a text, got 2024; put it in quotes"),
    ],
)
def test_an_unreadable_file_is_a_config_error(text, message):
    """Damaged, hostile and ambiguous YAML is refused with the reason."""
    with pytest.raises(ConfigError) as caught:
        loads(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("no", "no"), ("012", 12), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("~", None),
     ("true", True), ("0x10", 16), (".5", 0.5), ("", None), ("[32, 64]", [32, 64])],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text, value):
    """Exponents are numbers; Norway stays a country; dates and times stay texts."""
    assert read_scalar(text) == value


def test_overrides_replace_any_field():
    """Any field can be replaced from the command line and from Python, a missing section too."""
    text = "dataset: {source: photos}\nendpoint: {top_k: 3}"
    spec = loads(text, ["training.epochs=3", "tuning.ranges.batch_size=[16, 32, 64, 128]", "endpoint=null"])
    assert spec.training.epochs == 3
    assert spec.tuning.ranges == {"batch_size": CategoricalRange(values=(16, 32, 64, 128))}
    assert spec.endpoint is None
    assert loads(text, "training.epochs=3").training.epochs == 3
    assert loads(text, {"dataset.source": Path("photos") / "dogs"}).dataset.source == "photos/dogs"
    compute = ComputeSpec(instance_type="ml.g5.xlarge")
    assert loads(text, {"training.compute": compute}).training.compute == compute


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", "written path=value"),
        ("training..epochs=1", "written like training.epochs"),
        ("dataset.source.x=1", "dataset.source holds a value"),
        ("training.epoch=1", "did you mean 'epochs'?"),
        ("training.epochs=[", "not readable as a YAML value"),
        ("training.epochs=many", "must be a whole number"),
    ],
)
def test_a_bad_override_is_a_config_error(override, message):
    """An override that names no field or a wrong value says so, without a line number."""
    with pytest.raises(ConfigError) as caught:
        loads("dataset: {source: photos}", [override])
    assert message in str(caught.value)
    assert all(problem.line is None for problem in caught.value.problems)


def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path):
    """A missing file, and one that is not UTF-8, name the file."""
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("dataset: {source: h\xfcndchen}".encode("latin-1"))
    for path in (tmp_path / "missing.yaml", latin):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["dogbreed.yaml", "local.yaml"])
def test_the_examples_load_round_trip_and_fit_the_schema(name):
    """The example files are valid, and survive being written and read again."""
    spec = load(EXAMPLES / name)
    assert loads(dumps(spec)) == spec
    VALIDATOR.validate(_plain((EXAMPLES / name).read_text()))


def test_the_reference_job_is_stated_exactly():
    """examples/dogbreed.yaml is the reference project's job."""
    spec = load(EXAMPLES / "dogbreed.yaml")
    assert spec.dataset.source == "https://s3-us-west-1.amazonaws.com/udacity-aind/dog-project/dogImages.zip"
    assert spec.dataset.prefix == "data"
    assert (spec.training.backbone, spec.training.head_units, spec.training.finetune) == (
        "resnet50",
        128,
        "head",
    )
    assert spec.tuning == TuningSpec(
        ranges={
            "learning_rate": ContinuousRange(min=0.001, max=0.1),
            "batch_size": CategoricalRange(values=(32, 64, 128, 256, 512)),
        }
    )
    assert spec.training.debugger is not None
    assert spec.training.profiler is not None
    assert spec.endpoint.instance_type == "ml.m5.large"


def test_config_errors_are_the_librarys_own():
    """One except clause catches every error of the library."""
    assert issubclass(ConfigError, DogbreedError)


def test_rules_are_names_or_mappings():
    """A rule is a name, or a mapping with its parameters; what is wrong is told with its place."""
    text = """\
dataset: {source: photos}
training:
  debugger:
    rules:
    - Overfit
    - {name: LossNotDecreasing, parameters: {num_steps: 20}, on_trigger: stop}
"""
    debugger = loads(text).training.debugger
    assert [rule.name for rule in debugger.rules] == ["Overfit", "LossNotDecreasing"]
    assert (debugger.rules[1].parameters["num_steps"], debugger.rules[1].on_trigger) == (20, "stop")
    with pytest.raises(ConfigError) as caught:
        loads(text.replace("on_trigger: stop", "on_trigger: halt, nam: x").replace("Overfit", "3"))
    found = {problem.path for problem in caught.value.problems}
    assert "training.debugger.rules.1.on_trigger" in found
    assert "training.debugger.rules.1.nam" in found
    with pytest.raises(ConfigError, match="did you mean Overfit"):
        loads(text.replace("Overfit", "Overfitt"))
