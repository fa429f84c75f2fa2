"""Hyperparameter tuning jobs: created, described, listed, stopped and deleted."""

from __future__ import annotations

import os
from typing import Any

from sagemaker_dogbreed.local import faults, locks, paging, tags
from sagemaker_dogbreed.local.records import State, now, write_json
from sagemaker_dogbreed.local.tuning import request as tuning_request
from sagemaker_dogbreed.local.tuning import status as tuning_status
from sagemaker_dogbreed.local.tuning import trials, warm_start
from sagemaker_dogbreed.local.tuning.status import KIND
from sagemaker_dogbreed.local.workspace import Handler, Parameters, Workspace

_NAME = "HyperParameterTuningJobName"
_STATUS = "HyperParameterTuningJobStatus"
_SUMMARY = (
    _NAME,
    "HyperParameterTuningJobArn",
    _STATUS,
    "CreationTime",
    "HyperParameterTuningEndTime",
    "LastModifiedTime",
)
_BY_NAME = {"SortBy": "Name", "SortOrder": "Ascending"}
_DEFAULT_PAGE = 10


def create(workspace: Workspace, request: Parameters) -> Parameters:
    """Record a tuning job and start the process that runs it."""
    tuning_request.check(request, workspace.store)
    earlier = warm_start.earlier_trials(workspace, request)
    records = workspace.records(KIND)
    name = request[_NAME]
    arn = records.arn(name)
    created = now()
    description = {key: value for key, value in request.items() if key != "Tags"}
    description |= {
        "HyperParameterTuningJobArn": arn,
        _STATUS: "InProgress",
        "CreationTime": created,
        "LastModifiedTime": created,
    }
    local = {"GraceSeconds": workspace.grace_seconds, "Trials": []}
    best = warm_start.best(request, earlier)
    if best is not None:
        local["EarlierBest"] = best
    state = {"Description": description, "Tags": tags.read(request), "Local": local}
    lock = -1
    try:
        with records.new(name, state) as folder:
            write_json(folder / tuning_status.EARLIER, earlier)
            # Held from before the job can be seen, so that it never looks abandoned.
            lock = locks.acquire(folder / tuning_status.SUPERVISOR_LOCK)
        workspace.start("sagemaker_dogbreed.local.tuning.supervisor", records.get(name).folder, lock)
    except FileExistsError:
        raise faults.in_use(
            "Hyperparameter tuning job names must be unique within an AWS account and region, and a tuning "
            f"job with this name already exists ({arn})"
        ) from None
    finally:
        if lock >= 0:
            os.close(lock)
    return {"HyperParameterTuningJobArn": arn}


def describe(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with the tuning job's description, the counts of its trials and the best of them."""
    return tuning_status.answer(_state(workspace, request[_NAME]))


def list_all(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with a page of summaries, by name unless asked otherwise."""
    found = (tuning_status.current(workspace.root, record) for record in workspace.records(KIND).all())
    states = {state["Description"][_NAME]: state for state in found if state is not None}
    listed, more = paging.summaries(
        (state["Description"] for state in states.values()),
        _BY_NAME | request,
        name=_NAME,
        status=_STATUS,
    )
    return {"HyperParameterTuningJobSummaries": [_summary(states[job[_NAME]]) for job in listed], **more}


def list_training_jobs(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with a page of a tuning job's training jobs.

    Sorted by the objective's value, those without one are not listed.
    """
    by = request.get("SortBy", "Name")

    def key(trial: trials.Summary) -> tuple[Any, str]:
        name: str = trial["TrainingJobName"]
        values = {
            "CreationTime": trial["CreationTime"],
            "Status": trial["TrainingJobStatus"],
            "FinalObjectiveMetricValue": trials.objective(trial),
        }
        return values.get(by, name), name

    wanted = request.get("StatusEquals")
    found, token = paging.page(
        (
            trial
            for trial in _state(workspace, request[_NAME])["Local"]["Trials"]
            if wanted in {None, trial["TrainingJobStatus"]}
            and (by != "FinalObjectiveMetricValue" or trials.objective(trial) is not None)
        ),
        key,
        request.get("NextToken"),
        request.get("MaxResults", _DEFAULT_PAGE),
        descending=request.get("SortOrder") == "Descending",
    )
    return {"TrainingJobSummaries": found, **({"NextToken": token} if token else {})}


def stop(workspace: Workspace, request: Parameters) -> Parameters:
    """Ask the tuning job's process to stop it and its trials; one that is stopping is left to it."""
    name = request[_NAME]
    _state(workspace, name)
    with workspace.records(KIND).get(name).update() as state:
        if state is None:
            raise _missing(name)
        if tuning_status.is_over(state):
            status = state["Description"][_STATUS]
            raise faults.invalid(
                f"The request was rejected because the hyperparameter tuning job is in status {status}."
            )
        state["Description"][_STATUS] = "Stopping"
    return {}


def delete(workspace: Workspace, request: Parameters) -> Parameters:
    """Take an ended tuning job away; its training jobs stay."""
    name = request[_NAME]
    state = _state(workspace, name)
    if not tuning_status.is_over(state):
        status = state["Description"][_STATUS]
        raise faults.in_use(f"The hyperparameter tuning job {name} is in status {status}; stop it first")
    workspace.records(KIND).get(name).remove()
    return {}


def _state(workspace: Workspace, name: str) -> State:
    state = tuning_status.current(workspace.root, workspace.records(KIND).get(name))
    if state is None:
        raise _missing(name)
    return state


def _missing(name: str) -> faults.ServiceFault:
    return faults.ServiceFault(
        "ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name {name}."
    )


def _summary(state: State) -> dict[str, Any]:
    description = state["Description"]
    config = description["HyperParameterTuningJobConfig"]
    return {
        **{key: description[key] for key in _SUMMARY if key in description},
        **tuning_status.counters(state),
        "Strategy": config["Strategy"],
        "ResourceLimits": config["ResourceLimits"],
    }


OPERATIONS: dict[str, Handler] = {
    "CreateHyperParameterTuningJob": create,
    "DescribeHyperParameterTuningJob": describe,
    "ListHyperParameterTuningJobs": list_all,
    "ListTrainingJobsForHyperParameterTuningJob": list_training_jobs,
    "StopHyperParameterTuningJob": stop,
    "DeleteHyperParameterTuningJob": delete,
}
