"""Every valid spec makes a request that botocore's own model of SageMaker accepts."""

from __future__ import annotations

import datetime as dt

import botocore.session
import botocore.validate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed import ComputeSpec, EndpointSpec, TrainingSpec
from sagemaker_dogbreed.container import hparams, metrics
from sagemaker_dogbreed.requests.endpoint import create_endpoint
from sagemaker_dogbreed.requests.names import unique_name
from sagemaker_dogbreed.requests.training_job import TrainingLocations, create_training_job

SERVICE = botocore.session.Session().get_service_model("sagemaker")
LOCATIONS = TrainingLocations(
    role="arn:aws:iam::000000000000:role/local",
    image_uri="local/pytorch",
    source_archive_uri="s3://bucket/code/0a/sourcedir.tar.gz",
    channels={split: f"s3://bucket/data/dogs/0a/{split}/" for split in metrics.SPLITS},
    output_uri="s3://bucket/jobs",
    checkpoint_uri="s3://bucket/jobs/job-1/checkpoints",
    dataset_version="0a",
)


def _problems(operation, request):
    shape = SERVICE.operation_model(operation).input_shape
    return botocore.validate.ParamValidator().validate(request, shape).generate_report()


trainings = st.builds(
    TrainingSpec,
    weights=st.sampled_from(["imagenet", "resnet.pth", "s3://bucket/weights/"]),
    epochs=st.integers(1, 10_000),
    learning_rate=st.floats(1e-9, 100),
    image_size=st.none() | st.integers(16, 2048),
    num_workers=st.none() | st.integers(0, 256),
    compute=st.builds(ComputeSpec, max_runtime_seconds=st.integers(1, 2_419_200)),
    environment=st.dictionaries(st.just("COLOR"), st.text(max_size=20)),
)


@given(trainings)
def test_every_training_spec_makes_a_valid_request(spec):
    """The request passes botocore's validation, and its hyperparameters read back as the spec's."""
    request = create_training_job(spec, "job-1", LOCATIONS)
    assert _problems("CreateTrainingJob", request) == ""
    assert hparams.Hyperparameters.from_strings(request["HyperParameters"]) == spec.hyperparameters
    argv = [part for name, value in request["HyperParameters"].items() for part in (f"--{name}", value)]
    assert hparams.Hyperparameters.from_argv(argv) == spec.hyperparameters


def test_the_training_request_reports_every_metric():
    """The request tells SageMaker how to find each metric that the script prints."""
    request = create_training_job(TrainingSpec(), "job-1", LOCATIONS)
    definitions = request["AlgorithmSpecification"]["MetricDefinitions"]
    assert {definition["Name"] for definition in definitions} == set(metrics.NAMES)
    assert {channel["ChannelName"] for channel in request["InputDataConfig"]} == set(metrics.SPLITS)


@given(st.builds(EndpointSpec, instance_count=st.integers(1, 1000), top_k=st.integers(1, 10_000)))
def test_every_endpoint_spec_makes_valid_requests(spec):
    """Model, config and endpoint pass botocore's validation and name each other."""
    requests = create_endpoint(
        spec,
        "dogs",
        role=LOCATIONS.role,
        image_uri="local/pytorch",
        model_data_uri="s3://bucket/model.tar.gz",
    )
    assert _problems("CreateModel", requests.model) == ""
    assert _problems("CreateEndpointConfig", requests.config) == ""
    assert _problems("CreateEndpoint", requests.endpoint) == ""
    assert requests.config["ProductionVariants"][0]["ModelName"] == requests.model["ModelName"]
    assert requests.endpoint["EndpointConfigName"] == requests.config["EndpointConfigName"]


def test_the_allow_list_reaches_the_endpoint():
    """Hosts that are opened, the number of classes and the size limit travel in the environment."""
    spec = EndpointSpec(allowed_url_hosts=["a.b", "c.d:8080"], top_k=3, environment={"COLOR": "red"})
    requests = create_endpoint(spec, "dogs", role="r", image_uri="i", model_data_uri="s3://b/m")
    environment = requests.model["PrimaryContainer"]["Environment"]
    assert environment["SAGEMAKER_DOGBREED_ALLOWED_URL_HOSTS"] == "a.b,c.d:8080"
    assert environment["SAGEMAKER_DOGBREED_TOP_K"] == "3"
    assert environment["COLOR"] == "red"


@given(st.text(max_size=100))
def test_names_are_valid_whatever_they_are_made_from(base):
    """A name matches SageMaker's pattern and fits its 63 characters."""
    name = unique_name(base, dt.datetime(2026, 5, 1, tzinfo=dt.UTC))
    assert len(name) <= 63
    assert all(part.isascii() and part.isalnum() for part in name.split("-"))


def test_names_differ():
    """Two names made at the same moment differ."""
    now = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    assert unique_name("dogs", now) != unique_name("dogs", now)


@pytest.mark.parametrize("name", metrics.NAMES)
@pytest.mark.parametrize("value", [0.0, 1.5, 1e-7, float("nan"), float("inf")])
def test_a_metric_line_is_read_back(name, value):
    """Each metric's regular expression finds its own value, and no other metric's, in a line."""
    split, measure = name.split(" ", 1)
    found = metrics.parse_line(metrics.format_line(split.lower(), {measure: value}, "Epoch 1/2 - "))
    assert set(found) == {name}
    assert found[name] == pytest.approx(value, abs=1e-6, nan_ok=True)
