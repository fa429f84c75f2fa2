"""Tuning jobs of the local SageMaker that learn from earlier ones."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from support import eventually
from tuning_support import (
    READ,
    continuous,
    describe,
    trials_of,
    tuning_request,
    value_of,
    wait_for_tuning,
)

from sagemaker_dogbreed.local.service import LocalSageMaker

IDENTICAL, TRANSFER = "IdenticalDataAndAlgorithm", "TransferLearning"


def _warm(request: dict[str, Any], kind: str, *parents: str) -> dict[str, Any]:
    named = [{"HyperParameterTuningJobName": parent} for parent in parents]
    return request | {"WarmStartConfig": {"ParentHyperParameterTuningJobs": named, "WarmStartType": kind}}


def _tune(client: Any, request: dict[str, Any]) -> dict[str, Any]:
    client.create_hyper_parameter_tuning_job(**request)
    return wait_for_tuning(client, request["HyperParameterTuningJobName"])


@pytest.fixture(scope="module")
def parent(service: LocalSageMaker, client: Any) -> dict[str, Any]:
    """A tuning job of the script's loss over a rate from 0 to 1, which has ended."""
    return _tune(client, tuning_request(service, "parent", jobs=3, parallel=3))


def test_an_identical_tuning_job_goes_on_from_its_parent(
    service: LocalSageMaker, client: Any, parent: dict[str, Any]
) -> None:
    """It tries other values under the same seed, and tells the best of both."""
    job = _tune(client, _warm(tuning_request(service, "child", jobs=1), IDENTICAL, "parent"))
    asked = {"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}]}
    assert job["WarmStartConfig"] == asked | {"WarmStartType": IDENTICAL}
    (trial,) = trials_of(client, "child")
    before = [found["TunedHyperParameters"] for found in trials_of(client, "parent")]
    assert trial["TunedHyperParameters"] not in before
    assert job["BestTrainingJob"] == trial
    assert job["OverallBestTrainingJob"] == min([trial, parent["BestTrainingJob"]], key=value_of)


def test_what_the_parent_found_guides_the_search(
    service: LocalSageMaker, client: Any, parent: dict[str, Any]
) -> None:
    """With a parent the seed's choices are others than without: its trials have been taken in."""
    narrow = continuous(low="0.2", high="0.4")
    tried = []
    for name, warm in (("cold", False), ("guided", True)):
        request = tuning_request(service, name, ranges=narrow, jobs=2, Strategy="Bayesian")
        job = _tune(client, _warm(request, TRANSFER, "parent") if warm else request)
        assert "OverallBestTrainingJob" not in job
        tried.append([trial["TunedHyperParameters"] for trial in trials_of(client, name)])
        assert all(0.2 <= float(values["rate"]) <= 0.4 for values in tried[-1])
    assert tried[0] != tried[1]


def test_parents_must_fit(service: LocalSageMaker, client: Any, parent: dict[str, Any]) -> None:
    """A parent that is not there, or that searched for something else, is refused with the difference."""

    def refused(request: dict[str, Any], kind: str, *parents: str) -> str:
        with pytest.raises(ClientError) as caught:
            client.create_hyper_parameter_tuning_job(**_warm(request, kind, *parents))
        assert caught.value.response["Error"]["Code"] == "ValidationException"
        return str(caught.value)

    def request(**changes: Any) -> dict[str, Any]:
        return tuning_request(service, "misfit", **changes)

    assert "there is no tuning job 'nobody'" in refused(request(), IDENTICAL, "nobody")
    assert "differ from each other" in refused(request(), IDENTICAL, "parent", "parent")
    other = {"Type": "Maximize", "MetricName": "Loss"}
    assert "objectives differ" in refused(request(HyperParameterTuningJobObjective=other), TRANSFER, "parent")
    assert "same hyperparameters" in refused(request(ranges=continuous("other")), TRANSFER, "parent")
    image = request()
    image["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"] = "another"
    assert "images differ; TransferLearning allows" in refused(image, IDENTICAL, "parent")
    grid = request(
        ranges={"CategoricalParameterRanges": [{"Name": "rate", "Values": ["1"]}]}, jobs=1, Strategy="Grid"
    )
    assert "Grid strategy" in refused(grid, TRANSFER, "parent")


def test_parents_must_have_ended(service: LocalSageMaker, client: Any) -> None:
    """A tuning job that runs is no parent yet."""
    waits = READ + "    time.sleep(60)\n"
    client.create_hyper_parameter_tuning_job(**tuning_request(service, "runs", waits, jobs=1))
    request = _warm(tuning_request(service, "hasty"), IDENTICAL, "runs")
    with pytest.raises(ClientError, match="'runs' is in status InProgress; wait for its end"):
        client.create_hyper_parameter_tuning_job(**request)
    client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="runs")
    assert eventually(lambda: describe(client, "runs")["HyperParameterTuningJobStatus"] == "Stopped")
