"""Deletes what this library made and is no longer wanted: endpoint, config and model together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from botocore.exceptions import ClientError

from sagemaker_dogbreed.aws.leftovers.resources import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    TRAINING_JOB,
    TUNING_JOB,
    WARM_POOL,
    Resource,
    resources,
)
from sagemaker_dogbreed.aws.leftovers.usage import Usage, usage
from sagemaker_dogbreed.aws.spending.costs import Prices
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError
from sagemaker_dogbreed.jobs.calls import explain
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS, is_missing


@attrs.frozen(kw_only=True)
class SweepReport:
    """What a sweep deleted, or would delete.

    Attributes:
        dry_run: Whether nothing was deleted.
        swept: What was deleted (jobs: stopped), or would be; in this order.
        failures: What could not be, each with the reason.
    """

    dry_run: bool
    swept: tuple[Resource, ...]
    failures: tuple[tuple[Resource, str], ...] = ()

    def __str__(self) -> str:
        lines = [f"{self._verb(resource)} {resource}" for resource in self.swept]
        lines += [f"left {resource.kind} {resource.name}: {reason}" for resource, reason in self.failures]
        return "\n".join(lines) or "nothing to delete"

    def _verb(self, resource: Resource) -> str:
        is_job = resource.kind in (TUNING_JOB, TRAINING_JOB)
        done, planned = ("stopped", "stop") if is_job else ("deleted", "delete")
        return f"would {planned}" if self.dry_run else done


def sweep(
    clients: Clients,
    *,
    prices: Prices,
    region: str,
    older_than: dt.timedelta | None = None,
    expired: bool = True,
    stop_jobs: bool = False,
    dry_run: bool = True,
    now: dt.datetime | None = None,
) -> SweepReport:
    """Delete what this library made and has expired, or is older than is given.

    An endpoint goes together with its config and models, unless another endpoint uses them; configs and
    models that no endpoint uses go by their own age. What is not tagged as this library's stays, whatever
    it is. One that cannot be deleted is reported, and the others are.

    Args:
        clients: Where.
        prices: What instances cost, for the report.
        region: The region whose prices are meant.
        older_than: Take what was created longer ago than this, expired or not.
        expired: Take what has expired.
        stop_jobs: Stop tuning jobs and training jobs too, and end warm pools.
        dry_run: Only say what would be deleted.
        now: The time; default: the clock's.

    Raises:
        AccountError: SageMaker refuses to list; nothing was deleted.
    """
    now = now or dt.datetime.now(dt.UTC)

    def is_due(resource: Resource) -> bool:
        has_expired = expired and resource.expires is not None and resource.expires <= now
        is_old = (
            older_than is not None and resource.created is not None and resource.created <= now - older_than
        )
        return has_expired or is_old

    ours = resources(clients, prices=prices, region=region)
    parts = [each for each in ours if each.kind in (ENDPOINT_CONFIG, MODEL)]
    uses: Usage | AccountError | None = None
    if parts:
        try:
            uses = usage(clients)  # while the endpoints are there to tell
        except AccountError as error:
            uses = error
    run = _Run(clients.sagemaker, dry_run=dry_run)
    due = [each for each in ours if is_due(each)]
    if stop_jobs:
        # Tuning jobs first: they would start others in place of the training jobs that are stopped.
        for kind in (TUNING_JOB, TRAINING_JOB, WARM_POOL):
            run.take(each for each in due if each.kind == kind)
    run.take(each for each in due if each.kind == ENDPOINT and each.status != "Deleting")
    if isinstance(uses, Usage):
        _take_unused(run, parts, ENDPOINT_CONFIG, uses.endpoints_by_config, ENDPOINT, is_due)
        _take_unused(run, parts, MODEL, uses.configs_by_model, ENDPOINT_CONFIG, is_due)
    elif uses is not None:
        run.failures += [(each, str(uses)) for each in due if each in parts]
    return SweepReport(dry_run=dry_run, swept=tuple(run.swept), failures=tuple(run.failures))


class _Run:
    """Deletes one after the other, and keeps what came of it."""

    def __init__(self, sagemaker: Any, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._deletions: dict[str, Callable[[str], Any]] = {
            TUNING_JOB: lambda name: sagemaker.stop_hyper_parameter_tuning_job(
                HyperParameterTuningJobName=name
            ),
            TRAINING_JOB: lambda name: sagemaker.stop_training_job(TrainingJobName=name),
            WARM_POOL: lambda name: sagemaker.update_training_job(
                TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0}
            ),
            ENDPOINT: lambda name: sagemaker.delete_endpoint(EndpointName=name),
            ENDPOINT_CONFIG: lambda name: sagemaker.delete_endpoint_config(EndpointConfigName=name),
            MODEL: lambda name: sagemaker.delete_model(ModelName=name),
        }
        self.swept: list[Resource] = []
        self.failures: list[tuple[Resource, str]] = []

    def take(self, chosen: Iterable[Resource]) -> None:
        for resource in chosen:
            try:
                if not self._dry_run:
                    self._deletions[resource.kind](resource.name)
            except AWS_ERRORS as error:
                if not (isinstance(error, ClientError) and is_missing(error)):
                    self.failures.append((resource, explain(error)))
                    continue
            self.swept.append(resource)

    def names(self, kind: str) -> tuple[set[str], set[str]]:
        """Return the names of a kind that are gone, and of those that would not go."""
        gone = {each.name for each in self.swept if each.kind == kind}
        return gone, {each.name for each, _ in self.failures if each.kind == kind}


def _take_unused(
    run: _Run,
    parts: Iterable[Resource],
    kind: str,
    users_of: Mapping[str, frozenset[str]],
    user_kind: str,
    is_due: Callable[[Resource], bool],
) -> None:
    gone, stuck = run.names(user_kind)
    for part in parts:
        if part.kind != kind:
            continue
        users = users_of.get(part.name, frozenset())
        if users & stuck:
            run.failures.append((part, f"{user_kind} {min(users & stuck)!r} is still there and uses it"))
        elif users <= gone and (users or is_due(part)):
            run.take([part])
