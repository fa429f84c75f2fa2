"""Makes the execution role, with the permissions it needs, and keeps it up to date."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_dogbreed.aws.roles.policy import Policy, trust_policy
from sagemaker_dogbreed.aws.roles.role import ROLE_NAME, get_role
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError
from sagemaker_dogbreed.jobs.calls import reported
from sagemaker_dogbreed.jobs.trouble import details
from sagemaker_dogbreed.requests.tags import PROJECT, PROJECT_VALUE

POLICY_NAME = "sagemaker-dogbreed"
MANAGED_POLICIES = ("AmazonSageMakerFullAccess", "AmazonS3FullAccess")
"""What the role of a newcomer's tutorial has; far more than a job needs."""

_SAGEMAKER = "sagemaker.amazonaws.com"


DEFAULT_NAME = "sagemaker-dogbreed"
"""Of the role that is made where no name is given, and found again."""


def own_role(clients: Clients) -> str | None:
    """Return the ARN of the role that this library makes by default; None where none is found."""
    try:
        role = get_role(clients, DEFAULT_NAME)
        is_ours = role is not None and _tags(clients, DEFAULT_NAME).get(PROJECT) == PROJECT_VALUE
    except AccountError:
        return None
    return str(role["Arn"]) if role is not None and is_ours else None


def ensure_role(
    clients: Clients,
    name: str,
    policy: Policy,
    *,
    partition: str = "aws",
    managed: bool = False,
    adopt: bool = False,
) -> str:
    """Make a role, or bring one that this library made up to date, and return its ARN.

    Calling it again changes nothing. A new role may take some seconds until SageMaker can use it.

    Args:
        clients: Where.
        name: The role's name.
        policy: What the role may do, from ``execution_policy``.
        partition: The partition of AWS's own policies.
        managed: Attach ``AmazonSageMakerFullAccess`` and ``AmazonS3FullAccess`` in place of ``policy``.
        adopt: Change a role, too, that this library did not make: add the policy, and trust SageMaker.

    Raises:
        AccountError: IAM refuses, or there is a role of this name that the library did not make.
    """
    if not ROLE_NAME.fullmatch(name):
        raise AccountError(f"{name!r} is no name for an IAM role: 1 to 64 letters, digits and _+=,.@-")
    is_ours = True
    role = get_role(clients, name) or _create(clients, name)
    if role is None:  # another process was faster
        return ensure_role(clients, name, policy, partition=partition, managed=managed, adopt=adopt)
    if _tags(clients, name).get(PROJECT) != PROJECT_VALUE:
        is_ours = False
        if not adopt:
            raise AccountError(
                f"IAM role {name!r} was not made by this library and is left as it is: use it with "
                f"role={name!r}, choose another name, or have it changed with adopt=True"
            )
    _ensure_trust(clients, name, role.get("AssumeRolePolicyDocument"))
    arns = [f"arn:{partition}:iam::aws:policy/{policy_name}" for policy_name in MANAGED_POLICIES]
    with reported(AccountError, f"the permissions of IAM role {name!r} cannot be set"):
        _set_permissions(clients.client("iam"), name, policy, arns, managed=managed, is_ours=is_ours)
    return str(role["Arn"])


def trusts_sagemaker(document: Any) -> bool:
    """Whether a trust policy lets SageMaker take on the role.

    >>> trusts_sagemaker(trust_policy())
    True
    """
    statements = document.get("Statement", []) if isinstance(document, Mapping) else []
    return any(
        statement.get("Effect") == "Allow"
        and {"sts:AssumeRole", "sts:*", "*"} & set(_listed(statement.get("Action")))
        and _SAGEMAKER in _listed(_principals(statement))
        for statement in _listed(statements)
        if isinstance(statement, Mapping)
    )


def _principals(statement: Mapping[str, Any]) -> Any:
    principal = statement.get("Principal")
    return principal.get("Service") if isinstance(principal, Mapping) else None


def _listed(value: Any) -> list[Any]:
    """IAM writes one value where a list has one."""
    return value if isinstance(value, list) else [value]


def _create(clients: Clients, name: str) -> dict[str, Any] | None:
    """Return the new role, or None where there is one of this name by now."""
    iam = clients.client("iam")
    with reported(AccountError, f"IAM role {name!r} was not created"):
        try:
            iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=json.dumps(trust_policy()),
                Description="Runs the training jobs and endpoints of sagemaker_dogbreed",
                Tags=[{"Key": PROJECT, "Value": PROJECT_VALUE}],
            )
        except ClientError as error:
            if details(error)[0] == "EntityAlreadyExists":
                return None
            raise
        # IAM tells of a new role with delay.
        iam.get_waiter("role_exists").wait(RoleName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        role: dict[str, Any] = iam.get_role(RoleName=name)["Role"]
    return role


def _tags(clients: Clients, name: str) -> dict[str, str]:
    with reported(AccountError, f"who made IAM role {name!r} cannot be told"):
        pages = clients.client("iam").get_paginator("list_role_tags").paginate(RoleName=name)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}


def _ensure_trust(clients: Clients, name: str, document: Any) -> None:
    if trusts_sagemaker(document):
        return
    # Whoever else is trusted stays so.
    kept = _listed(document.get("Statement", [])) if isinstance(document, Mapping) else []
    trust = trust_policy()
    trust["Statement"] = [*kept, *trust["Statement"]]
    with reported(AccountError, f"IAM role {name!r} cannot be made to trust SageMaker"):
        clients.client("iam").update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))


def _set_permissions(
    iam: Any, name: str, policy: Policy, managed_arns: list[str], *, managed: bool, is_ours: bool
) -> None:
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
    attached = {each["PolicyArn"] for page in pages for each in page["AttachedPolicies"]}
    inline = _inline(iam, name)
    for arn in managed_arns:
        if managed and arn not in attached:
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        elif not managed and is_ours and arn in attached:
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    if managed:
        if inline is not None:
            iam.delete_role_policy(RoleName=name, PolicyName=POLICY_NAME)
    elif inline != policy:
        iam.put_role_policy(RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(policy))


def _inline(iam: Any, name: str) -> Any:
    try:
        return iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME)["PolicyDocument"]
    except ClientError as error:
        if details(error)[0] == "NoSuchEntity":
            return None
        raise
