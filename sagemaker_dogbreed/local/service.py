"""The local SageMaker: real boto3 clients, answered by this process from files beneath one root."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from sagemaker_dogbreed.errors import UnsupportedError
from sagemaker_dogbreed.local import (
    constraints,
    endpoint_configs,
    endpoints,
    logs,
    models,
    runtime,
    tags,
    training_jobs,
    wire,
)
from sagemaker_dogbreed.local.faults import ServiceFault
from sagemaker_dogbreed.local.tuning import jobs as tuning_jobs
from sagemaker_dogbreed.local.workspace import Handler, Workspace
from sagemaker_dogbreed.store.local import LocalStore

if TYPE_CHECKING:
    import boto3

_OPERATIONS: dict[str, dict[str, Handler]] = {
    "sagemaker": {
        **training_jobs.OPERATIONS,
        **tuning_jobs.OPERATIONS,
        **models.OPERATIONS,
        **endpoint_configs.OPERATIONS,
        **endpoints.OPERATIONS,
        **tags.OPERATIONS,
    },
    "cloudwatch-logs": logs.OPERATIONS,
}


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().resolve()


@attrs.frozen
class LocalSageMaker:
    """SageMaker on this machine, with no account, no container and no cost.

    Jobs and endpoints are processes of their own: they outlive this object and this process, and
    any other object or process with the same root sees and controls them.

    Attributes:
        root: Folder of the state; it is made when something is first written.
        grace_seconds: Between SIGTERM and SIGKILL when a training job is stopped; at most 30 of
            them for an endpoint's server.
        startup_seconds: An endpoint's time to answer ``/ping``, unless its config says otherwise.
    """

    root: Path = attrs.field(converter=_absolute)
    grace_seconds: float = attrs.field(default=120.0, kw_only=True)
    startup_seconds: float = attrs.field(default=240.0, kw_only=True)

    @property
    def store(self) -> LocalStore:
        """The S3 of this root."""
        return LocalStore(self.root)

    def boto_session(self) -> boto3.Session:
        """Return a boto3 session for the clients ``sagemaker``, ``sagemaker-runtime`` and ``logs``.

        Its requests never leave this process, and the user's AWS configuration is not read. A
        request to any other service raises UnsupportedError.
        """
        return wire.session(self._answer)

    def _answer(self, request: wire.Request) -> wire.Reply:
        if request.service not in wire.SERVICES:
            raise UnsupportedError(
                f"the local SageMaker does not answer {request.service} {request.operation}; "
                f"it answers the clients {', '.join(wire.SERVICES.values())}"
            )
        workspace = Workspace(self.root, self.grace_seconds, self.startup_seconds)
        try:
            return _dispatch(workspace, request)
        except ServiceFault as fault:
            return wire.fault_reply(fault)


def _dispatch(workspace: Workspace, request: wire.Request) -> wire.Reply:
    if (request.service, request.operation) == ("sagemaker-runtime", "InvokeEndpoint"):
        return runtime.invoke(workspace, request)
    operations = _OPERATIONS.get(request.service, {})
    if request.operation not in operations:
        known = sorted(operations) or ["InvokeEndpoint"]
        raise ServiceFault(
            "UnknownOperationException",
            f"The local SageMaker has no {request.operation}; it has {', '.join(known)}",
        )
    parameters = request.parameters()
    if request.shape is not None:
        constraints.check(request.shape, parameters)
    return wire.json_reply(operations[request.operation](workspace, parameters))
