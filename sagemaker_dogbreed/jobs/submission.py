"""Submits training jobs."""

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
        asked = request.get("HyperParameters", {})
        is_same_code = found.get("HyperParameters", {}).get(_SUBMIT_DIRECTORY) == asked.get(_SUBMIT_DIRECTORY)
        return bool(is_same_code and found.get("RoleArn") == request["RoleArn"])

    with reported(JobError, f"training job {name!r} was not created"):
        try:
            create(sagemaker.create_training_job, request, exists, sleep)
        except (KeyboardInterrupt, SystemExit) as interrupt:
            with contextlib.suppress(*AWS_ERRORS):
                if exists():
                    sagemaker.stop_training_job(TrainingJobName=name)
                    interrupt.add_note(f"training job {name!r} was created and is stopped again")
            raise
