"""The numbers of a job's profile, from its records."""

from __future__ import annotations

import dataclasses
import math

import pytest
from diagnosed_cases import batches, found, machine, span, start
from hypothesis import example, given
from hypothesis import strategies as st

from sagemaker_dogbreed.analysis.profile import Profile, profile_of
from sagemaker_dogbreed.analysis.quantiles import Quantiles
from sagemaker_dogbreed.container.debugging.history import History


def history_of(*records) -> History:
    return History.of([record for each in records for record in (each if isinstance(each, list) else [each])])


def test_nothing_recorded_is_an_empty_profile():
    """What was not measured is None, and nothing fails."""
    assert profile_of(History()) == Profile()


def test_quantiles_leave_out_what_is_no_number():
    """NaN and infinities do not move the others; numbers beyond a float do not break them."""
    spread = Quantiles.of([*range(101), math.nan, math.inf, -math.inf, 10**400])
    assert spread == Quantiles(count=101, minimum=0, p5=5, median=50, p95=95, maximum=100)
    assert Quantiles.of([math.nan]) is None


@given(st.lists(st.floats() | st.integers(), max_size=30))
@example([2**53 + 1])
def test_quantiles_are_in_order(values):
    """Whatever the numbers, each quantile is at least the one before."""
    spread = Quantiles.of(values)
    if spread is not None:
        ordered = [spread.minimum, spread.p5, spread.median, spread.p95, spread.maximum]
        assert all(map(math.isfinite, ordered))
        assert ordered == sorted(ordered)


def test_times_are_told_by_mode_and_phase():
    """Batches of a mode have a median and a sum for each phase; the mode that waits most is the slowest."""
    profile = profile_of(
        history_of(
            start(num_workers=2, processors=4, pin_memory=True, device="cuda:0", on_features=True),
            batches(10, data=0.2, forward=0.1, mode="extract"),
            batches(20, data=0.01, forward=0.02, backward=0.03, optimizer=0.04),
        )
    )
    assert (profile.num_workers, profile.processors, profile.pin_memory) == (2, 4, True)
    assert (profile.device, profile.on_features) == ("cuda", True)
    assert profile.slowest == ("extract", profile.batches["extract"])
    assert profile.loading.median == 0.2
    assert profile.batches["train"].count == 20
    assert profile.batches["train"].computing == pytest.approx(0.09)
    assert profile.batches["train"].sums["data"] == pytest.approx(0.2)


def test_the_machine_is_told_in_quantiles():
    """Cores and GPUs are averaged, the busiest core is told apart, and processors are counted."""
    profile = profile_of(
        history_of(machine(20, cpu=(100.0, 0.0), gpu=(40.0, 60.0), gpu_memory=(10.0, 10.0), io_wait=5.0))
    )
    assert (profile.processors, profile.gpus, profile.samples) == (2, 2, 20)
    assert (profile.cpu.median, profile.busiest_core.median) == (50, 100)
    assert (profile.gpu.median, profile.gpu_memory.median, profile.io_wait.median) == (50, 10, 5)
    assert profile.own_memory == (1e9,) * 6


def test_percentages_that_cannot_be_are_left_out():
    """A counter that overflowed says nothing of a processor."""
    bad = [dataclasses.replace(each, cpu=(1e12,), memory=-3.0, io_wait=math.nan) for each in machine(5)]
    profile = profile_of(history_of(bad))
    assert (profile.cpu, profile.memory, profile.io_wait) == (None, None, None)


def test_parts_of_a_job_are_added_up():
    """Two checkpoints are one sum; times that cannot be are left out."""
    profile = profile_of(
        history_of(
            start(), span("initialization", 30.0), span("checkpoint", 2.0), span("checkpoint", 3.0),
            span("checkpoint", math.nan), span("checkpoint", -1.0),
        ),
        found("StepOutlier"),
    )  # fmt: skip
    assert profile.initialization_seconds == 30
    assert profile.spans == {"initialization": 30, "checkpoint": 5}
    assert profile.seconds == 31
    assert [rule.name for rule in profile.rules] == ["StepOutlier"]


def test_processes_are_told_apart():
    """Each one's time until its batch has passed forward; backward waits for the others."""
    profile = profile_of(
        history_of(
            batches(5, data=0.1, forward=0.2, backward=0.5, node="rank-0"),
            batches(5, data=0.1, forward=0.5, backward=0.2, node="rank-1"),
        )
    )
    assert profile.nodes == {"rank-0": pytest.approx(0.3), "rank-1": pytest.approx(0.6)}
