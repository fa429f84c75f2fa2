"""The state of a tuning job: how it ends, and what Describe answers from it.

The record's ``Local`` holds ``Trials``, a summary of each training job in the order of their starts,
and ``EarlierBest``, the best trial of the tuning jobs it was warmly started from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sagemaker_dogbreed.container.tuning.completion import not_improving
from sagemaker_dogbreed.container.tuning.configuration import is_minimized
from sagemaker_dogbreed.local import locks, records, training_jobs, training_status
from sagemaker_dogbreed.local.records import Record, Records, State
from sagemaker_dogbreed.local.tuning import trials
from sagemaker_dogbreed.local.workspace import abandoned_reason

KIND = "hyper-parameter-tuning-job"
SUPERVISOR_LOCK = training_status.SUPERVISOR_LOCK
UNFINISHED = ("InProgress", "Stopping")
EARLIER = "earlier.json"

_TRAINING_COUNTERS = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
_OBJECTIVE_COUNTERS = ("Succeeded", "Pending", "Failed")


def end(description: dict[str, Any], status: str, reason: str | None = None) -> None:
    """Move the job to a status it stays in: Completed, Failed or Stopped."""
    description["HyperParameterTuningJobStatus"] = status
    description["HyperParameterTuningEndTime"] = records.now()
    if reason is not None:
        description["FailureReason"] = reason


def current(root: Path, record: Record) -> State | None:
    """Return the job's state with its trials as they are now.

    A job that nobody runs is not in progress: it has failed, and its trials, which stop when its
    process is gone, are asked for how they ended.
    """
    state = record.read()
    if state is not None and _abandoned(record, state):
        with record.update() as state:
            # Asked again under the lock: the supervisor may just have reported and ended.
            if state is not None and _abandoned(record, state):
                end(state["Description"], "Failed", abandoned_reason(record.folder))
    if state is not None:
        refresh(root, state)
    return state


def refresh(root: Path, state: State) -> bool:
    """Bring the trials of a state up to date, and return whether any has changed."""
    metric = _config(state)["HyperParameterTuningJobObjective"]["MetricName"]
    summaries: list[trials.Summary] = state["Local"]["Trials"]
    before = list(summaries)
    for position, trial in enumerate(summaries):
        if not trials.is_running(trial):
            continue
        found = training_status.current(Records(root, training_jobs.KIND).get(trial["TrainingJobName"]))
        summaries[position] = (
            trials.failed(trial, "The training job was deleted", records.now())
            if found is None
            else trials.summary(found["Description"], metric)
        )
    return summaries != before


def is_over(state: State) -> bool:
    """Return whether the tuning job has ended."""
    return state["Description"]["HyperParameterTuningJobStatus"] not in UNFINISHED


def answer(state: State) -> dict[str, Any]:
    """Return what DescribeHyperParameterTuningJob answers."""
    description, summaries = state["Description"], state["Local"]["Trials"]
    minimize = is_minimized(_config(state))
    values = ended_values(summaries)
    stalled = not_improving(values, minimize=minimize)
    details = {"NumberOfTrainingJobsObjectiveNotImproving": stalled}
    if "ConvergenceDetectedTime" in state["Local"]:
        details["ConvergenceDetectedTime"] = state["Local"]["ConvergenceDetectedTime"]
    found = {
        **description,
        **counters(state),
        "TuningJobCompletionDetails": details,
        "ConsumedResources": {"RuntimeInSeconds": round(runtime(state))},
    }
    best = trials.best(summaries, minimize=minimize)
    if best is not None:
        found["BestTrainingJob"] = best
    earlier = state["Local"].get("EarlierBest")
    if earlier is not None:
        candidates = [earlier] if best is None else [best, earlier]
        found["OverallBestTrainingJob"] = trials.best(candidates, minimize=minimize)
    return found


def counters(state: State) -> dict[str, dict[str, int]]:
    """Return the trials by status and by status of their objective."""
    training = dict.fromkeys(_TRAINING_COUNTERS, 0)
    objective = dict.fromkeys(_OBJECTIVE_COUNTERS, 0)
    for trial in state["Local"]["Trials"]:
        status = trial["TrainingJobStatus"]
        if status == "Failed":
            internal = trial.get("FailureReason", "").startswith("InternalServerError")
            status = "RetryableError" if internal else "NonRetryableError"
        training["InProgress" if status == "Stopping" else status] += 1
        objective[trial["ObjectiveStatus"]] += 1
    return {"TrainingJobStatusCounters": training, "ObjectiveStatusCounters": objective}


def ended_values(summaries: list[trials.Summary]) -> list[float]:
    """Return the objective of each trial that has one, in the order in which they ended."""
    values = (trials.objective(trial) for trial in trials.by_end(summaries))
    return [value for value in values if value is not None]


def runtime(state: State) -> float:
    """Return the seconds from the tuning job's creation to its end, or to now."""
    description = state["Description"]
    last: float = description.get("HyperParameterTuningEndTime", records.now())
    return max(0.0, last - float(description["CreationTime"]))


def _config(state: State) -> dict[str, Any]:
    config: dict[str, Any] = state["Description"]["HyperParameterTuningJobConfig"]
    return config


def _abandoned(record: Record, state: State) -> bool:
    return not is_over(state) and not locks.is_held(record.folder / SUPERVISOR_LOCK)
