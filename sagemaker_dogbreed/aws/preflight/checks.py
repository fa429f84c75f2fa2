"""Checks of the account before anything is spent: role, permissions, bucket, images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sagemaker_dogbreed.aws.account import Account
from sagemaker_dogbreed.aws.bucket import check_bucket, default_bucket_name
from sagemaker_dogbreed.aws.preflight.report import ERROR, OK, UNKNOWN, WARNING, Check
from sagemaker_dogbreed.aws.roles.policy import Policy
from sagemaker_dogbreed.aws.roles.role import get_role, role_of_caller
from sagemaker_dogbreed.aws.roles.role_creation import trusts_sagemaker
from sagemaker_dogbreed.aws.roles.simulation import denied_actions
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError, DogbreedError
from sagemaker_dogbreed.jobs.calls import missing_action
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS, details, kind_of

_MOST_NAMED = 8
_ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com")


def guarded(name: str, check: Callable[..., Iterable[Check]], *arguments: Any) -> tuple[Check, ...]:
    """Return what a check finds, or what keeps it from finding out."""
    try:
        return tuple(check(*arguments))
    except (*AWS_ERRORS, DogbreedError) as error:
        return (failed(name, error),)


def failed(name: str, error: BaseException) -> Check:
    """Return the check that ended so: ``unknown`` where it could not be made, with what it takes."""
    cause = error if isinstance(error, AWS_ERRORS) else error.__cause__
    if not isinstance(cause, AWS_ERRORS) or (
        cause is not error and kind_of(cause) not in ("denied", "busy", "connection")
    ):
        return Check(name, ERROR, str(error))
    if kind_of(cause) == "denied":
        return Check(name, UNKNOWN, f"could not be checked without the permission {missing_action(cause)}")
    return Check(name, UNKNOWN, f"could not be checked: {': '.join(details(cause))}")


def role_trust(clients: Clients, role: str) -> Iterator[Check]:
    """Look whether SageMaker may take on the execution role."""
    name = "role trust"
    found = get_role(clients, role.rpartition("/")[2])
    if found is None:
        yield Check(name, ERROR, f"there is no role {role}; check its name, or have it made: ensure_role()")
    elif not trusts_sagemaker(found.get("AssumeRolePolicyDocument")):
        yield Check(
            name,
            ERROR,
            f"{role} does not trust sagemaker.amazonaws.com; add it to the role's trust policy, or call "
            "ensure_role(adopt=True)",
        )
    else:
        yield Check(name, OK, f"SageMaker may take on {role}")


def role_permissions(clients: Clients, role: str, policy: Policy) -> Iterator[Check]:
    """Ask IAM whether the execution role may do what a policy allows."""
    way_out = "add what iam_policy() prints to its policies, or have that done: ensure_role()"
    yield from _permissions(clients, "role permissions", role, policy, way_out)


def caller_permissions(clients: Clients, account: Account, policy: Policy) -> Iterator[Check]:
    """Ask the same about the caller, whoever that is."""
    name, caller = "caller permissions", account.caller_arn
    resource = caller.split(":")[-1]
    if resource == "root":
        yield Check(name, WARNING, "the account's root user may do everything; use a user or role with less")
        return
    is_role = resource.startswith("assumed-role/")
    principal = role_of_caller(clients, caller) if is_role else caller
    if principal is None or not resource.startswith(("user/", "assumed-role/")):
        yield Check(name, UNKNOWN, f"could not be checked: IAM does not tell what {caller} may do")
        return
    yield from _permissions(clients, name, principal, policy, "have that added to its policies")


def _permissions(
    clients: Clients, name: str, principal_arn: str, policy: Policy, way_out: str
) -> Iterator[Check]:
    denied = denied_actions(clients, principal_arn, policy)
    if denied:
        named = ", ".join(denied[:_MOST_NAMED])
        more = f" and {len(denied) - _MOST_NAMED} more" if len(denied) > _MOST_NAMED else ""
        yield Check(
            name,
            ERROR,
            f"{principal_arn} may not do {named}{more}; {way_out}",
        )
    else:
        yield Check(name, OK, f"{principal_arn} may do what is needed")


def bucket(clients: Clients, account: Account, name: str | None, owner: str | None) -> Iterator[Check]:
    """Look whether the bucket is there, in the right hands and the right region."""
    default = default_bucket_name(account)
    try:
        check_bucket(clients, name or default, account=account, owner=owner)
    except AccountError as error:
        if name is None and "there is no bucket" in str(error):
            yield Check("bucket", OK, f"{default} does not exist yet and is made at the first upload")
            return
        raise
    yield Check("bucket", OK, f"{name or default} in {account.region}")


def images(account: Account, wanted: Mapping[str, str | DogbreedError]) -> Iterator[Check]:
    """Look whether each image was found, and is in the region where SageMaker pulls it from."""
    for purpose, image in wanted.items():
        name = f"{purpose} image"
        if isinstance(image, DogbreedError):
            yield failed(name, image)
            continue
        registry = _ECR.match(image)
        if registry is not None and registry[1] != account.region:
            yield Check(
                name,
                ERROR,
                f"{image} is in {registry[1]}, but SageMaker in {account.region} pulls images of its own "
                f"region only; copy it, or use a session in {registry[1]}",
            )
        else:
            yield Check(name, OK, image)
