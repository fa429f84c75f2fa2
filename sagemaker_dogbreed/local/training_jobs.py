"""Training jobs: created, described, listed, stopped and deleted."""

from __future__ import annotations

import os
from typing import Any

from sagemaker_dogbreed.local import faults, locks, paging, tags, training_request, training_status
from sagemaker_dogbreed.local.records import now
from sagemaker_dogbreed.local.workspace import Handler, Parameters, Workspace

KIND = "training-job"
_NAME = "TrainingJobName"
_SUMMARY = (
    _NAME,
    "TrainingJobArn",
    "CreationTime",
    "TrainingEndTime",
    "LastModifiedTime",
    "TrainingJobStatus",
    "SecondaryStatus",
)


def create(
    workspace: Workspace, request: Parameters, *, tuning: training_status.Tuning | None = None
) -> Parameters:
    """Record a job and start the process that runs it; ``tuning`` is the tuning job that it is a trial of."""
    training_request.check(request, workspace.store)
    records = workspace.records(KIND)
    name = request[_NAME]
    arn = records.arn(name)
    created = now()
    description = {key: value for key, value in request.items() if key != "Tags"}
    description |= {
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "CreationTime": created,
        "LastModifiedTime": created,
    }
    local: dict[str, Any] = {"GraceSeconds": workspace.grace_seconds}
    if tuning is not None:
        description |= {"TuningJobArn": tuning.arn, "TunedHyperParameters": dict(tuning.values)}
        local["TuningLock"] = str(tuning.lock)
    training_status.enter(description, "Starting")
    state = {"Description": description, "Tags": tags.read(request), "Local": local}
    lock = -1
    try:
        with records.new(name, state) as folder:
            # Held from before the job can be seen, so that it never looks abandoned.
            lock = locks.acquire(folder / training_status.SUPERVISOR_LOCK)
        workspace.start("sagemaker_dogbreed.local.supervisor", records.get(name).folder, lock)
    except FileExistsError:
        raise faults.in_use(
            f"Job name must be unique within an AWS account and region, and a job with this name "
            f"already exists ({arn})"
        ) from None
    finally:
        if lock >= 0:
            os.close(lock)
    return {"TrainingJobArn": arn}


def describe(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with the job's description."""
    return _description(workspace, request[_NAME])


def list_all(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with a page of summaries."""
    states = (training_status.current(record) for record in workspace.records(KIND).all())
    found, more = paging.summaries(
        (state["Description"] for state in states if state is not None),
        request,
        name=_NAME,
        status="TrainingJobStatus",
    )
    return {
        "TrainingJobSummaries": [{key: job[key] for key in _SUMMARY if key in job} for job in found],
        **more,
    }


def stop(workspace: Workspace, request: Parameters) -> Parameters:
    """Ask the job's process to stop it; a job that is stopping already is left to it."""
    name = request[_NAME]
    _description(workspace, name)
    with workspace.records(KIND).get(name).update() as state:
        if state is None:
            raise _missing(workspace, name)
        description = state["Description"]
        status = description["TrainingJobStatus"]
        if status not in training_status.UNFINISHED:
            raise faults.invalid(f"The request was rejected because the training job is in status {status}.")
        if status == "InProgress":
            description["TrainingJobStatus"] = "Stopping"
            training_status.enter(description, "Stopping")
    return {}


def delete(workspace: Workspace, request: Parameters) -> Parameters:
    """Take an ended job and its folders away; what it stored in S3 and its log stay."""
    name = request[_NAME]
    status = _description(workspace, name)["TrainingJobStatus"]
    if status in training_status.UNFINISHED:
        raise faults.in_use(f"The training job {name} is in status {status}; stop it first")
    workspace.records(KIND).get(name).remove()
    return {}


def _description(workspace: Workspace, name: str) -> dict[str, Any]:
    state = training_status.current(workspace.records(KIND).get(name))
    if state is None:
        raise _missing(workspace, name)
    description: dict[str, Any] = state["Description"]
    return description


def _missing(workspace: Workspace, name: str) -> faults.ServiceFault:
    arn = workspace.records(KIND).arn(name)
    return faults.invalid(f'Could not find training job "{arn}". Requested resource not found.')


OPERATIONS: dict[str, Handler] = {
    "CreateTrainingJob": create,
    "DescribeTrainingJob": describe,
    "ListTrainingJobs": list_all,
    "StopTrainingJob": stop,
    "DeleteTrainingJob": delete,
}
