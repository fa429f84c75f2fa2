"""The status of a training job: what it may be, and how it moves on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from sagemaker_dogbreed.local import locks, records
from sagemaker_dogbreed.local.program import end_left_over
from sagemaker_dogbreed.local.records import Record, State
from sagemaker_dogbreed.local.workspace import abandoned_reason

SUPERVISOR_LOCK = "supervisor.lock"
PROGRAM_LOCK = "program.lock"
UNFINISHED = ("InProgress", "Stopping")

_MESSAGES = {
    "Starting": "Preparing the training job",
    "Downloading": "Downloading input data",
    "Training": "Training is in progress",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds",
}


@attrs.frozen
class Tuning:
    """The tuning job that a training job is a trial of.

    Attributes:
        arn: Of the tuning job.
        values: The hyperparameters that it chose, by name.
        lock: Its supervisor's; a trial does not go on once nobody holds it.
    """

    arn: str
    values: Mapping[str, str]
    lock: Path


def enter(description: dict[str, Any], secondary_status: str, message: str | None = None) -> None:
    """Move the job to a secondary status."""
    now = records.now()
    transitions = description.setdefault("SecondaryStatusTransitions", [])
    if transitions:
        transitions[-1].setdefault("EndTime", now)
    message = _MESSAGES.get(secondary_status, "") if message is None else message
    transitions.append({"Status": secondary_status, "StartTime": now, "StatusMessage": message})
    description["SecondaryStatus"] = secondary_status
    if secondary_status == "Downloading":
        description["TrainingStartTime"] = now


def end(
    description: dict[str, Any], status: str, reason: str | None = None, secondary_status: str | None = None
) -> None:
    """Move the job to a status it stays in: Completed, Failed or Stopped."""
    enter(description, secondary_status or status, reason)
    now = records.now()
    description["SecondaryStatusTransitions"][-1]["EndTime"] = now
    description["TrainingJobStatus"] = status
    description["TrainingEndTime"] = now
    if reason is not None:
        description["FailureReason"] = reason
    if "TrainingStartTime" in description:
        seconds = max(1, round(now - description["TrainingStartTime"]))
        description["TrainingTimeInSeconds"] = description["BillableTimeInSeconds"] = seconds


def is_supervised(folder: Path) -> bool:
    """Return whether the job's supervisor lives."""
    return locks.is_held(folder / SUPERVISOR_LOCK)


def current(record: Record) -> State | None:
    """Return the job's state, after seeing to it that a job nobody runs is not in progress."""
    state = record.read()
    if state is None or not _abandoned(record, state):
        return state
    with record.update() as state:
        # Asked again under the lock: the supervisor may just have reported and ended.
        if state is not None and _abandoned(record, state):
            end_left_over(record.folder / PROGRAM_LOCK)
            end(state["Description"], "Failed", abandoned_reason(record.folder))
    return state


def _abandoned(record: Record, state: State) -> bool:
    unfinished = state["Description"]["TrainingJobStatus"] in UNFINISHED
    return unfinished and not is_supervised(record.folder)
