"""What the local SageMaker accepts as a tuning job, and the words in which it refuses the rest."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from tuning_support import categorical, continuous, tuning_request

from sagemaker_dogbreed.container.tuning.completion import criterion, not_improving
from sagemaker_dogbreed.local.faults import ServiceFault
from sagemaker_dogbreed.local.service import LocalSageMaker
from sagemaker_dogbreed.local.tuning import request as requests
from sagemaker_dogbreed.local.tuning import trials

Change = Callable[[dict[str, Any]], Any]


def _refused(client: Any, request: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        client.create_hyper_parameter_tuning_job(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def _config(**members: Any) -> Change:
    return lambda request: request["HyperParameterTuningJobConfig"].update(members)


def _limits(**members: Any) -> Change:
    return lambda request: request["HyperParameterTuningJobConfig"]["ResourceLimits"].update(members)


def _definition(**members: Any) -> Change:
    return lambda request: request["TrainingJobDefinition"].update(members)


def _static(**members: str) -> Change:
    return lambda request: request["TrainingJobDefinition"]["StaticHyperParameters"].update(members)


def _integers(low: str, high: str, scaling: str = "Auto") -> dict[str, Any]:
    one = {"Name": "depth", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {"IntegerParameterRanges": [one]}


HYPERBAND = {"HyperbandStrategyConfig": {"MinResource": 3, "MaxResource": 2}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda request: request.pop("TrainingJobDefinition"), "required member: TrainingJobDefinition"),
        (lambda request: request.update(Autotune={"Mode": "Enabled"}), "Autotune cannot be used"),
        (
            lambda request: request["HyperParameterTuningJobConfig"].pop("HyperParameterTuningJobObjective"),
            "Missing required member: HyperParameterTuningJobConfig.HyperParameterTuningJobObjective",
        ),
        (
            _config(HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": "Other"}),
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the",
        ),
        (_definition(HyperParameterRanges=continuous()), "HyperParameterRanges is for tuning jobs with"),
        (_config(ParameterRanges={}), "at least one hyperparameter must have a range"),
        (_config(ParameterRanges=continuous(low="1", high="0")), "rate: min .1.0. must not be more than max"),
        (_config(ParameterRanges=continuous(low="one")), "rate: min and max must be numbers, got 'one'"),
        (_config(ParameterRanges=continuous(high="inf")), "rate: min and max must be finite"),
        (_config(ParameterRanges=continuous(low="nan")), "rate: min and max must be finite"),
        (_config(ParameterRanges=continuous(scaling="Logarithmic")), "min must be above 0 with Logarithmic"),
        (_config(ParameterRanges=continuous(scaling="ReverseLogarithmic")), "0 <= min and max < 1"),
        (_config(ParameterRanges=_integers("1", "2.5")), "depth: min and max must be whole numbers"),
        (_config(ParameterRanges=_integers("0", "2", "ReverseLogarithmic")), "for Continuous ranges"),
        (_config(ParameterRanges=categorical(kind=["a", "a"])), "kind: values must differ"),
        (
            _config(ParameterRanges=continuous("depth") | _integers("1", "9")),
            "the hyperparameter 'depth' comes more than once",
        ),
        (
            _config(ParameterRanges={"AutoParameters": [{"Name": "a", "ValueHint": "1"}]}),
            "AutoParameters cannot be used",
        ),
        (_static(rate="0.1"), "rate are in both ParameterRanges and StaticHyperParameters"),
        (_static(_tuning_objective_metric="Loss"), "_tuning_objective_metric is a hyperparameter that"),
        (_static(**{f"h{n}": "1" for n in range(98)}), "at most 100 hyperparameters"),
        (_limits(MaxParallelTrainingJobs=4), "MaxParallelTrainingJobs .4. is more than"),
        (_config(ParameterRanges=_integers("1", "2")), r"don't have enough combinations .* \[2.0\] must be"),
        (
            _config(ResourceLimits={"MaxParallelTrainingJobs": 1}),
            "ResourceLimits must have MaxNumberOfTrainingJobs or MaxRuntimeInSeconds",
        ),
        (_config(Strategy="Grid"), "Grid strategy takes CategoricalParameterRanges only"),
        (
            _config(Strategy="Grid", ParameterRanges=categorical(a=["1", "2"])),
            r"MaxNumberOfTrainingJobs \(3\) must be the number of combinations of the Grid strategy \(2\)",
        ),
        (
            _config(Strategy="Grid", ParameterRanges=categorical(**dict.fromkeys("xyz", "abcdefghij"))),
            "1000 combinations of values; a tuning job runs at most 750",
        ),
        (_config(Strategy="Hyperband"), "MaxResource parameter is not provided and could not be inferred"),
        (_config(Strategy="Hyperband", StrategyConfig=HYPERBAND), r"MinResource \(3\) is more than"),
        (
            _config(Strategy="Hyperband", TrainingJobEarlyStoppingType="Auto"),
            "TrainingJobEarlyStoppingType must be Off with the Hyperband strategy",
        ),
        (_config(StrategyConfig=HYPERBAND), "StrategyConfig is for the Hyperband strategy only"),
        (
            _config(TuningJobCompletionCriteria={"TargetObjectiveMetricValue": float("nan")}),
            "TargetObjectiveMetricValue must be finite",
        ),
        (_definition(ResourceConfig={"InstanceCount": 2, "InstanceType": "ml.m5.large"}), "must be 1"),
        (_definition(EnableManagedSpotTraining=True), "Invalid MaxWaitTimeInSeconds"),
        (lambda request: request["TrainingJobDefinition"].pop("ResourceConfig"), "member: ResourceConfig"),
    ],
)  # fmt: skip
def test_requests_that_are_refused(
    service: LocalSageMaker, client: Any, change: Change, message: str
) -> None:
    """Each is a ValidationException that names the member, and nothing is recorded."""
    request = tuning_request(service, "refused")
    change(request)
    code, said = _refused(client, request)
    assert code == "ValidationException"
    assert re.search(message, said), said
    assert not (service.root / "hyper-parameter-tuning-job").exists()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"MaxNumberOfTrainingJobs": 751}, "ResourceLimits.MaxNumberOfTrainingJobs is 751; at most 750"),
        ({"MaxParallelTrainingJobs": 101}, "ResourceLimits.MaxParallelTrainingJobs is 101; at most 100"),
    ],
)
def test_limits_of_the_service(
    service: LocalSageMaker, client: Any, limits: dict[str, int], message: str
) -> None:
    """What is over SageMaker's own limits is a ResourceLimitExceeded."""
    request = tuning_request(service, "too-much")
    _limits(**limits)(request)
    assert _refused(client, request) == ("ResourceLimitExceeded", message)


def test_several_definitions_are_beyond_this_machine(service: LocalSageMaker, client: Any) -> None:
    """A tuning job over several algorithms is refused by name."""
    request = tuning_request(service, "several")
    request["TrainingJobDefinitions"] = [request.pop("TrainingJobDefinition")]
    assert "TrainingJobDefinitions cannot be used" in _refused(client, request)[1]


def test_without_optuna_the_way_out_is_told(
    service: LocalSageMaker, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the search's package is not installed, the message says what installs it."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, message = _refused(client, tuning_request(service, "no-optuna"))
    assert code == "ValidationException"
    assert "pip install 'sagemaker-dogbreed[local]'" in message


def test_hyperband_takes_its_epochs_from_the_static_ones() -> None:
    """As on AWS, the greatest resource is the number of epochs where the request states none."""
    assert requests.resources({}, {"StaticHyperParameters": {"epochs": '"9"'}}) == (1, 9)
    stated = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 4}}}
    assert requests.resources(stated, {"StaticHyperParameters": {"epochs": "9"}}) == (2, 4)


@given(text=st.text(max_size=12))
def test_any_text_of_epochs_is_a_number_or_refused(text: str) -> None:
    """Whatever the hyperparameter holds, it is at least one epoch or a ServiceFault."""
    try:
        least, most = requests.resources({}, {"StaticHyperParameters": {"epochs": text}})
    except ServiceFault:
        return
    assert 1 <= least <= most


@given(low=st.text(max_size=20), high=st.text(max_size=20), scaling=st.sampled_from(["Auto", "Linear"]))
def test_any_texts_of_a_range_are_numbers_or_refused(low: str, high: str, scaling: str) -> None:
    """Whatever the ends hold, the range is in order or a ServiceFault."""
    try:
        (dimension,) = requests.dimensions(
            {"ParameterRanges": continuous(low=low, high=high, scaling=scaling)}
        )
    except ServiceFault:
        return
    assert float("-inf") < dimension.low <= dimension.high < float("inf")


def test_an_improvement_is_of_at_least_one_percent() -> None:
    """Trials that are hardly better count as not improving, in either direction."""
    assert not_improving([], minimize=True) == 0
    assert not_improving([1.0, 0.995, 0.992], minimize=True) == 2
    assert not_improving([1.0, 0.98], minimize=True) == 0
    assert not_improving([0.5, 0.6, 0.55], minimize=False) == 1


@pytest.mark.parametrize(
    ("config", "values", "seconds", "expected"),
    [
        ({}, [1.0] * 20, 1e6, None),
        ({"ResourceLimits": {"MaxRuntimeInSeconds": 120}}, [], 119.0, None),
        ({"ResourceLimits": {"MaxRuntimeInSeconds": 120}}, [], 120.0, "MaxRuntimeInSeconds"),
        ({"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.9}}, [0.8, 0.89], 0, None),
        (
            {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.9}},
            [0.8, 0.9],
            0,
            "TargetObjectiveMetricValue",
        ),
        (
            {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}},
            [0.5] * 11,
            0,
            "ConvergenceDetected",
        ),
        (
            {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Disabled"}}},
            [0.5] * 11,
            0,
            None,
        ),
    ],
)
def test_completion_criteria(
    config: dict[str, Any], values: list[float], seconds: float, expected: str | None
) -> None:
    """Each is met at its value and not before; here more is better."""
    objective = {"Type": "Maximize", "MetricName": "Top-1"}
    whole = {"HyperParameterTuningJobObjective": objective, "ResourceLimits": {}, **config}
    assert criterion(whole, values, seconds) == expected


def test_the_resources_of_several_instance_types() -> None:
    """Where instance types are listed by preference, this machine takes the first."""
    first = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    definition = {
        "HyperParameterTuningResourceConfig": {
            "AllocationStrategy": "Prioritized",
            "InstanceConfigs": [first, {**first, "InstanceType": "ml.m5.xlarge"}],
            "VolumeKmsKeyId": "key",
        }
    }
    config = {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "Loss"}}
    request = trials.training_request("name", config, definition, {}, {})
    assert request["ResourceConfig"] == {**first, "VolumeKmsKeyId": "key"}
