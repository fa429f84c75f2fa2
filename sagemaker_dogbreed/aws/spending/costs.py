"""What a job or an endpoint costs at most, and whether that is within a budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import attrs

from sagemaker_dogbreed.aws.spending.pricing import HOSTING, TRAINING
from sagemaker_dogbreed.errors import BudgetError, SpecError
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec

_SECONDS_PER_HOUR = 3600


class Prices(Protocol):
    """What instances cost."""

    def usd_per_hour(self, instance_type: str, use: str, region: str) -> float | None:
        """Return the USD that one instance costs an hour; None where it is not known."""


@attrs.frozen(kw_only=True)
class CostEstimate:
    """What instances cost at most; their disks, data transfer and taxes come on top.

    Attributes:
        what: ``training job``, ``tuning job`` or ``endpoint``.
        instance_type: As in ``ml.m5.large``.
        count: Instances at a time.
        hours_at_most: Hours of each of them; None where there is no end to it.
        usd_per_hour: Price of one instance on demand; None where it is not known.
    """

    what: str
    instance_type: str
    count: int
    hours_at_most: float | None
    usd_per_hour: float | None

    @property
    def instance_hours_at_most(self) -> float | None:
        """Hours of all instances together; None where there is no end to it."""
        return None if self.hours_at_most is None else self.hours_at_most * self.count

    @property
    def usd_at_most(self) -> float | None:
        """USD for all instances; None where price or hours are not known. What is free stays free."""
        if self.usd_per_hour == 0:
            return 0.0
        if self.instance_hours_at_most is None or self.usd_per_hour is None:
            return None
        return self.instance_hours_at_most * self.usd_per_hour

    def __str__(self) -> str:
        hours = "no end" if self.hours_at_most is None else f"{self.hours_at_most:.2f} h at most"
        price = "price unknown" if self.usd_per_hour is None else f"{self.usd_per_hour:.4f} USD/h each"
        cost = "unknown" if self.usd_at_most is None else f"{self.usd_at_most:.2f} USD at most"
        return f"{self.what}: {self.count} x {self.instance_type}, {hours}, {price}: {cost}"


def costs_of(
    prices: Prices,
    region: str,
    *,
    training: TrainingSpec | None = None,
    tuning: TuningSpec | None = None,
    endpoint: EndpointSpec | None = None,
) -> tuple[CostEstimate, ...]:
    """Return what specs cost at most, in the order in which they are run."""
    found = []
    if tuning is not None:
        found.append(tuning_cost(tuning, training or TrainingSpec(), prices, region))
    if training is not None:
        found.append(training_cost(training, prices, region))
    if endpoint is not None:
        found.append(endpoint_cost(endpoint, prices, region))
    return tuple(found)


def training_cost(spec: TrainingSpec, prices: Prices, region: str) -> CostEstimate:
    """Return what a training job costs at most.

    Spot instances cost at most what others do; a warm pool is kept, and billed, after the job's end.
    Attempts of a job that is retried count together.
    """
    return _job("training job", spec, prices, region, jobs=1, parallel=1)


def tuning_cost(tuning: TuningSpec, training: TrainingSpec, prices: Prices, region: str) -> CostEstimate:
    """Return what a tuning job's training jobs cost at most, all of them together."""
    return _job(
        "tuning job", training, prices, region, jobs=tuning.jobs_at_most, parallel=tuning.jobs_at_a_time
    )


def endpoint_cost(spec: EndpointSpec, prices: Prices, region: str) -> CostEstimate:
    """Return what an endpoint costs until it expires; one that does not expire has no end to its hours.

    At its expiry an endpoint does not go by itself: a sweep deletes it.
    """
    return CostEstimate(
        what="endpoint",
        instance_type=spec.instance_type,
        count=spec.instance_count,
        hours_at_most=spec.expires_hours,
        usd_per_hour=prices.usd_per_hour(spec.instance_type, HOSTING, region),
    )


def total_usd(estimates: Iterable[CostEstimate]) -> float | None:
    """Return the sum at most, USD; None where a part of it is not known."""
    amounts = [estimate.usd_at_most for estimate in estimates]
    known = [amount for amount in amounts if amount is not None]
    return math.fsum(known) if len(known) == len(amounts) else None


def total_text(estimates: Sequence[CostEstimate]) -> str:
    """Return the estimates and their sum, a line each."""
    total = total_usd(estimates)
    last = "unknown" if total is None else f"{total:.2f} USD at most, without disks and transfer"
    return "\n".join([*map(str, estimates), f"in all: {last}"])


def check_budget(estimates: Sequence[CostEstimate], max_cost: float) -> None:
    """Check that what is asked costs no more than a budget, whatever happens.

    Args:
        estimates: All that would be submitted.
        max_cost: USD.

    Raises:
        BudgetError: It may cost more, has no end, or has no known price.
        SpecError: The budget is no amount of money.
    """
    if not _is_amount(max_cost):
        raise SpecError(f"max_cost must be an amount of USD, 0 or more; got {max_cost!r}")
    for estimate in estimates:
        if estimate.hours_at_most is None and estimate.usd_at_most is None:
            raise BudgetError(
                f"{estimate}. It is not bounded by max_cost ({max_cost:.2f} USD): set {estimate.what}."
                "expires_hours and sweep, or leave max_cost out"
            )
        if estimate.usd_at_most is None:
            raise BudgetError(
                f"{estimate}. Whether that is within max_cost ({max_cost:.2f} USD) cannot be told: the price "
                "needs the permission pricing:GetProducts; ask for it, or leave max_cost out"
            )
    total = total_usd(estimates)
    if total is not None and total > max_cost:
        raise BudgetError(
            f"more than max_cost ({max_cost:.2f} USD) may be spent; lower compute.max_runtime_seconds, "
            f"instance_count or expires_hours, or raise max_cost:\n{total_text(estimates)}"
        )


def _is_amount(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= 0


def _job(
    what: str, spec: TrainingSpec, prices: Prices, region: str, *, jobs: int, parallel: int
) -> CostEstimate:
    compute = spec.compute
    seconds = compute.max_runtime_seconds + (compute.keep_alive_seconds or 0)
    # Jobs that run at a time are instances at a time; the sum is the same.
    return CostEstimate(
        what=what,
        instance_type=compute.instance_type,
        count=compute.instance_count * parallel,
        hours_at_most=seconds * jobs / parallel / _SECONDS_PER_HOUR,
        usd_per_hour=prices.usd_per_hour(compute.instance_type, TRAINING, region),
    )
