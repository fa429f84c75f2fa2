"""The training jobs of a tuning job: what is asked for each, and what a tuning job says of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sagemaker_dogbreed.local import training_status
from sagemaker_dogbreed.local.workspace import Parameters

OBJECTIVE_HYPERPARAMETER = "_tuning_objective_metric"
"""Set by SageMaker in every training job of a tuning job."""

Summary = dict[str, Any]
"""A HyperParameterTrainingJobSummary."""

_ALIKE = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "StoppingCondition",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "RetryStrategy",
    "Environment",
)
_SUMMARY = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "TunedHyperParameters",
    "FailureReason",
)


def job_name(tuning_job: str, position: int) -> str:
    """Return a name for a tuning job's training job; ``position`` counts from 1."""
    return f"{tuning_job}-{position:03d}-{secrets.token_hex(4)}"


def training_request(
    name: str,
    config: Parameters,
    definition: Parameters,
    values: Mapping[str, str],
    tags: Mapping[str, str],
) -> Parameters:
    """Return the CreateTrainingJob request of a trial.

    Args:
        name: Of the training job.
        config: The tuning job's HyperParameterTuningJobConfig.
        definition: The tuning job's TrainingJobDefinition.
        values: The hyperparameters that the search chose.
        tags: The tuning job's; its training jobs have them too.
    """
    request = {member: definition[member] for member in _ALIKE if member in definition}
    request |= {
        "TrainingJobName": name,
        "HyperParameters": {
            **definition.get("StaticHyperParameters", {}),
            **values,
            OBJECTIVE_HYPERPARAMETER: config["HyperParameterTuningJobObjective"]["MetricName"],
        },
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    tuning_resources = definition.get("HyperParameterTuningResourceConfig")
    if tuning_resources is not None:
        first = tuning_resources.get("InstanceConfigs", [{}])[0]
        own = {key: value for key, value in tuning_resources.items() if key in _RESOURCES}
        request["ResourceConfig"] = {**first, **own}
    elif "ResourceConfig" in definition:
        request["ResourceConfig"] = definition["ResourceConfig"]
    if "CheckpointConfig" in definition:
        # A folder each: a trial must not go on from where another one with other values has been.
        checkpoints = definition["CheckpointConfig"]
        uri = f"{checkpoints['S3Uri'].removesuffix('/')}/{name}"
        request["CheckpointConfig"] = {**checkpoints, "S3Uri": uri}
    return request


_RESOURCES = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")


def summary(job: Mapping[str, Any], metric: str) -> Summary:
    """Return what a tuning job says of a training job, from the latter's description.

    The objective is the last value that the job has logged; a job that was stopped has one too.
    """
    found: Summary = {key: job[key] for key in _SUMMARY if key in job}
    status = job["TrainingJobStatus"]
    if status in training_status.UNFINISHED:
        return found | {"ObjectiveStatus": "Pending"}
    values = [item["Value"] for item in job.get("FinalMetricDataList", []) if item["MetricName"] == metric]
    if status == "Failed" or not values:
        return found | {"ObjectiveStatus": "Failed"}
    objective = {"MetricName": metric, "Value": values[0]}
    return found | {"ObjectiveStatus": "Succeeded", "FinalHyperParameterTuningJobObjectiveMetric": objective}


def failed(before: Summary, reason: str, time: float) -> Summary:
    """Return the summary of a trial whose training job is not there to be asked."""
    return before | {
        "TrainingJobStatus": "Failed",
        "TrainingEndTime": time,
        "FailureReason": reason,
        "ObjectiveStatus": "Failed",
    }


def is_running(trial: Summary) -> bool:
    """Return whether a trial has not ended."""
    return trial["TrainingJobStatus"] in training_status.UNFINISHED


def objective(trial: Summary) -> float | None:
    """Return the objective's final value, None where there is none."""
    metric = trial.get("FinalHyperParameterTuningJobObjectiveMetric")
    return None if metric is None else float(metric["Value"])


def best(summaries: list[Summary], *, minimize: bool) -> Summary | None:
    """Return the trial with the best objective, the first of several alike."""
    found = [trial for trial in summaries if objective(trial) is not None]
    sign = 1 if minimize else -1
    return min(found, key=lambda trial: sign * (objective(trial) or 0.0), default=None)


def by_end(summaries: list[Summary]) -> list[Summary]:
    """Return the trials that have ended, in that order."""
    ended = [trial for trial in summaries if not is_running(trial)]
    return sorted(ended, key=lambda trial: float(trial["TrainingEndTime"]))
