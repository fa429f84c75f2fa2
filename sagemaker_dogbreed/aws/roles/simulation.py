"""Asks IAM what somebody may do, without doing it.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sagemaker_dogbreed.aws.roles.policy import Policy
from sagemaker_dogbreed.clients import Clients

_ALLOWED = "allowed"
_MOST_RESOURCES = 20  # each combination of an action and a resource is an answer


def denied_actions(clients: Clients, principal_arn: str, policy: Policy) -> tuple[str, ...]:
    """Return what of a policy a user or role may not do, each as ``action on resource``, sorted.

    Boundaries and organizations' policies count; policies of buckets and keys, and of a session, do not.

    Raises:
        ClientError: The permission iam:SimulatePrincipalPolicy is missing, say.
        BotoCoreError: There is no answer.
    """
    denied: set[str] = set()
    for statement in policy["Statement"]:
        resources = statement["Resource"]
        listed = [resources] if isinstance(resources, str) else list(resources)
        for start in range(0, len(listed), _MOST_RESOURCES):
            denied |= _denied(clients, principal_arn, statement, listed[start : start + _MOST_RESOURCES])
    return tuple(sorted(denied))


def _denied(
    clients: Clients, principal_arn: str, statement: Mapping[str, Any], resources: Sequence[str]
) -> set[str]:
    pages = (
        clients.client("iam")
        .get_paginator("simulate_principal_policy")
        .paginate(
            PolicySourceArn=principal_arn,
            ActionNames=statement["Action"],
            ResourceArns=resources,
            ContextEntries=_context(statement.get("Condition", {})),
        )
    )
    denied: set[str] = set()
    for page in pages:
        for result in page.get("EvaluationResults", []):
            specific = result.get("ResourceSpecificResults") or [result]
            for each in specific:
                decision = each.get("EvalResourceDecision", each.get("EvalDecision"))
                if decision != _ALLOWED:
                    resource = each.get("EvalResourceName", "*")
                    place = "" if resource == "*" else f" on {resource}"
                    denied.add(f"{result['EvalActionName']}{place}")
    return denied


def _context(conditions: Mapping[str, Mapping[str, Sequence[str] | str]]) -> list[dict[str, Any]]:
    """Return values that fulfil a statement's conditions, so that a policy like ours is seen to allow."""
    entries = []
    for operator, keys in conditions.items():
        for key, values in keys.items():
            first = values if isinstance(values, str) else values[0]
            kind = "stringList" if operator.startswith("ForAnyValue") else "string"
            entries.append(
                {
                    "ContextKeyName": key,
                    "ContextKeyValues": [first.replace("*", "any")],
                    "ContextKeyType": kind,
                }
            )
    return entries
