"""Costs at most, and budgets."""

from __future__ import annotations

import math

import pytest

from sagemaker_dogbreed import BudgetError, ComputeSpec, EndpointSpec, SpecError, TrainingSpec, TuningSpec
from sagemaker_dogbreed.aws.spending.costs import (
    CostEstimate,
    check_budget,
    costs_of,
    endpoint_cost,
    total_text,
    total_usd,
    training_cost,
    tuning_cost,
)


class PriceList:
    """A price list of one instance type."""

    def usd_per_hour(self, instance_type, use, region):
        """Return 2 USD for training on it, 1 USD for an endpoint; nothing else is known."""
        usd = {"Training": 2.0, "Hosting": 1.0}[use]
        return usd if (instance_type, region) == ("ml.g5.xlarge", "eu-west-1") else None


def _training(**compute):
    return TrainingSpec(compute=ComputeSpec(instance_type="ml.g5.xlarge", **compute))


def _cost(spec):
    return training_cost(spec, PriceList(), "eu-west-1")


def test_a_training_job_costs_its_longest_time_on_all_instances():
    """2 h on 3 instances are 6 instance-hours."""
    cost = _cost(_training(max_runtime_seconds=7200, instance_count=3, distribution="torchrun"))
    assert cost.instance_hours_at_most == 6
    assert cost.usd_at_most == 12
    assert str(cost) == "training job: 3 x ml.g5.xlarge, 2.00 h at most, 2.0000 USD/h each: 12.00 USD at most"


def test_a_warm_pool_is_paid_for():
    """What is kept after the job is billed as the job is."""
    assert _cost(_training(max_runtime_seconds=3600, keep_alive_seconds=1800)).usd_at_most == 3


def test_spot_costs_what_others_do_at_most():
    """Waiting for instances costs nothing."""
    spot = _training(max_runtime_seconds=3600, spot=True, max_wait_seconds=36_000)
    assert _cost(spot).usd_at_most == _cost(_training(max_runtime_seconds=3600)).usd_at_most


def test_a_tuning_job_costs_all_its_jobs():
    """Side by side or one after the other, they cost the same."""
    training = _training(max_runtime_seconds=3600)
    costs = [
        tuning_cost(TuningSpec(max_jobs=6, max_parallel_jobs=n), training, PriceList(), "eu-west-1")
        for n in (1, 3)
    ]
    assert [cost.usd_at_most for cost in costs] == [12, 12]
    assert [cost.count for cost in costs] == [1, 3]


def test_an_endpoint_costs_until_it_expires():
    """One that never does has a price an hour, and no end."""
    spec = EndpointSpec(instance_type="ml.g5.xlarge", instance_count=2, expires_hours=5.0)
    assert endpoint_cost(spec, PriceList(), "eu-west-1").usd_at_most == 10
    forever = endpoint_cost(EndpointSpec(instance_type="ml.g5.xlarge"), PriceList(), "eu-west-1")
    assert (forever.usd_per_hour, forever.usd_at_most) == (1.0, None)
    assert "no end" in str(forever)


def test_a_sum_with_an_unknown_part_is_unknown():
    """No number is given that leaves something out."""
    known, unknown = _cost(_training()), _cost(TrainingSpec())
    assert total_usd([known, known]) == 2 * known.usd_at_most
    assert total_usd([known, unknown]) is None
    assert total_usd([]) == 0
    assert total_text([unknown]).splitlines()[-1] == "in all: unknown"
    assert "price unknown: unknown" in total_text([unknown])


def test_a_budget_that_suffices_is_silent():
    """To the cent."""
    check_budget([_cost(_training(max_runtime_seconds=3600))], 2)
    check_budget([], 0)


@pytest.mark.parametrize(
    ("estimate", "cause"),
    [
        (_cost(_training(max_runtime_seconds=3601)), r"more than max_cost \(2.00 USD\) may be spent"),
        (_cost(TrainingSpec()), "needs the permission pricing:GetProducts"),
        (endpoint_cost(EndpointSpec(), PriceList(), "eu-west-1"), r"set endpoint.expires_hours"),
    ],
)
def test_beyond_a_budget_nothing_is_submitted(estimate, cause):
    """Too dear, of unknown price, or without end: each is refused with its way out."""
    with pytest.raises(BudgetError, match=cause):
        check_budget([estimate], 2)


@pytest.mark.parametrize("budget", [math.nan, math.inf, -1, "5", True, None])
def test_a_budget_is_an_amount_of_money(budget):
    """Anything else is refused, not taken for no limit."""
    with pytest.raises(SpecError, match="max_cost must be an amount of USD"):
        check_budget([], budget)


def test_small_parts_add_up():
    """Together they count, not each by itself."""
    part = CostEstimate(what="training job", instance_type="t", count=1, hours_at_most=1, usd_per_hour=0.6)
    check_budget([part], 1)
    with pytest.raises(BudgetError):
        check_budget([part, part], 1)


def test_specs_cost_what_their_parts_do():
    """In the order in which they are run; what is not asked for costs nothing."""
    training = _training(max_runtime_seconds=3600)
    found = costs_of(
        PriceList(), "eu-west-1", training=training, tuning=TuningSpec(max_jobs=2), endpoint=EndpointSpec()
    )
    assert [(each.what, each.usd_at_most) for each in found] == [
        ("tuning job", 4),
        ("training job", 2),
        ("endpoint", None),
    ]
    assert costs_of(PriceList(), "eu-west-1") == ()


def test_what_is_free_costs_nothing_however_long():
    """An endpoint without an end on one's own machine is within every budget."""
    estimate = CostEstimate(
        what="endpoint", instance_type="ml.m5.large", count=1, hours_at_most=None, usd_per_hour=0.0
    )
    check_budget([estimate], 0)
    assert estimate.usd_at_most == 0
