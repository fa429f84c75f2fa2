"""Specs accept what SageMaker accepts, and say what is wrong otherwise."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import get_type_hints

import attrs
import pytest

from sagemaker_dogbreed import (
    CategoricalRange,
    ComputeSpec,
    ContinuousRange,
    DatasetSpec,
    DebuggerSpec,
    EndpointSpec,
    IntegerRange,
    NetworkSpec,
    Objective,
    ProfilerSpec,
    SpecError,
    SplitSpec,
    TrainingSpec,
    TuningSpec,
    WorkflowSpec,
)
from sagemaker_dogbreed.container import hparams

REFUSED = [
    (lambda: DatasetSpec(source=""), "source must not be empty"),
    (lambda: DatasetSpec(source="x", name="no spaces"), "name must match"),
    (lambda: DatasetSpec(source="x", prefix="../../x"), "prefix must match"),
    (lambda: DatasetSpec(source="x", prefix="data/.."), "prefix must match"),
    (lambda: DatasetSpec(source="x", sha256="abc"), "sha256 must match"),
    (lambda: DatasetSpec(source="x", checks={"blurry": "error"}), "has no check 'blurry'"),
    (lambda: DatasetSpec(source="x", checks={"small_class": "fatal"}), "must be one of error"),
    (lambda: DatasetSpec(source="x", split=0.2), "split must be a SplitSpec"),
    (lambda: DatasetSpec(source="x", max_files=0), "max_files must be at least 1"),
    (lambda: SplitSpec(valid=0.6, test=0.6), "less than 5 %"),
    (lambda: SplitSpec(valid="0.1"), "valid must be a number"),
    (lambda: TrainingSpec(epochs=0), "epochs must be between 1 and 10000"),
    (lambda: TrainingSpec(epochs=True), "epochs must be a whole number"),
    (lambda: TrainingSpec(learning_rate=float("nan")), "learning_rate must be between"),
    (lambda: TrainingSpec(finetune="all"), "finetune must be one of head, last_block, full"),
    (lambda: TrainingSpec(weights="none"), "finetune: full"),
    (lambda: TrainingSpec(backbone=" "), "backbone must not be empty"),
    (lambda: TrainingSpec(backbone="resnet'50"), "single quote"),
    (lambda: TrainingSpec(environment={"SM_X": "1"}), "SageMaker sets itself"),
    (lambda: TrainingSpec(environment={"A": 1}), "must map texts to texts"),
    (lambda: TrainingSpec(environment={"A": "\0"}), "NUL"),
    (lambda: TrainingSpec(environment={"1A": "1"}), "letters, digits and underscores"),
    (lambda: TrainingSpec().with_hyperparameters({"lr": 1}), "no such hyperparameter: lr"),
    (lambda: TrainingSpec().with_hyperparameters({"epochs": "many"}), "epochs must be a whole number"),
    (lambda: ComputeSpec(instance_type="m5.large"), "instance_type must match"),
    (lambda: ComputeSpec(instance_count=2), "needs distribution: torchrun"),
    (lambda: ComputeSpec(processes_per_instance=2), "needs distribution: torchrun"),
    (lambda: ComputeSpec(max_wait_seconds=9), "is for spot: true only"),
    (lambda: ComputeSpec(spot=True, max_wait_seconds=9), "must not be less than max_runtime_seconds"),
    (lambda: ComputeSpec(spot=True, keep_alive_seconds=9), "cannot be used with spot"),
    (lambda: ComputeSpec(distribution="mpi"), "distribution must be one of none, torchrun"),
    (lambda: NetworkSpec(subnets=["subnet-1"]), "give both or neither"),
    (lambda: NetworkSpec(subnets=["a"] * 17, security_group_ids=["b"]), "16 at most"),
    (lambda: NetworkSpec(subnets=["a"], security_group_ids=["b"] * 6), "5 at most"),
    (lambda: TrainingSpec(network=NetworkSpec(isolation=True)), "which network.isolation prevents"),
    (lambda: TrainingSpec(volume_kms_key="k", compute=ComputeSpec(instance_type="ml.g5.xlarge")), "its own"),
    (lambda: TrainingSpec(tags={"aws:x": "1"}), "reserved"),
    (lambda: TrainingSpec(tags={"sagemaker-dogbreed:run": "1"}), "reserved"),
    (lambda: TrainingSpec(tags={"a": "b\n"}), "must be letters, digits"),
    (lambda: TrainingSpec(tags={str(n): "x" for n in range(41)}), "40 entries at most"),
    (lambda: TrainingSpec(metric_definitions={"Test Loss": "(.*)"}), "by the training script itself"),
    (lambda: TrainingSpec(metric_definitions={"A": "no group"}), "needs a group"),
    (lambda: TrainingSpec(metric_definitions={"A": "("}), "is not valid"),
    (lambda: TrainingSpec(metric_definitions={"A": "(\n)"}), "1 to 500 characters"),
    (lambda: TrainingSpec(image_uri="my image"), "image_uri must match"),
    (lambda: TrainingSpec(framework_version="latest"), "framework_version must match"),
    (lambda: TrainingSpec(backbone="a\nb"), "must not hold"),
    (lambda: DebuggerSpec(rules=["Overfit", "Overfit"]), "must differ"),
    (lambda: ProfilerSpec(interval_milliseconds=300), "must be one of 100, 200"),
    (lambda: EndpointSpec(network=NetworkSpec(encrypt_traffic=True)), "is for training jobs"),
    (lambda: EndpointSpec(allowed_url_hosts=["x" * 600, "y" * 600]), "1,024 characters"),
    (lambda: ContinuousRange(min=0.1, max=0.01), "must be less than max"),
    (lambda: ContinuousRange(min=0, max=1, scaling="Logarithmic"), "above 0"),
    (lambda: ContinuousRange(min=0, max=1, scaling="ReverseLogarithmic"), "max < 1"),
    (lambda: CategoricalRange(values=[]), "1 to 30 values"),
    (lambda: CategoricalRange(values=[1, "1"]), "must differ"),
    (lambda: CategoricalRange(values=[True]), "texts or numbers"),
    (lambda: Objective(metric="accuracy"), "metric must be one of Train Loss"),
    (lambda: Objective(metric="Test Loss", goal="Maximize"), "goal must be Minimize"),
    (lambda: TuningSpec(ranges={}), "1 to 30 hyperparameters"),
    (lambda: TuningSpec(ranges={"lr": CategoricalRange(values=[1])}), "no such hyperparameter: 'lr'"),
    (lambda: TuningSpec(ranges={"epochs": ContinuousRange(min=1, max=5)}), "takes a CategoricalRange or"),
    (lambda: TuningSpec(ranges={"head": CategoricalRange(values=["deep"])}), "head must be one of"),
    (lambda: TuningSpec(max_parallel_jobs=9), "is more than max_jobs"),
    (lambda: TuningSpec(strategy="Grid"), "categorical ranges only"),
    (lambda: EndpointSpec(allowed_url_hosts="host"), "must be a list of texts"),
    (lambda: EndpointSpec(allowed_url_hosts=["http://host/"]), "must hold texts like"),
    (lambda: WorkflowSpec(dataset="photos"), "dataset must be a DatasetSpec"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_bad_value_is_refused_with_a_message_that_names_it(make, message):
    """A value that is not acceptable raises SpecError that says what is."""
    with pytest.raises(SpecError) as caught:
        make()
    assert message in str(caught.value)


def test_training_spec_and_container_agree_on_every_hyperparameter():
    """The spec has exactly the container's hyperparameters, with the same defaults and types."""
    assert TrainingSpec().hyperparameters == hparams.Hyperparameters()
    spec_types, container_types = get_type_hints(TrainingSpec), get_type_hints(hparams.Hyperparameters)
    for name in hparams.names():
        assert spec_types[name] == container_types[name]


def test_a_weights_file_becomes_the_weights_channel():
    """A path or s3:// URI is sent as a channel, not as a hyperparameter."""
    spec = TrainingSpec(weights="models/resnet.pth")
    assert spec.weights_source == "models/resnet.pth"
    assert spec.hyperparameters.weights == "channel"
    assert TrainingSpec().weights_source is None


def test_hyperparameters_from_a_tuning_job_are_read():
    """A tuner answers with texts, whole numbers written with a decimal point among them."""
    spec = TrainingSpec().with_hyperparameters({"batch_size": "128.0", "learning_rate": "0.01"})
    assert (spec.batch_size, spec.learning_rate) == (128, 0.01)


def test_the_default_search_space_is_the_reference_projects():
    """Learning rate 0.001 to 0.1, batch size 32 to 512, smallest test loss."""
    spec = TuningSpec()
    assert spec.objective == Objective(metric="Test Loss", goal="Minimize")
    assert spec.ranges["learning_rate"] == ContinuousRange(min=0.001, max=0.1, scaling="Logarithmic")
    assert spec.ranges["batch_size"] == CategoricalRange(values=(32, 64, 128, 256, 512))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("test_loss", ("Test Loss", "Minimize")), ("Valid Top-1", ("Valid Top-1", "Maximize"))],
)
def test_an_objective_may_be_given_by_name(given, expected):
    """The name decides the goal: losses are minimised, accuracies maximised."""
    objective = TuningSpec(objective=given).objective
    assert (objective.metric, objective.goal) == expected


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://host/a/dogImages.zip?X-Amz-Signature=secret", "dogImages"),
        ("photos/my dogs/", "my-dogs"),
        ("https://user:secret@host", "dataset"),
        ("dogs.tar.gz", "dogs"),
        ("C:\\photos\\cats", "cats"),
        ("..", "dataset"),
        ("犬", "dataset"),
    ],
)
def test_a_data_set_is_named_after_its_source(source, name):
    """The name is made of letters, digits and dashes, without the archive's ending or a URL's query."""
    assert DatasetSpec(source=source).dataset_name == name


def test_a_signed_urls_secrets_are_not_shown():
    """The repr of a spec holds neither the password nor the signature of its source."""
    spec = DatasetSpec(source="https://user:password@host/a.zip?X-Amz-Signature=0a1b")
    assert "source='https://host/a.zip?...'" in repr(spec)
    assert repr(DatasetSpec(source="C:\\photos")).startswith("DatasetSpec(source='C:")


def test_specs_are_values():
    """Specs with equal fields are equal, hash and pickle alike, and cannot be changed in place."""
    spec = WorkflowSpec(
        dataset=DatasetSpec(source=Path("photos"), checks={"small_class": "error"}), tuning=TuningSpec()
    )
    again = pickle.loads(pickle.dumps(spec))
    assert again == spec
    assert hash(again) == hash(spec)
    with pytest.raises(TypeError):
        spec.dataset.checks["small_class"] = "ignore"
    assert TrainingSpec(epochs=3) == TrainingSpec(epochs=3)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        TrainingSpec().epochs = 5


def test_a_spec_does_not_follow_a_mapping_it_was_made_from():
    """Changing the caller's mapping afterwards leaves the spec as it was."""
    environment = {"A": "1"}
    spec = TrainingSpec(environment=environment)
    environment["A"] = "2"
    assert spec.environment == {"A": "1"}


def test_integer_ranges_suit_whole_hyperparameters():
    """A whole hyperparameter takes an integer range."""
    assert TuningSpec(ranges={"epochs": IntegerRange(min=1, max=5)}).ranges["epochs"].max == 5
