"""Every valid spec makes a request that SageMaker's own model accepts, with all its limits."""

from __future__ import annotations

import datetime as dt
import string

import botocore.session
import botocore.validate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed import (
    ComputeSpec,
    DebuggerSpec,
    EndpointSpec,
    NetworkSpec,
    ProfilerSpec,
    SpecError,
    TrainingSpec,
)
from sagemaker_dogbreed.container import hparams, metrics
from sagemaker_dogbreed.drafts import data_channels
from sagemaker_dogbreed.local import constraints
from sagemaker_dogbreed.requests import tags
from sagemaker_dogbreed.requests.channels import Channel
from sagemaker_dogbreed.requests.endpoint import create_endpoint
from sagemaker_dogbreed.requests.names import unique_name
from sagemaker_dogbreed.requests.tags import Origin, expiry, spec_hash
from sagemaker_dogbreed.requests.training_job import TrainingLocations, create_training_job

SERVICE = botocore.session.Session().get_service_model("sagemaker")
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.10.0-cpu-py313"
ROLE = "arn:aws:iam::123456789012:role/dogs"
NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
ORIGIN = Origin(run="job-1", spec_hash="0a1b", expires=NOW, dataset_version="0a")


def _training_request(spec):
    channels = data_channels("s3://bucket/data/dogs/0a", spec.input_source)
    if spec.weights_source is not None:
        channels["weights"] = Channel(uri="s3://bucket/weights/0a/")
    locations = TrainingLocations(
        role=ROLE,
        image_uri=spec.image_uri or IMAGE,
        source_archive_uri="s3://bucket/code/0a/sourcedir.tar.gz",
        channels=channels,
        output_uri="s3://bucket/jobs",
        checkpoint_uri="s3://bucket/jobs/job-1/checkpoints",
        rule_image_uri=IMAGE,
    )
    return create_training_job(spec, "job-1", locations, ORIGIN)


def _endpoint_requests(spec):
    return create_endpoint(
        spec,
        "dogs",
        role=ROLE,
        image_uri=spec.image_uri or IMAGE,
        model_data_uri="s3://bucket/jobs/job-1/output/model.tar.gz",
        origin=ORIGIN,
    )


def _check(operation, request):
    """Check a request as botocore does before sending, and against the limits it leaves to the service."""
    shape = SERVICE.operation_model(operation).input_shape
    assert botocore.validate.ParamValidator().validate(request, shape).generate_report() == ""
    constraints.check(shape, request)


LETTERS = "abz XZ019_.:/=+-@\u00e9\u72ac"
ids = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=32)
keys = st.none() | st.sampled_from(["alias/dogs", "arn:aws:kms:us-east-1:123456789012:key/0a-1b"])
marks = st.dictionaries(
    st.text(LETTERS, min_size=1, max_size=128).filter(
        lambda key: not key.lower().startswith(("aws:", "sagemaker-dogbreed:"))
    ),
    st.text(LETTERS, max_size=256),
    max_size=5,
)
environments = st.dictionaries(
    st.from_regex(r"[B-RT-Z][A-Z0-9_]{0,30}", fullmatch=True),
    st.text(max_size=20).filter(lambda value: "\0" not in value),
    max_size=5,
)


@st.composite
def networks(draw, *, isolation=True, encrypt=True):
    inside = draw(st.booleans())
    return NetworkSpec(
        subnets=draw(st.lists(ids, min_size=1, max_size=16)) if inside else (),
        security_group_ids=draw(st.lists(ids, min_size=1, max_size=5)) if inside else (),
        isolation=isolation and draw(st.booleans()),
        encrypt_traffic=encrypt and draw(st.booleans()),
    )


@st.composite
def computes(draw):
    spot = draw(st.booleans())
    together = draw(st.booleans())
    longest = draw(st.integers(1, 2_419_200))
    return ComputeSpec(
        instance_type=draw(st.sampled_from(["ml.m5.xlarge", "ml.p3.2xlarge", "ml.c5.18xlarge"])),
        distribution="torchrun" if together else "none",
        instance_count=draw(st.integers(1, 1000)) if together else 1,
        processes_per_instance=draw(st.none() | st.integers(1, 64)) if together else None,
        volume_size_gb=draw(st.integers(1, 16384)),
        max_runtime_seconds=longest,
        spot=spot,
        max_wait_seconds=draw(st.none() | st.integers(longest, 2_422_800)) if spot else None,
        keep_alive_seconds=None if spot else draw(st.none() | st.integers(1, 3600)),
        max_retries=draw(st.none() | st.integers(1, 30)),
    )


RULES = ["Overfit", "VanishingGradient", "PoorWeightInitialization", "LossNotDecreasing", "DeadRelu"]
REPORTS = ["ProfilerReport", "LowGPUUtilization", "CPUBottleneck"]
backends = st.sampled_from(["native", "aws"])
debuggers = st.builds(
    DebuggerSpec,
    rules=st.lists(st.sampled_from(RULES), unique=True),
    save_interval=st.integers(1, 10_000),
    backend=backends,
)
profilers = st.builds(
    ProfilerSpec,
    rules=st.lists(st.sampled_from(REPORTS), unique=True),
    interval_milliseconds=st.sampled_from([100, 60_000]),
    backend=backends,
)


@st.composite
def trainings(draw):
    weights = draw(st.sampled_from(["imagenet", "resnet.pth", "s3://bucket/weights/"]))
    own_metrics = st.dictionaries(st.text("abc ", min_size=1, max_size=9), st.just("x=(.*)"), max_size=31)
    return TrainingSpec(
        weights=weights,
        epochs=draw(st.integers(1, 10_000)),
        learning_rate=draw(st.floats(1e-9, 100)),
        image_size=draw(st.none() | st.integers(16, 2048)),
        num_workers=draw(st.none() | st.integers(0, 256)),
        compute=draw(computes()),
        network=draw(st.none() | networks(isolation=weights != "imagenet")),
        image_uri=draw(st.none() | st.just("registry/image:1")),
        environment=draw(environments),
        input_mode=draw(st.sampled_from(["File", "FastFile"])),
        input_source=draw(st.sampled_from(["prefix", "manifest"])),
        metric_definitions=draw(own_metrics),
        volume_kms_key=draw(keys),
        output_kms_key=draw(keys),
        tags=draw(marks),
        debugger=draw(st.none() | debuggers),
        profiler=draw(st.none() | profilers),
    )


@given(trainings())
def test_every_training_spec_makes_a_valid_request(spec):
    """The request passes the model with all its limits, and its hyperparameters read back as the spec's."""
    request = _training_request(spec)
    _check("CreateTrainingJob", request)
    assert hparams.Hyperparameters.from_strings(request["HyperParameters"]) == spec.hyperparameters
    argv = [part for name, value in request["HyperParameters"].items() for part in (f"--{name}", value)]
    assert hparams.Hyperparameters.from_strings(hparams.arguments(argv)) == spec.hyperparameters
    compute = spec.compute
    assert request.get("EnableManagedSpotTraining", False) == compute.spot
    wait = request["StoppingCondition"].get("MaxWaitTimeInSeconds", compute.max_runtime_seconds)
    assert wait >= request["StoppingCondition"]["MaxRuntimeInSeconds"] == compute.max_runtime_seconds
    sources = [channel["DataSource"]["S3DataSource"] for channel in request["InputDataConfig"]]
    assert {source["S3DataType"] for source in sources[:3]} == {
        "ManifestFile" if spec.input_source == "manifest" else "S3Prefix"
    }


endpoints = st.builds(
    EndpointSpec,
    instance_count=st.integers(1, 1000),
    top_k=st.integers(1, 10_000),
    network=st.none() | networks(encrypt=False),
    image_uri=st.none() | st.just("registry/image:1"),
    environment=environments,
    kms_key=keys,
    tags=marks,
    expires_hours=st.none() | st.floats(0.01, 87_600),
)


@given(endpoints)
def test_every_endpoint_spec_makes_valid_requests(spec):
    """Model, config and endpoint pass the model with all its limits, and name each other."""
    requests = _endpoint_requests(spec)
    _check("CreateModel", requests.model)
    _check("CreateEndpointConfig", requests.config)
    _check("CreateEndpoint", requests.endpoint)
    assert requests.config["ProductionVariants"][0]["ModelName"] == requests.model["ModelName"]
    assert requests.endpoint["EndpointConfigName"] == requests.config["EndpointConfigName"]


def test_the_largest_spec_fits_the_services_limits():
    """The most tags, variables and metrics that a spec may have leave room for the library's own."""
    many = {f"B{number}": "x" for number in range(40)}
    metric_definitions = {f"m{number}": "(.*)" for number in range(31)}
    _check(
        "CreateTrainingJob",
        _training_request(TrainingSpec(environment=many, tags=many, metric_definitions=metric_definitions)),
    )
    for operation, request in zip(
        ("CreateModel", "CreateEndpointConfig", "CreateEndpoint"),
        _endpoint_requests(EndpointSpec(environment=many, tags=many)),
        strict=True,
    ):
        _check(operation, request)


def test_the_training_request_reports_every_metric():
    """The request tells SageMaker how to find each metric that the script prints, and the user's own."""
    request = _training_request(TrainingSpec(metric_definitions={"F1": "f1=(.*)"}))
    definitions = request["AlgorithmSpecification"]["MetricDefinitions"]
    assert {definition["Name"] for definition in definitions} == {*metrics.NAMES, "F1"}
    assert {channel["ChannelName"] for channel in request["InputDataConfig"]} == set(metrics.SPLITS)


def test_torchrun_is_asked_for_in_the_toolkits_words():
    """Several processes are started by the hyperparameters that AWS's training toolkit reads."""
    compute = ComputeSpec(distribution="torchrun", processes_per_instance=2, instance_count=3)
    request = _training_request(TrainingSpec(compute=compute))
    assert request["HyperParameters"]["sagemaker_torch_distributed_enabled"] == "true"
    assert request["HyperParameters"]["sagemaker_mpi_num_of_processes_per_host"] == "2"
    assert request["ResourceConfig"]["InstanceCount"] == 3


def test_the_debugger_records_what_its_rules_read():
    """Each rule has its evaluator's image, and the hook has the collections of all rules."""
    spec = TrainingSpec(
        debugger=DebuggerSpec(rules=["VanishingGradient", "Overfit"], save_interval=50, backend="aws"),
        profiler=ProfilerSpec(rules=["LowGPUUtilization"], interval_milliseconds=500, backend="aws"),
    )
    request = _training_request(spec)
    rules = request["DebugRuleConfigurations"] + request["ProfilerRuleConfigurations"]
    assert {rule["RuleEvaluatorImage"] for rule in rules} == {IMAGE}
    assert [rule["RuleParameters"]["rule_to_invoke"] for rule in rules] == [
        "VanishingGradient",
        "Overfit",
        "LowGPUUtilization",
    ]
    collections = request["DebugHookConfig"]["CollectionConfigurations"]
    assert {each["CollectionName"] for each in collections} == {"gradients", "losses"}
    assert {each["CollectionParameters"]["save_interval"] for each in collections} == {"50"}
    assert request["ProfilerConfig"]["DisableProfiler"] is False
    assert request["ProfilerConfig"]["S3OutputPath"] == "s3://bucket/jobs/job-1/debugger"


def test_without_a_profiler_sagemaker_measures_nothing():
    """SageMaker's own monitoring, which it starts unasked, is turned off."""
    request = _training_request(TrainingSpec(debugger=DebuggerSpec(rules=["Overfit"])))
    assert request["ProfilerConfig"] == {"DisableProfiler": True}
    assert "DebugHookConfig" not in request


@pytest.mark.parametrize(
    "spec",
    [
        TrainingSpec(debugger=DebuggerSpec(rules=["Overfitt"], backend="aws")),
        TrainingSpec(profiler=ProfilerSpec(rules=["Overfit"], backend="aws")),
    ],
)
def test_a_rule_that_aws_does_not_have_is_refused(spec):
    """A misspelt rule is refused by name, before it costs a failed request."""
    with pytest.raises(SpecError, match="no rule 'Overfit"):
        _training_request(spec)


def test_the_allow_list_reaches_the_endpoint():
    """Hosts that are opened, the number of classes and the size limit travel in the environment."""
    spec = EndpointSpec(allowed_url_hosts=["a.b", "c.d:8080"], top_k=3, environment={"COLOR": "red"})
    environment = _endpoint_requests(spec).model["PrimaryContainer"]["Environment"]
    assert environment["SAGEMAKER_DOGBREED_ALLOWED_URL_HOSTS"] == "a.b,c.d:8080"
    assert environment["SAGEMAKER_DOGBREED_TOP_K"] == "3"
    assert environment["COLOR"] == "red"


def test_everything_carries_the_librarys_tags():
    """Job, model, config and endpoint tell project, run, spec and expiry, beside the user's own tags."""
    requests = _endpoint_requests(EndpointSpec(tags={"team": "dogs"}))
    for request in (_training_request(TrainingSpec(tags={"team": "dogs"})), *requests):
        found = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        assert found["team"] == "dogs"
        assert found[tags.PROJECT] == tags.PROJECT_VALUE
        assert found[tags.RUN] == "job-1"
        assert found[tags.SPEC] == "0a1b"
        assert found[tags.DATASET] == "0a"
        assert expiry(found) == NOW


def test_what_never_expires_says_so():
    """A resource without an end has the tag too, and reads back as one without end."""
    found = {tag["Key"]: tag["Value"] for tag in Origin(run="r", spec_hash="0").tags({})}
    assert found[tags.EXPIRES] == "never"
    assert expiry(found) is None
    assert expiry({tags.EXPIRES: "soon"}) is None


@given(trainings(), trainings())
def test_specs_have_the_same_hash_only_when_they_are_equal(one, other):
    """The hash tells specs apart, and depends on their values alone."""
    assert (spec_hash(one) == spec_hash(other)) == (one == other)
    assert len(spec_hash(one)) == 16


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
