"""What this library made and what of it costs money: endpoints, configs, models, running jobs, warm pools.

Everything it makes carries a tag; what lacks the tag is somebody else's and is never touched.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
from botocore.exceptions import ClientError

from sagemaker_dogbreed.aws.leftovers.instances import Instances, instances_of
from sagemaker_dogbreed.aws.spending.costs import Prices
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError
from sagemaker_dogbreed.jobs.calls import reported
from sagemaker_dogbreed.jobs.trouble import is_missing
from sagemaker_dogbreed.requests.tags import PROJECT, PROJECT_VALUE, expiry

ENDPOINT, ENDPOINT_CONFIG, MODEL = "endpoint", "endpoint config", "model"
TRAINING_JOB, WARM_POOL = "training job", "warm pool"
TUNING_JOB = "tuning job"
_RUNNING = ("InProgress", "Stopping")

_AT_A_TIME = 8  # AWS slows down who asks for more


@attrs.frozen(kw_only=True)
class Resource:
    """Something this library made.

    Attributes:
        kind: ``endpoint``, ``endpoint config``, ``model``, ``tuning job`` or ``training job`` (one that
            runs; a tuning job's trials cost, it does not) or ``warm pool`` (instances kept after the job
            of this name).
        name: As SageMaker knows it; a warm pool has its job's.
        arn: Its ARN.
        status: SageMaker's word; empty where there is none.
        created: When; UTC.
        expires: When a sweep may delete it; None for never.
        instance_type: What it runs on; None where it runs on nothing, or that is not known.
        instance_count: How many of them.
        usd_per_hour: What it costs an hour at most, all instances together; None where that is not known.
        tags: Its tags.
    """

    kind: str
    name: str
    arn: str
    status: str = ""
    created: dt.datetime | None = None
    expires: dt.datetime | None = None
    instance_type: str | None = None
    instance_count: int = 0
    usd_per_hour: float | None = 0.0
    tags: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    def __str__(self) -> str:
        parts = [self.status] if self.status else []
        if self.instance_count:
            cost = "unknown" if self.usd_per_hour is None else f"{self.usd_per_hour:.4f}"
            parts += [f"{self.instance_count} x {self.instance_type or 'unknown'}", f"{cost} USD/h"]
        parts += [f"expires {self.expires:%Y-%m-%d %H:%M} UTC"] if self.expires is not None else []
        return f"{self.kind} {self.name}" + (f" ({', '.join(parts)})" if parts else "")


@attrs.frozen
class _Found:
    """A line of one of SageMaker's lists."""

    kind: str
    name: str
    arn: str
    status: str
    created: dt.datetime | None


def resources(clients: Clients, *, prices: Prices, region: str) -> list[Resource]:
    """Return what this library made and what is still there, whoever of the account made it.

    Endpoints, their configs and models in any state; tuning jobs and training jobs that run; warm pools.

    Raises:
        AccountError: SageMaker refuses to list; the permission that is missing is named.
    """
    sagemaker = clients.sagemaker
    with (
        reported(AccountError, "what the library made cannot be listed"),
        ThreadPoolExecutor(_AT_A_TIME) as pool,
    ):
        found = list(_everything(sagemaker))
        tags = pool.map(lambda each: _tags(sagemaker, each.arn), found)
        ours = [
            (each, of_it)
            for each, of_it in zip(found, tags, strict=True)
            if of_it.get(PROJECT) == PROJECT_VALUE
        ]
        used = pool.map(lambda pair: _instances(sagemaker, pair[0]), ours)
        return [
            _resource(each, of_it, instances, prices, region)
            for (each, of_it), instances in zip(ours, used, strict=True)
        ]


def _everything(sagemaker: Any) -> Iterator[_Found]:
    for kind, operation, prefix in (
        (ENDPOINT, "list_endpoints", "Endpoint"),
        (ENDPOINT_CONFIG, "list_endpoint_configs", "EndpointConfig"),
        (MODEL, "list_models", "Model"),
    ):
        yield from _found(kind, prefix, _summaries(sagemaker, operation, f"{prefix}s"))
    for kind, prefix, operation in (
        (TUNING_JOB, "HyperParameterTuningJob", "list_hyper_parameter_tuning_jobs"),
        (TRAINING_JOB, "TrainingJob", "list_training_jobs"),
    ):
        for status in _RUNNING:
            listed = _summaries(sagemaker, operation, f"{prefix}Summaries", StatusEquals=status)
            for job in _found(kind, prefix, listed):
                if job.status == status:  # it may have ended since
                    yield job
    kept = (
        job
        for job in _summaries(
            sagemaker, "list_training_jobs", "TrainingJobSummaries", WarmPoolStatusEquals="Available"
        )
        if job.get("WarmPoolStatus", {}).get("Status") == "Available"
    )
    yield from _found(WARM_POOL, "TrainingJob", kept)


def _summaries(sagemaker: Any, operation: str, member: str, **wanted: str) -> Iterator[Mapping[str, Any]]:
    for page in sagemaker.get_paginator(operation).paginate(**wanted, PaginationConfig={"PageSize": 100}):
        yield from page.get(member, ())


def _found(kind: str, prefix: str, summaries: Iterable[Mapping[str, Any]]) -> Iterator[_Found]:
    for summary in summaries:
        if f"{prefix}Name" in summary and f"{prefix}Arn" in summary:
            yield _Found(
                kind,
                summary[f"{prefix}Name"],
                summary[f"{prefix}Arn"],
                summary.get(f"{prefix}Status", ""),
                summary.get("CreationTime"),
            )


def _tags(sagemaker: Any, arn: str) -> dict[str, str]:
    """Return a resource's tags; none where it has gone meanwhile."""
    try:
        pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page.get("Tags", ())}
    except ClientError as error:
        if is_missing(error):
            return {}
        raise


def _instances(sagemaker: Any, found: _Found) -> tuple[Instances, ...] | None:
    if found.kind == ENDPOINT:
        return instances_of(sagemaker, endpoint=found.name)
    if found.kind in (TRAINING_JOB, WARM_POOL):
        return instances_of(sagemaker, training_job=found.name)
    return ()


def _resource(
    found: _Found,
    tags: Mapping[str, str],
    instances: tuple[Instances, ...] | None,
    prices: Prices,
    region: str,
) -> Resource:
    known = instances or ()
    costs: list[float | None] = [None] if instances is None else []
    for each in known:
        price = prices.usd_per_hour(each.instance_type, each.use, region)
        costs.append(None if price is None else price * each.count)
    amounts = [cost for cost in costs if cost is not None]
    return Resource(
        kind=found.kind,
        name=found.name,
        arn=found.arn,
        status=found.status,
        created=found.created,
        expires=expiry(tags),
        instance_type=" + ".join(dict.fromkeys(each.instance_type for each in known)) or None,
        instance_count=sum(each.count for each in known),
        usd_per_hour=sum(amounts) if len(amounts) == len(costs) else None,
        tags=tags,
    )
