"""Endpoint configs: which model an endpoint serves, and on what."""

from __future__ import annotations

from sagemaker_dogbreed.local import models, paging, tags
from sagemaker_dogbreed.local.faults import ServiceFault, invalid
from sagemaker_dogbreed.local.records import now
from sagemaker_dogbreed.local.workspace import Handler, Parameters, Workspace

KIND = "endpoint-config"
_NAME = "EndpointConfigName"


def create(workspace: Workspace, request: Parameters) -> Parameters:
    """Record an endpoint config."""
    variants = request["ProductionVariants"]
    if len(variants) != 1 or request.get("ShadowProductionVariants"):
        raise invalid("The local SageMaker serves one variant: give one of ProductionVariants and no shadows")
    if "ModelName" not in variants[0]:
        raise invalid("ProductionVariants: ModelName is missing")
    if ("InstanceType" in variants[0]) == ("ServerlessConfig" in variants[0]):
        raise invalid("ProductionVariants: give either InstanceType or ServerlessConfig")
    if variants[0].get("InitialInstanceCount", 1) > 1:
        raise invalid("ProductionVariants: the local SageMaker has one instance: InitialInstanceCount is 1")
    models.container_of(workspace, variants[0]["ModelName"])
    records = workspace.records(KIND)
    name = request[_NAME]
    arn = records.arn(name)
    description = {key: value for key, value in request.items() if key != "Tags"}
    description |= {"EndpointConfigArn": arn, "CreationTime": now()}
    try:
        with records.new(name, {"Description": description, "Tags": tags.read(request), "Local": {}}):
            pass
    except FileExistsError:
        raise invalid(f'Cannot create already existing endpoint configuration "{arn}".') from None
    return {"EndpointConfigArn": arn}


def describe(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with the config's description."""
    state = workspace.records(KIND).get(request[_NAME]).read()
    if state is None:
        raise _missing(workspace, request[_NAME])
    description: Parameters = state["Description"]
    return description


def list_all(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with a page of summaries."""
    states = (record.read() for record in workspace.records(KIND).all())
    found, more = paging.summaries((state["Description"] for state in states if state), request, name=_NAME)
    keys = (_NAME, "EndpointConfigArn", "CreationTime")
    return {"EndpointConfigs": [{key: config[key] for key in keys} for config in found], **more}


def delete(workspace: Workspace, request: Parameters) -> Parameters:
    """Take an endpoint config away; endpoints made from it stay."""
    record = workspace.records(KIND).get(request[_NAME])
    if record.read() is None:
        raise _missing(workspace, request[_NAME])
    record.remove()
    return {}


def _missing(workspace: Workspace, name: str) -> ServiceFault:
    return invalid(f'Could not find endpoint configuration "{workspace.records(KIND).arn(name)}".')


OPERATIONS: dict[str, Handler] = {
    "CreateEndpointConfig": create,
    "DescribeEndpointConfig": describe,
    "ListEndpointConfigs": list_all,
    "DeleteEndpointConfig": delete,
}
