"""What the tests of tuning jobs share: requests whose trials need no torch, and waiting for the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from support import eventually, training_request

from sagemaker_dogbreed.local.service import LocalSageMaker

READ = """
    import sys, time
    def given(name):
        return sys.argv[sys.argv.index("--" + name) + 1]
    def say(loss):
        print("Loss:", loss, flush=True)
"""
SQUARE = READ + "    say((float(given('rate')) - 0.3) ** 2)\n"
"""A trial whose loss is least at a rate of 0.3."""


def continuous(name: str = "rate", low: str = "0", high: str = "1", scaling: str = "Auto") -> dict[str, Any]:
    """Return ParameterRanges of one continuous range."""
    one = {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {"ContinuousParameterRanges": [one]}


def categorical(**values: Sequence[str]) -> dict[str, Any]:
    """Return ParameterRanges of categorical ranges."""
    named = [{"Name": name, "Values": list(found)} for name, found in values.items()]
    return {"CategoricalParameterRanges": named}


def tuning_request(
    service: LocalSageMaker,
    name: str,
    script: str = SQUARE,
    *,
    ranges: Mapping[str, Any] | None = None,
    jobs: int | None = 3,
    parallel: int = 1,
    definition: Mapping[str, Any] | None = None,
    **config: Any,
) -> dict[str, Any]:
    """Return a CreateHyperParameterTuningJob request for a script, whose code is stored."""
    training = training_request(service, name, script)
    del training["TrainingJobName"]
    training["StaticHyperParameters"] = training.pop("HyperParameters")
    training["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "Loss", "Regex": "Loss: ([-0-9.e]+)"}]
    limits = {"MaxParallelTrainingJobs": parallel}
    if jobs is not None:
        limits["MaxNumberOfTrainingJobs"] = jobs
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "Loss"},
            "ResourceLimits": limits,
            "ParameterRanges": continuous() if ranges is None else ranges,
            "RandomSeed": 1,
            **config,
        },
        "TrainingJobDefinition": training | (definition or {}),
    }


def describe(client: Any, name: str) -> dict[str, Any]:
    """Return what the tuning job's description is now."""
    found: dict[str, Any] = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    return found


def trials_of(client: Any, name: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the first hundred training jobs of a tuning job, by name."""
    parameters = {"HyperParameterTuningJobName": name, "MaxResults": 100, **parameters}
    found: list[dict[str, Any]] = client.list_training_jobs_for_hyper_parameter_tuning_job(**parameters)[
        "TrainingJobSummaries"
    ]
    return found


def wait_for_tuning(client: Any, name: str, seconds: float = 60.0) -> dict[str, Any]:
    """Return the description of a tuning job that has ended."""

    def ended() -> dict[str, Any] | None:
        job = describe(client, name)
        return job if job["HyperParameterTuningJobStatus"] not in {"InProgress", "Stopping"} else None

    found: dict[str, Any] = eventually(ended, seconds)
    return found


def value_of(trial: Mapping[str, Any]) -> float:
    """Return a trial's objective."""
    return float(trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
