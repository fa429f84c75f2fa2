"""Endpoints: created, described, listed and deleted."""

from __future__ import annotations

import os

from sagemaker_dogbreed.local import (
    endpoint_configs,
    endpoint_status,
    locks,
    models,
    paging,
    tags,
)
from sagemaker_dogbreed.local.faults import ServiceFault, invalid
from sagemaker_dogbreed.local.records import now
from sagemaker_dogbreed.local.workspace import Handler, Parameters, Workspace

KIND = "endpoint"
_NAME = "EndpointName"
_SUMMARY = (_NAME, "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
_STOP_SECONDS = 30.0  # as AWS gives a serving container


def create(workspace: Workspace, request: Parameters) -> Parameters:
    """Record an endpoint and start the process that runs its server."""
    config = endpoint_configs.describe(workspace, request)
    variant = config["ProductionVariants"][0]
    count = variant.get("InitialInstanceCount", 1)
    weight = variant.get("InitialVariantWeight", 1.0)
    records = workspace.records(KIND)
    name = request[_NAME]
    arn = records.arn(name)
    created = now()
    summary = {
        "VariantName": variant["VariantName"],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
        "CurrentInstanceCount": count,
        "DesiredInstanceCount": count,
    }
    description = {
        _NAME: name,
        "EndpointArn": arn,
        "EndpointConfigName": request["EndpointConfigName"],
        "EndpointStatus": "Creating",
        "ProductionVariants": [summary],
        "CreationTime": created,
        "LastModifiedTime": created,
    }
    # The model and the config may be deleted while the endpoint goes on.
    settings = {
        "Container": models.container_of(workspace, variant["ModelName"]),
        "StartupSeconds": variant.get(
            "ContainerStartupHealthCheckTimeoutInSeconds", workspace.startup_seconds
        ),
        "StopSeconds": min(_STOP_SECONDS, workspace.grace_seconds),
        "Port": None,
    }
    lock = -1
    try:
        state = {"Description": description, "Tags": tags.read(request), "Local": settings}
        with records.new(name, state) as folder:
            # Held from before the endpoint can be seen, so that it never looks abandoned.
            lock = locks.acquire(folder / endpoint_status.SUPERVISOR_LOCK)
        workspace.start("sagemaker_dogbreed.local.endpoint_supervisor", records.get(name).folder, lock)
    except FileExistsError:
        raise invalid(f'Cannot create already existing endpoint "{arn}".') from None
    finally:
        if lock >= 0:
            os.close(lock)
    return {"EndpointArn": arn}


def describe(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with the endpoint's description."""
    state = endpoint_status.current(workspace.records(KIND).get(request[_NAME]))
    if state is None:
        raise _missing(workspace, request[_NAME])
    description: Parameters = state["Description"]
    return description


def list_all(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with a page of summaries."""
    states = (endpoint_status.current(record) for record in workspace.records(KIND).all())
    found, more = paging.summaries(
        (state["Description"] for state in states if state is not None),
        request,
        name=_NAME,
        status="EndpointStatus",
    )
    return {"Endpoints": [{key: endpoint[key] for key in _SUMMARY} for endpoint in found], **more}


def delete(workspace: Workspace, request: Parameters) -> Parameters:
    """Have the endpoint's process stop the server and take the folder away; the log stays."""
    record = workspace.records(KIND).get(request[_NAME])
    with record.update() as state:
        if state is None:
            raise _missing(workspace, request[_NAME])
        unattended = state["Description"]["EndpointStatus"] == "Failed"
        state["Description"]["EndpointStatus"] = "Deleting"
    if unattended:  # its process has reported, and looks no more
        record.remove()
    else:
        endpoint_status.current(record)  # takes it away at once where no process is left to do so
    return {}


def _missing(workspace: Workspace, name: str) -> ServiceFault:
    return invalid(f'Could not find endpoint "{workspace.records(KIND).arn(name)}".')


OPERATIONS: dict[str, Handler] = {
    "CreateEndpoint": create,
    "DescribeEndpoint": describe,
    "ListEndpoints": list_all,
    "DeleteEndpoint": delete,
}
