"""Submits training jobs and tuning jobs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from sagemaker_dogbreed.errors import JobError
from sagemaker_dogbreed.jobs.calls import reported
from sagemaker_dogbreed.jobs.creation import create
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS

_SUBMIT_DIRECTORY = "sagemaker_submit_directory"


def submit(
    sagemaker: Any, request: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Send a CreateTrainingJob request.

    A job whose answer was lost on the way is found again; one whose submission is interrupted (Ctrl-C) is
    stopped, for nobody would hold its handle. A role that was just made is waited for, a minute at most.

    Raises:
        JobError: SageMaker refused it or cannot be reached; with the cause and the next step.
    """
    name = request["TrainingJobName"]

    def exists() -> bool:
        found = sagemaker.describe_training_job(TrainingJobName=name)
        return _is_same(request, found, "HyperParameters")

    _submit(
        f"training job {name!r}",
        lambda: create(sagemaker.create_training_job, request, exists, sleep),
        exists,
        lambda: sagemaker.stop_training_job(TrainingJobName=name),
    )


def submit_tuning(
    sagemaker: Any, request: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Send a CreateHyperParameterTuningJob request, as ``submit`` does a training job's.

    Raises:
        JobError: SageMaker refused it or cannot be reached; with the cause and the next step.
    """
    name = {"HyperParameterTuningJobName": request["HyperParameterTuningJobName"]}

    def exists() -> bool:
        found = sagemaker.describe_hyper_parameter_tuning_job(**name)
        definition = found.get("TrainingJobDefinition") or {}
        return _is_same(request["TrainingJobDefinition"], definition, "StaticHyperParameters")

    _submit(
        f"tuning job {request['HyperParameterTuningJobName']!r}",
        lambda: create(sagemaker.create_hyper_parameter_tuning_job, request, exists, sleep),
        exists,
        lambda: sagemaker.stop_hyper_parameter_tuning_job(**name),
    )


def _is_same(asked: Mapping[str, Any], found: Mapping[str, Any], hyperparameters: str) -> bool:
    """Whether a job that is there is the one that was asked for: the same code and role."""
    ours, theirs = asked.get(hyperparameters, {}), found.get(hyperparameters, {})
    is_same_code = theirs.get(_SUBMIT_DIRECTORY) == ours.get(_SUBMIT_DIRECTORY)
    return bool(is_same_code and found.get("RoleArn") == asked["RoleArn"])


def _submit(what: str, send: Callable[[], None], exists: Callable[[], bool], stop: Callable[[], Any]) -> None:
    with reported(JobError, f"{what} was not created"):
        try:
            send()
        except (KeyboardInterrupt, SystemExit) as interrupt:
            with contextlib.suppress(*AWS_ERRORS):
                if exists():
                    stop()
                    interrupt.add_note(f"{what} was created and is stopped again")
            raise
