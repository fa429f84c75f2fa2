"""Models: an artifact, and the variables its serving code gets."""

from __future__ import annotations

from typing import Any

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.local import paging, tags
from sagemaker_dogbreed.local.faults import ServiceFault, invalid
from sagemaker_dogbreed.local.records import now
from sagemaker_dogbreed.local.workspace import Handler, Parameters, Workspace

KIND = "model"
_NAME = "ModelName"


def create(workspace: Workspace, request: Parameters) -> Parameters:
    """Record a model."""
    container = _container(request)
    url = container.get("ModelDataUrl")
    if url is None:
        raise invalid("The local SageMaker serves a model artifact: give the container's ModelDataUrl")
    try:
        found = workspace.store.exists(url)
    except StoreError as error:
        raise invalid(f"ModelDataUrl: {error}") from error
    if not found:
        raise invalid(f"Could not find model data at {url}.")
    records = workspace.records(KIND)
    name = request[_NAME]
    arn = records.arn(name)
    description = {key: value for key, value in request.items() if key != "Tags"}
    description |= {"ModelArn": arn, "CreationTime": now()}
    try:
        with records.new(name, {"Description": description, "Tags": tags.read(request), "Local": {}}):
            pass
    except FileExistsError:
        raise invalid(f'Cannot create already existing model "{arn}".') from None
    return {"ModelArn": arn}


def container_of(workspace: Workspace, name: str) -> dict[str, Any]:
    """Return the container definition of a model.

    Raises:
        ServiceFault: There is no such model.
    """
    return _container(describe(workspace, {_NAME: name}))


def describe(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with the model's description."""
    state = workspace.records(KIND).get(request[_NAME]).read()
    if state is None:
        raise _missing(workspace, request[_NAME])
    description: Parameters = state["Description"]
    return description


def list_all(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with a page of summaries."""
    states = (record.read() for record in workspace.records(KIND).all())
    found, more = paging.summaries((state["Description"] for state in states if state), request, name=_NAME)
    keys = (_NAME, "ModelArn", "CreationTime")
    return {"Models": [{key: model[key] for key in keys} for model in found], **more}


def delete(workspace: Workspace, request: Parameters) -> Parameters:
    """Take a model away; the artifact in S3 and the endpoints that serve it stay."""
    record = workspace.records(KIND).get(request[_NAME])
    if record.read() is None:
        raise _missing(workspace, request[_NAME])
    record.remove()
    return {}


def _container(request: Parameters) -> dict[str, Any]:
    containers = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
    containers += request.get("Containers", [])
    if len(containers) != 1:
        raise invalid("The local SageMaker serves one container: give PrimaryContainer, or one of Containers")
    container: dict[str, Any] = containers[0]
    return container


def _missing(workspace: Workspace, name: str) -> ServiceFault:
    return invalid(f'Could not find model "{workspace.records(KIND).arn(name)}".')


OPERATIONS: dict[str, Handler] = {
    "CreateModel": create,
    "DescribeModel": describe,
    "ListModels": list_all,
    "DeleteModel": delete,
}
