"""The learning-rate range test."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sagemaker_dogbreed.container.rate_test import suggest_learning_rate


@pytest.fixture
def examples() -> tuple[torch.Tensor, torch.Tensor]:
    """Features of ten classes that overlap a little, in half precision as they are kept."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(1000) % 10
    centers = torch.randn(10, 64, generator=generator)
    return (centers[labels] + 2 * torch.randn(1000, 64, generator=generator)).half(), labels


def new_head() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def loss_after(rate: float, features: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the loss of a part that a head has not seen, after epochs on the rest at a constant rate."""
    head = new_head()
    optimizer = torch.optim.Adam(head.parameters(), rate)
    for _ in range(10):
        for start in range(0, 640, 64):
            batch = slice(start, start + 64)
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(features[batch].float()), labels[batch]).backward()
            optimizer.step()
    return nn.functional.cross_entropy(head(features[640:].float()), labels[640:]).item()


def test_the_suggestion_learns_and_others_do_worse(examples):
    """Training with it ends far below where it began, and below rates that are far lower or higher."""
    found = suggest_learning_rate(new_head(), *examples)
    losses = [loss_after(found.suggestion * factor, *examples) for factor in (1 / 30, 1, 300)]
    assert losses[1] == min(losses)
    assert losses[1] < 0.5 * loss_after(1e-9, *examples)


def test_the_curve(examples):
    """Rates rise by the same factor from the lowest to the highest, and each has a loss."""
    found = suggest_learning_rate(new_head(), *examples, low=1e-4, high=0.1, steps=30)
    assert found.rates[0] == pytest.approx(1e-4)
    assert found.rates[-1] == pytest.approx(0.1)
    ratios = torch.tensor(found.rates[1:]) / torch.tensor(found.rates[:-1])
    torch.testing.assert_close(ratios, torch.full((29,), 1000 ** (1 / 29)))
    assert len(found.losses) == 30
    assert min(found.losses) < found.losses[0]
    assert found.suggestion in found.rates


def test_it_ends_where_the_loss_explodes(examples):
    """Rates that are far too high are not all tried, and none of them is suggested."""
    found = suggest_learning_rate(new_head(), *examples, high=1e6)
    assert len(found.rates) < 100
    assert found.suggestion < 1


def test_head_and_random_numbers_stay_as_they_are(examples):
    """The head is not trained, torch's generator goes on as before, and a seed gives the same curve."""
    head = new_head()
    before = [parameter.clone() for parameter in head.parameters()]
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one = suggest_learning_rate(head, *examples, seed=3)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(*pair) for pair in zip(before, head.parameters(), strict=True))
    assert suggest_learning_rate(head, *examples, seed=3) == one
    assert suggest_learning_rate(head, *examples, seed=4) != one


def test_fewer_examples_than_a_batch(examples):
    """They are gone through again and again."""
    features, labels = (part[:5] for part in examples)
    assert len(suggest_learning_rate(new_head(), features, labels, steps=20, high=0.01).rates) == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 0}, "0 < low < high"),
        ({"low": 0.1, "high": 0.01}, r"got low 0.1, high 0.01"),
        ({"high": float("nan")}, "high nan"),
        ({"high": float("inf")}, "high inf"),
        ({"steps": 1}, "2 or more steps"),
        ({"batch_size": 0}, "batch_size 0"),
    ],
)
def test_no_range(examples, changes, message):
    """What makes no range is refused, and the message names it."""
    with pytest.raises(ValueError, match=message):
        suggest_learning_rate(new_head(), *examples, **changes)


def test_no_examples(examples):
    """There must be as many labels as features, some, and numbers."""
    features, labels = examples
    with pytest.raises(ValueError, match="got 0 and 0"):
        suggest_learning_rate(new_head(), features[:0], labels[:0])
    with pytest.raises(ValueError, match="got 1000 and 10"):
        suggest_learning_rate(new_head(), features[:10], labels)
    with pytest.raises(ValueError, match="no number from the beginning"):
        suggest_learning_rate(new_head(), features * float("nan"), labels)
