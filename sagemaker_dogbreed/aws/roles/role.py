"""The execution role, which jobs and endpoints run as: given, or found where the caller runs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError
from sagemaker_dogbreed.jobs.calls import reported
from sagemaker_dogbreed.jobs.trouble import details

VARIABLE = "AWS_ROLE_ARN"
METADATA = Path("/opt/ml/metadata/resource-metadata.json")
"""Written by SageMaker in its notebooks and in Studio."""

ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/(?:[\x21-\x7e]+/)?[\w+=,.@-]{1,64}", re.ASCII)
_CALLER = re.compile(
    r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([\w+=,.@-]{1,64})/([\w+=,.@-]+)", re.ASCII
)
_BY_CONSOLE = "AmazonSageMaker-ExecutionRole-"


def find_role(clients: Clients, *, metadata: Path = METADATA) -> str | None:
    """Return the ARN of the execution role of this place, or None where it has none.

    Looked at, in this order: ``AWS_ROLE_ARN``, unless it belongs to the caller's own web identity
    (``AWS_WEB_IDENTITY_TOKEN_FILE``); the notebook instance, user profile or domain named in
    SageMaker's metadata; the caller's own role, where SageMaker gave it.

    Raises:
        AccountError: ``AWS_ROLE_ARN`` names no role.
    """
    given = os.environ.get(VARIABLE)
    if given and not os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return resolve_role(clients, given)
    return _of_notebook(clients, metadata) or _of_caller(clients)


def resolve_role(clients: Clients, role: str) -> str:
    """Return the ARN of a role that is given as ARN or by its bare name.

    Raises:
        AccountError: It is neither, or there is no role of the name.
    """
    if _ROLE_ARN.fullmatch(role):
        return role
    if not ROLE_NAME.fullmatch(role):
        raise AccountError(
            f"{role!r} is no IAM role: give its name, or its ARN as in arn:aws:iam::123456789012:role/my-role"
        )
    found = get_role(clients, role)
    if found is None:
        raise AccountError(
            f"there is no IAM role {role!r} in this account; check the name, or make one with ensure_role()"
        )
    return str(found["Arn"])


def get_role(clients: Clients, name: str) -> dict[str, Any] | None:
    """Return IAM's description of a role, or None where there is none.

    Raises:
        AccountError: IAM refuses to tell.
    """
    with reported(AccountError, f"IAM role {name!r} cannot be looked up"):
        try:
            role: dict[str, Any] = clients.client("iam").get_role(RoleName=name)["Role"]
        except ClientError as error:
            if details(error)[0] == "NoSuchEntity":
                return None
            raise
    return role


def role_of_caller(clients: Clients, caller_arn: str) -> str | None:
    """Return the ARN of the IAM role a caller has taken on, None where it is no role or not to be seen.

    The caller's ARN lacks the path of its role, which policies and ``PassRole`` need.
    """
    match = _CALLER.fullmatch(caller_arn)
    if match is None:
        return None
    partition, account_id, name, _ = match.groups()
    try:
        role = get_role(clients, name)
    except AccountError:
        # Roles made by SageMaker's console have this path.
        is_known = name.startswith(_BY_CONSOLE)
        return f"arn:{partition}:iam::{account_id}:role/service-role/{name}" if is_known else None
    return None if role is None else str(role["Arn"])


def _of_caller(clients: Clients) -> str | None:
    try:
        caller = str(clients.client("sts").get_caller_identity().get("Arn", ""))
    except (ClientError, BotoCoreError):
        return None
    match = _CALLER.fullmatch(caller)
    given_by_sagemaker = match is not None and (match[4] == "SageMaker" or match[3].startswith(_BY_CONSOLE))
    return role_of_caller(clients, caller) if given_by_sagemaker else None


def _of_notebook(clients: Clients, metadata: Path) -> str | None:
    try:
        place = json.loads(metadata.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(place, dict):
        return None
    if isinstance(place.get("ExecutionRoleArn"), str):
        return str(place["ExecutionRoleArn"])
    try:
        return _described(clients.sagemaker, place)
    except (ClientError, BotoCoreError, KeyError, TypeError):
        return None  # the caller's own role is looked at next


def _described(sagemaker: Any, place: Mapping[str, Any]) -> str | None:
    domain = place.get("DomainId")
    if domain is None:
        notebook = sagemaker.describe_notebook_instance(NotebookInstanceName=place["ResourceName"])
        return str(notebook["RoleArn"])
    if place.get("UserProfileName"):
        profile = sagemaker.describe_user_profile(DomainId=domain, UserProfileName=place["UserProfileName"])
        role = profile.get("UserSettings", {}).get("ExecutionRole")
        if role:
            return str(role)
    settings = sagemaker.describe_domain(DomainId=domain).get("DefaultUserSettings", {})
    role = settings.get("ExecutionRole")
    return str(role) if role else None
