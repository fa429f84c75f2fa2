"""The status of an endpoint, also when the process that ran it is gone."""

from __future__ import annotations

from sagemaker_dogbreed.local import locks
from sagemaker_dogbreed.local.program import end_left_over
from sagemaker_dogbreed.local.records import Record, State
from sagemaker_dogbreed.local.workspace import abandoned_reason

SUPERVISOR_LOCK = "supervisor.lock"
PROGRAM_LOCK = "program.lock"


def current(record: Record) -> State | None:
    """Return the endpoint's state, after seeing to it that one nobody runs is not in service."""
    state = record.read()
    if state is None or not _abandoned(record, state):
        return state
    with record.update() as state:
        # Asked again under the lock: the supervisor may just have reported and ended.
        if state is None or not _abandoned(record, state):
            return state
        end_left_over(record.folder / PROGRAM_LOCK)
        if state["Description"]["EndpointStatus"] != "Deleting":
            fail(state, abandoned_reason(record.folder))
            return state
    record.remove()
    return None


def fail(state: State, reason: str) -> None:
    """Move an endpoint to Failed, where it stays until it is deleted."""
    state["Description"] |= {"EndpointStatus": "Failed", "FailureReason": reason}
    state["Local"]["Port"] = None


def _abandoned(record: Record, state: State) -> bool:
    return state["Description"]["EndpointStatus"] != "Failed" and not locks.is_held(
        record.folder / SUPERVISOR_LOCK
    )
