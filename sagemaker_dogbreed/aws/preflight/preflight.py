"""What can be known before money is spent: credentials, permissions, bucket, images, quotas, data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sagemaker_dogbreed.aws.account import identify
from sagemaker_dogbreed.aws.bucket import default_bucket_name
from sagemaker_dogbreed.aws.preflight import checks, spec_checks
from sagemaker_dogbreed.aws.preflight.report import ERROR, OK, Check, PreflightReport
from sagemaker_dogbreed.aws.roles.permissions import caller_policy, verbs_of
from sagemaker_dogbreed.aws.roles.policy import execution_policy
from sagemaker_dogbreed.aws.roles.role import resolve_role
from sagemaker_dogbreed.aws.spending.quotas import Quotas
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError, DogbreedError
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec

Image = str | Callable[[], str]
"""The URI of a container image, or what finds it."""


def preflight(
    clients: Clients,
    *,
    role: str | Callable[[], str],
    bucket: str | None = None,
    bucket_owner: str | None = None,
    training: TrainingSpec | None = None,
    endpoint: EndpointSpec | None = None,
    dataset: DatasetSpec | None = None,
    tuning: TuningSpec | None = None,
    images: Mapping[str, Image] | None = None,
    quotas: Quotas | None = None,
) -> PreflightReport:
    """Check all that a run needs; nothing is made, changed or submitted.

    One check that fails never hides the others; only without credentials there is nothing to look at.

    Args:
        clients: Where it would run.
        role: The execution role, by ARN or name, or what finds it.
        bucket: The bucket; None for the default one.
        bucket_owner: Account that owns it; default: the caller's.
        training: The training job, if one is run.
        endpoint: The endpoint, if one is created.
        dataset: The data set, if one is uploaded.
        tuning: The tuning job, if one is run.
        images: Container images by purpose (``training``, ``inference``), or what finds each.
        quotas: Limits that are known already.
    """
    found: list[Check] = []

    def look(name: str, check: Callable[..., Iterable[Check]], *arguments: Any) -> None:
        found.extend(checks.guarded(name, check, *arguments))

    try:
        account = identify(clients)
    except AccountError as error:
        found.append(Check("credentials", ERROR, str(error)))
        if dataset is not None:
            look("data set", spec_checks.dataset, dataset)
        return PreflightReport(tuple(found))
    found.append(Check("credentials", OK, f"{account.caller_arn} in {account.region}"))

    bucket_name = bucket or default_bucket_name(account)
    resolved = {purpose: _resolved(image) for purpose, image in (images or {}).items()}
    role_arn = None
    try:
        role_arn = resolve_role(clients, role() if callable(role) else role)
    except AccountError as error:
        found.append(checks.failed("role", error))
    else:
        needed = execution_policy(
            account,
            bucket_name,
            training=training,
            endpoint=endpoint,
            dataset=dataset,
            images=[image for image in resolved.values() if isinstance(image, str)],
        )
        look("role trust", checks.role_trust, clients, role_arn)
        look("role permissions", checks.role_permissions, clients, role_arn, needed)
    others = [dataset.bucket] if dataset is not None and dataset.bucket is not None else []
    policy = caller_policy(
        account,
        bucket_name,
        role_arn or f"arn:{account.partition}:iam::{account.account_id}:role/any",
        verbs=verbs_of(training, endpoint, tuning),
        buckets=others,
        kms_keys=[endpoint.kms_key] if endpoint is not None and endpoint.kms_key is not None else [],
    )
    look("caller permissions", checks.caller_permissions, clients, account, policy)
    for name in dict.fromkeys([bucket, *others]):
        look("bucket", checks.bucket, clients, account, name, bucket_owner)
    look("image", checks.images, account, resolved)
    if training is not None or endpoint is not None:
        look("quota", spec_checks.quotas, quotas or Quotas(clients), account, training, endpoint, tuning)
    if dataset is not None:
        look("data set", spec_checks.dataset, dataset)
    return PreflightReport(tuple(found))


def _resolved(image: Image) -> str | DogbreedError:
    try:
        return image() if callable(image) else image
    except DogbreedError as error:
        return error
