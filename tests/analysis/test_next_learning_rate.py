"""The learning rate that is proposed has steps of a healthy size."""

from __future__ import annotations

import math

import pytest
from diagnosed_cases import diagnosis_of, start, steps, tensors
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.container import hparams


def proposed(*, losses, update=None, **settings):
    """The learning rate that a diagnosis proposes."""
    told = start(**settings)
    sampled = [tensors(0, weight__head={"update": update})] if update is not None else []
    return diagnosis_of(told, steps(losses), sampled).changes.get("learning_rate")


EXPLODED = [2.3, 9.0, math.nan]
STAYING = [1.386] * 40


@pytest.mark.parametrize(
    ("old", "optimizer", "update", "new"),
    [
        (100.0, "sgd", 7.72, 0.1),
        (100.0, "sgd", 1760.0, 0.0001),
        (100.0, "sgd", None, 0.01),
        (10.0, "adam", 622.0, 0.001),
        (0.1, "adam", 6.22, 0.001),
        (0.005, "adam", 0.5, 0.001),
        (0.05, "sgd", None, 0.005),
        (0.001, "adam", 0.003, 0.0001),
    ],
)
def test_a_rate_that_is_too_high_is_lowered_at_once(old, optimizer, update, new):
    """By as much as the steps were too large, or to what is usual where it is far from that."""
    assert proposed(losses=EXPLODED, learning_rate=old, optimizer=optimizer, update=update) == new


@pytest.mark.parametrize(
    ("old", "optimizer", "new"), [(1e-7, "adam", 0.001), (1e-7, "sgd", 0.01), (1e-7, None, 0.001)]
)
def test_a_rate_that_is_too_low_is_raised_at_once(old, optimizer, new):
    """To what is usual with the optimizer."""
    told = {} if optimizer is None else {"optimizer": optimizer}
    assert proposed(losses=STAYING, learning_rate=old, update=1e-8, **told) == new


@given(
    old=st.floats(1e-9, 100),
    update=st.floats(0, 1e300),
    optimizer=st.sampled_from(["adam", "adamw", "sgd"]),
    exploded=st.booleans(),
)
def test_any_proposal_is_acceptable(old, update, optimizer, exploded):
    """It is within the limits, and lower where steps are too large."""
    losses = EXPLODED if exploded else STAYING
    new = proposed(losses=losses, learning_rate=old, optimizer=optimizer, update=update)
    if new is not None:
        hparams.check("learning_rate", new)
        assert not exploded or new < old
