"""Tags of resources, found by the resource's ARN."""

from __future__ import annotations

import re
from typing import Any

from sagemaker_dogbreed.local.faults import ServiceFault, invalid
from sagemaker_dogbreed.local.records import ACCOUNT, REGION, Record
from sagemaker_dogbreed.local.workspace import Handler, Parameters, Workspace

_MOST = 50
_ARN = re.compile(rf"arn:aws:sagemaker:{REGION}:{ACCOUNT}:([a-z-]+)/([a-zA-Z0-9][a-zA-Z0-9-]{{0,62}})")
_TAGGED = ("training-job", "hyper-parameter-tuning-job", "model", "endpoint-config", "endpoint")


def read(request: Parameters) -> dict[str, str]:
    """Return the tags of a Create or AddTags request.

    Raises:
        ServiceFault: A key comes twice, or is AWS's own.
    """
    tags: dict[str, str] = {}
    for tag in request.get("Tags", []):
        if tag["Key"] in tags:
            raise invalid(f"Tags: the key {tag['Key']!r} comes more than once")
        if tag["Key"].lower().startswith("aws:"):
            raise invalid(f"Tags: the key {tag['Key']!r} begins with aws:, which is AWS's own")
        tags[tag["Key"]] = tag["Value"]
    return tags


def add(workspace: Workspace, request: Parameters) -> Parameters:
    """Add tags, or change the values of those that are there."""
    new = read(request)
    with _record(workspace, request).update() as state:
        if state is None:
            raise _missing(request)
        state["Tags"] = {**state["Tags"], **new}
        if len(state["Tags"]) > _MOST:
            raise ServiceFault("ResourceLimitExceeded", f"A resource has at most {_MOST} tags")
        return {"Tags": _listed(state["Tags"])}


def list_all(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with all tags; there are never more than one page holds."""
    state = _record(workspace, request).read()
    if state is None:
        raise _missing(request)
    return {"Tags": _listed(state["Tags"])}


def delete(workspace: Workspace, request: Parameters) -> Parameters:
    """Take tags away; a key that is not there is no error."""
    with _record(workspace, request).update() as state:
        if state is None:
            raise _missing(request)
        state["Tags"] = {key: value for key, value in state["Tags"].items() if key not in request["TagKeys"]}
    return {}


def _record(workspace: Workspace, request: Parameters) -> Record:
    match = _ARN.fullmatch(request["ResourceArn"])
    if match is None or match.group(1) not in _TAGGED:
        raise _missing(request)
    return workspace.records(match.group(1)).get(match.group(2))


def _missing(request: Parameters) -> ServiceFault:
    return invalid(f'Could not find the resource "{request["ResourceArn"]}".')


def _listed(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


OPERATIONS: dict[str, Handler] = {"AddTags": add, "ListTags": list_all, "DeleteTags": delete}
