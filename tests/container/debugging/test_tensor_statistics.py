"""Statistics of tensors: right whatever is in them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sagemaker_dogbreed.container.debugging.records import Tensor, Tensors, from_line, to_line
from sagemaker_dogbreed.container.debugging.tensor_statistics import (
    _of_any,
    activity,
    described,
    measurable,
    measure,
    norm,
)

FLOATS = st.floats(width=32)


def statistics(tensor: torch.Tensor) -> Tensor:
    """Return the record of a tensor."""
    return described("weight", "Linear", tensor.numel(), measure(tensor).tolist())


def check(found: Tensor, numbers: list[float]) -> None:
    """Check all that is exact against the same in double precision."""
    finite = torch.tensor([each for each in numbers if math.isfinite(each)], dtype=torch.float64)
    assert found.elements == len(numbers)
    assert found.not_finite == len(numbers) - len(finite)
    assert found.nans == sum(map(math.isnan, numbers))
    if not len(finite):
        assert all(math.isnan(each) for each in (found.mean, found.norm, found.zeros, found.low))
        return
    peak = finite.abs().max().item()
    expected = {
        "mean": finite.mean(), "mean_abs": finite.abs().mean(), "norm": finite.norm(),
        "std": finite.std(correction=0), "minimum": finite.min(), "maximum": finite.max(),
    }  # fmt: skip
    for name, value in expected.items():
        tolerance = 1e-3 if name == "std" else 1e-5
        assert getattr(found, name) == pytest.approx(value.item(), rel=1e-4, abs=tolerance * peak), name
    assert found.zeros == pytest.approx((finite == 0).sum().item() / len(numbers))
    assert found.minimum - 1e-5 * peak <= found.low <= found.high <= found.maximum + 1e-5 * peak


@given(st.lists(FLOATS, min_size=1, max_size=40))
def test_any_numbers_are_measured(numbers):
    """Huge, tiny, infinite ones and what is not a number: the others' statistics are right."""
    check(statistics(torch.tensor(numbers, dtype=torch.float32)), numbers)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_gpus_measure_the_same(numbers):
    """The way that never looks at a number on the way, as on a GPU, has the same results."""
    tensor = torch.tensor(numbers, dtype=torch.float32)
    check(described("weight", "Linear", tensor.numel(), _of_any(tensor).tolist()), numbers)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 100, 300_000])
def test_types_and_sizes(dtype, size):
    """Of large tensors estimates are near, and what is exact stays so."""
    tensor = torch.randn(size, generator=torch.Generator().manual_seed(size)).add(0.1).to(dtype)
    found = statistics(tensor.reshape(1, size, 1))
    double = tensor.double()
    assert found.mean == pytest.approx(double.mean().item(), rel=1e-4)
    assert found.norm == pytest.approx(double.norm().item(), rel=1e-4)
    assert found.std == pytest.approx(double.std(correction=0).item(), rel=1e-4)
    assert (found.minimum, found.maximum) == pytest.approx(
        (double.min().item(), double.max().item()), rel=1e-4
    )
    assert found.mean_abs == pytest.approx(double.abs().mean().item(), rel=0.05)
    if size > 100:
        assert found.low == pytest.approx(double.quantile(0.05).item(), abs=0.15)
        assert found.high == pytest.approx(double.quantile(0.95).item(), abs=0.15)


def test_one_bad_number_among_many_is_seen():
    """What is not finite is counted, never estimated, in views that are not contiguous too."""
    tensor = torch.ones(500, 400)
    tensor[123, 45], tensor[400, 7] = math.nan, -math.inf
    found = statistics(tensor.t())
    assert (found.not_finite, found.nans, found.mean, found.std) == (2, 1, 1.0, 0.0)


def test_one_number_among_zeros_is_seen():
    """A tensor is all zeros only where every element is."""
    tensor = torch.zeros(500_000)
    assert statistics(tensor).zeros == 1.0
    tensor[7] = 1.0
    assert 0.99 < statistics(tensor).zeros < 1.0


def test_of_a_constant_nothing_varies():
    """The mean's rounding is not taken for variance."""
    assert statistics(torch.full((100_000,), 0.3)).std == pytest.approx(0.0, abs=1e-6)


def test_an_empty_tensor_has_no_statistics():
    """There is nothing to say of no numbers."""
    found = statistics(torch.zeros(0, 3))
    assert (found.elements, found.not_finite) == (0, 0)
    assert math.isnan(found.mean)


@given(st.lists(FLOATS, max_size=10))
def test_statistics_are_records(numbers):
    """They come back from a line of JSON as they are; NaN is NaN."""
    record = Tensors(time=0.0, step=0, tensors={"weight/w": statistics(torch.tensor(numbers))})
    assert repr(from_line(to_line(record))) == repr(record)


def test_the_norm_is_finite_where_the_tensor_is():
    """Squares that a float32 cannot hold are no hindrance."""
    assert norm(torch.tensor([3e38, 0.0])).item() == pytest.approx(3e38)
    assert norm(torch.tensor([3.0, 4.0], dtype=torch.bfloat16)).tolist() == [5.0]
    assert norm(torch.tensor([math.inf])).item() == math.inf


def test_only_dense_floating_point_numbers_are_measurable():
    """Class numbers, sparse gradients and what is no tensor are passed over."""
    assert measurable(torch.zeros(1))
    for other in (torch.zeros(1, dtype=torch.int64), torch.zeros(2).to_sparse(), None, "text"):
        assert not measurable(other)


def active(layer: nn.Module, inputs: torch.Tensor) -> list[float] | None:
    """Return the activity of a layer's units."""
    found = activity(type(layer).__name__, (inputs,), layer(inputs))
    return None if found is None else found.tolist()


def test_units_of_relus_are_active_where_they_are_not_zero():
    """Of four units one is dead, one is active for half of the examples, two are for all."""
    inputs = torch.tensor([[-1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, 1.0, 1.0]])
    quantiles = active(nn.ReLU(), inputs)
    assert len(quantiles) == 21
    assert sorted(set(quantiles)) == [0.0, 50.0, 100.0]
    assert quantiles == sorted(quantiles)


def test_units_of_images_are_channels():
    """A channel is active at a share of its pixels, of all images."""
    inputs = -torch.ones(2, 3, 2, 2)
    inputs[0, 1, 0, 0] = 1.0
    assert sorted(set(active(nn.ReLU6(), inputs))) == [0.0, 12.5]


def test_saturation_is_seen_in_the_input():
    """Beyond its thresholds a tanh, or a sigmoid, does nothing, though its output is not zero."""
    inputs = torch.tensor([[-20.0, 0.0, 20.0]])
    assert sorted(set(active(nn.Tanh(), inputs))) == [0.0, 100.0]
    assert active(nn.Tanh(), inputs).count(0.0) == 15
    assert active(nn.Sigmoid(), inputs).count(0.0) == 6


def test_other_layers_and_gates_have_no_activity():
    """A linear layer has none; nor have maps of one pixel, nor empty ones."""
    assert active(nn.Identity(), torch.ones(2, 3)) is None
    assert active(nn.ReLU(), torch.ones(2, 3, 1, 1)) is None
    assert active(nn.ReLU(), torch.ones(0, 3)) is None
