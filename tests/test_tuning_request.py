"""Every valid search makes a request that SageMaker's model accepts, and loses nothing of the training."""

from __future__ import annotations

import attrs
import botocore.session
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_requests import IMAGE, ORIGIN, ROLE, _check, trainings

from sagemaker_dogbreed import (
    CategoricalRange,
    ComputeSpec,
    ContinuousRange,
    DebuggerSpec,
    IntegerRange,
    NetworkSpec,
    ProfilerSpec,
    SpecError,
    TrainingSpec,
    TuningSpec,
)
from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.container.debugging.settings import DEBUGGER, PROFILER
from sagemaker_dogbreed.container.environment import CHECKPOINTS_BY_JOB
from sagemaker_dogbreed.drafts import data_channels
from sagemaker_dogbreed.requests.names import is_tuning_job_name, unique_name
from sagemaker_dogbreed.requests.training_job import TrainingLocations, create_training_job
from sagemaker_dogbreed.requests.tuning_job import create_single_job_tuning, create_tuning_job

SERVICE = botocore.session.Session().get_service_model("sagemaker")
LOCATIONS = TrainingLocations(
    role=ROLE,
    image_uri=IMAGE,
    source_archive_uri="s3://bucket/code/0a/sourcedir.tar.gz",
    channels=data_channels("s3://bucket/data/dogs/0a", "prefix"),
    output_uri="s3://bucket/jobs",
    checkpoint_uri="s3://bucket/jobs/dogs/checkpoints",
)


def _request(tuning=None, training=None):
    request = create_tuning_job(tuning or TuningSpec(), training or TrainingSpec(), "dogs", LOCATIONS, ORIGIN)
    _check("CreateHyperParameterTuningJob", request)
    return request


def _config(**fields):
    return _request(TuningSpec(**fields))["HyperParameterTuningJobConfig"]


rates = st.floats(1e-6, 1).flatmap(
    lambda low: st.builds(
        ContinuousRange,
        min=st.just(low),
        max=st.floats(low * 1.5, 100),
        scaling=st.sampled_from(["Auto", "Linear", "Logarithmic"]),
    )
)
searches = st.fixed_dictionaries(
    {"learning_rate": rates},
    optional={
        "batch_size": st.lists(st.integers(1, 4096), min_size=1, max_size=30, unique=True).map(
            lambda values: CategoricalRange(values=values)
        ),
        "epochs": st.just(IntegerRange(min=1, max=99)),
        "optimizer": st.just(CategoricalRange(values=["adam", "sgd"])),
    },
)


@st.composite
def tunings(draw):
    most = draw(st.integers(1, 750))
    strategy = draw(st.sampled_from(["Bayesian", "Random", "Hyperband"]))
    return TuningSpec(
        objective="valid_loss",
        ranges=draw(searches),
        max_jobs=most,
        max_parallel_jobs=draw(st.integers(1, min(most, 100))),
        strategy=strategy,
        early_stopping=strategy != "Hyperband" and draw(st.booleans()),
        seed=draw(st.none() | st.integers(0, 2**31 - 1)),
        target_value=draw(st.none() | st.floats(-10, 10)),
        no_improvement_jobs=draw(st.none() | st.integers(3, 750)),
        until_converged=draw(st.booleans()),
        max_runtime_seconds=draw(st.none() | st.integers(120, 15_768_000)),
        max_epochs=draw(st.none() | st.integers(1, 10_000)) if strategy == "Hyperband" else None,
        warm_start=draw(
            st.lists(st.from_regex(r"[a-z][a-z0-9]{0,31}", fullmatch=True), max_size=5, unique=True)
        ),
        warm_start_type=draw(st.sampled_from(["IdenticalDataAndAlgorithm", "TransferLearning"])),
        tags=draw(
            st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text("xyz", max_size=3), max_size=5)
        ),
    )


@settings(max_examples=60)
@given(tunings(), trainings())
def test_every_valid_search_makes_a_valid_request(tuning, training):
    """The model of botocore accepts it, and what the model leaves to the service is within its limits."""
    training = attrs.evolve(training, debugger=None, profiler=None)
    request = _request(tuning, training)
    static = request["TrainingJobDefinition"]["StaticHyperParameters"]
    assert not set(static) & set(tuning.ranges)
    assert {*hparams.names(), DEBUGGER, PROFILER} - set(tuning.ranges) >= set(static) - {
        name for name in static if name.startswith("sagemaker_")
    }


EVERYTHING = TrainingSpec(
    weights="s3://bucket/weights/resnet.pth",
    epochs=7,
    compute=ComputeSpec(
        spot=True,
        instance_count=2,
        distribution="torchrun",
        processes_per_instance=2,
        volume_size_gb=50,
        max_runtime_seconds=3600,
        max_retries=2,
    ),
    network=NetworkSpec(
        subnets=["subnet-0a"], security_group_ids=["sg-0b"], isolation=True, encrypt_traffic=True
    ),
    environment={"COLOUR": "red"},
    input_mode="FastFile",
    metric_definitions={"Speed": "speed=(.*)"},
    volume_kms_key="alias/disk",
    output_kms_key="alias/output",
    tags={"team": "dogs"},
)


@pytest.mark.parametrize("training", [EVERYTHING, TrainingSpec(compute=ComputeSpec(keep_alive_seconds=600))])
def test_nothing_of_the_training_is_lost(training):
    """Each member of the training job's request is in the trials', as it was; the search is taken out."""
    alone = create_training_job(training, "dogs", LOCATIONS, ORIGIN)
    request = _request(TuningSpec(), training)
    definition = request["TrainingJobDefinition"]
    for name, value in alone.items():
        if name in SERVICE.shape_for("HyperParameterTrainingJobDefinition").members and name != "Environment":
            assert definition[name] == value
    assert definition["Environment"] == {**alone["Environment"], CHECKPOINTS_BY_JOB: "1"}
    searched = {"learning_rate", "batch_size"}
    expected = {name: value for name, value in alone["HyperParameters"].items() if name not in searched}
    assert definition["StaticHyperParameters"] == expected
    assert expected["sagemaker_program"] == "train.py"
    assert expected["sagemaker_submit_directory"] == LOCATIONS.source_archive_uri
    assert request["Tags"] == alone["Tags"]
    gone = set(alone) - set(definition) - {"TrainingJobName", "HyperParameters", "Tags"}
    assert gone == {"ProfilerConfig"}  # which says that there is none


def test_the_reference_search_is_stated_exactly():
    """Learning rate 0.001 to 0.1, five batch sizes as texts, the smallest test loss, four trials."""
    assert _config() == {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "Test Loss"},
        "ResourceLimits": {"MaxParallelTrainingJobs": 1, "MaxNumberOfTrainingJobs": 4},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {
                    "Name": "learning_rate",
                    "MinValue": "0.001",
                    "MaxValue": "0.1",
                    "ScalingType": "Logarithmic",
                }
            ],
            "CategoricalParameterRanges": [
                {"Name": "batch_size", "Values": ["32", "64", "128", "256", "512"]}
            ],
        },
        "TrainingJobEarlyStoppingType": "Off",
    }


def test_a_grid_states_no_number_of_jobs():
    """The number follows from the values, and no more jobs run at a time than there are."""
    sizes = {"batch_size": CategoricalRange(values=[32, 64])}
    limits = _config(strategy="Grid", ranges=sizes, max_jobs=9, max_parallel_jobs=9)["ResourceLimits"]
    assert limits == {"MaxParallelTrainingJobs": 2}


@pytest.mark.parametrize(
    ("fields", "epochs"),
    [
        ({}, (1, 20)),
        ({"min_epochs": 3, "max_epochs": 9}, (3, 9)),
        ({"ranges": {"epochs": IntegerRange(min=1, max=30)}}, (1, 30)),
        ({"ranges": {"epochs": CategoricalRange(values=[5, 40, 10, 20])}}, (1, 40)),
    ],
)
def test_hyperband_is_told_the_epochs(fields, epochs):
    """Its resources are epochs: the spec's, or as many as a trial may have; it stops trials by itself."""
    config = _config(strategy="Hyperband", objective="valid_loss", **fields)
    least, most = epochs
    assert config["StrategyConfig"]["HyperbandStrategyConfig"] == {"MinResource": least, "MaxResource": most}
    assert config["TrainingJobEarlyStoppingType"] == "Off"


def test_what_ends_a_search_is_told():
    """Early stopping, seed, target, patience, convergence, time and earlier tuning jobs."""
    tuning = TuningSpec(
        objective="valid_top_1",
        early_stopping=True,
        seed=7,
        target_value=0.9,
        no_improvement_jobs=5,
        until_converged=True,
        max_runtime_seconds=3600,
        warm_start=["a", "b"],
        warm_start_type="TransferLearning",
    )
    request = _request(tuning)
    config = request["HyperParameterTuningJobConfig"]
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    assert config["RandomSeed"] == 7
    assert config["ResourceLimits"]["MaxRuntimeInSeconds"] == 3600
    assert config["TuningJobCompletionCriteria"] == {
        "TargetObjectiveMetricValue": 0.9,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 5},
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
    }
    assert request["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": "a"},
            {"HyperParameterTuningJobName": "b"},
        ],
        "WarmStartType": "TransferLearning",
    }


@pytest.mark.parametrize(
    ("tuning", "training", "words"),
    [
        (
            TuningSpec(),
            TrainingSpec(debugger=DebuggerSpec(backend="aws")),
            "training.debugger .* debugger=None",
        ),
        (
            TuningSpec(),
            TrainingSpec(profiler=ProfilerSpec(backend="aws")),
            "training.profiler .* profiler=None",
        ),
        (
            TuningSpec(strategy="Hyperband", objective="valid_loss", min_epochs=30),
            TrainingSpec(),
            r"min_epochs \(30\)",
        ),
        (
            TuningSpec(tags={f"a{n}": "" for n in range(23)}),
            TrainingSpec(tags={f"b{n}": "" for n in range(23)}),
            "45 entries together",
        ),
        (
            TuningSpec(execution="single_job"),
            TrainingSpec(network=NetworkSpec(isolation=True), weights="none", finetune="full"),
            "isolation prevents: give training.image_uri",
        ),
    ],
    ids=["debugger", "profiler", "epochs", "tags", "isolation"],
)
def test_what_trials_cannot_have_is_refused_by_name(tuning, training, words):
    """The message names the field and the way out."""
    with pytest.raises(SpecError, match=words):
        _request(tuning, training)


def test_one_job_has_the_search_as_a_hyperparameter():
    """It is the training's request, less what is searched, and the search whole."""
    tuning = TuningSpec(execution="single_job", max_jobs=20, target_value=0.5, tags={"purpose": "learning"})
    training = TrainingSpec(compute=ComputeSpec(spot=True), tags={"team": "dogs"})
    request = create_single_job_tuning(tuning, training, "dogs", LOCATIONS, ORIGIN)
    _check("CreateTrainingJob", request)
    values = request["HyperParameters"]
    assert hparams.read_tuning(values["tuning"]) == _config(
        **{**attrs.asdict(tuning, recurse=False), "execution": "service"}
    )
    alone = create_training_job(training, "dogs", LOCATIONS, ORIGIN)
    searched = {"learning_rate", "batch_size"}
    assert set(alone["HyperParameters"]) - set(values) == searched
    assert set(values) - set(alone["HyperParameters"]) == {"tuning"}
    assert {name: value for name, value in request.items() if name not in {"HyperParameters", "Tags"}} == {
        name: value for name, value in alone.items() if name not in {"HyperParameters", "Tags"}
    }
    told = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert (told["team"], told["purpose"]) == ("dogs", "learning")


def test_a_search_too_long_for_a_hyperparameter_is_refused():
    """SageMaker's hyperparameters have 2,500 characters at most."""
    many = CategoricalRange(values=[f"backbone_of_a_very_long_name_{n:02}" * 3 for n in range(30)])
    tuning = TuningSpec(execution="single_job", ranges={"backbone": many})
    with pytest.raises(SpecError, match="execution: service"):
        create_single_job_tuning(tuning, TrainingSpec(), "dogs", LOCATIONS, ORIGIN)


def test_rules_too_long_for_a_hyperparameter_are_refused():
    """The job would be refused by SageMaker, with less to go by."""
    collections = {f"collection_{number}": {"include_regex": "x" * 200} for number in range(20)}
    spec = TrainingSpec(debugger=DebuggerSpec(hook="smdebug", collections=collections))
    with pytest.raises(SpecError, match=r"debugger: .* of 2,500 at most"):
        create_training_job(spec, "dogs", LOCATIONS, ORIGIN)


@given(st.text(max_size=80))
def test_a_tuning_jobs_name_leaves_room_for_its_trials(base):
    """A name has 32 characters at most, and begins with the base as far as that goes."""
    name = unique_name(base, longest=32)
    assert is_tuning_job_name(name)
