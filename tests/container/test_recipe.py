"""What a training does beyond plain steps: schedules, losses, mixup, averages, rates by block."""

from __future__ import annotations

import contextlib
import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from training_jobs import quick_classifier

from sagemaker_dogbreed.container.average import Average
from sagemaker_dogbreed.container.data import UNCOUNTED
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.learning import Learning
from sagemaker_dogbreed.container.recipe import UNCHANGED, Recipe, balanced, plain_loss
from sagemaker_dogbreed.container.schedule import rate_share

CPU = torch.device("cpu")


class Examples:
    """A split of so many examples, whose batches nobody asks for."""

    def __init__(self, counts: list[int]) -> None:
        self.class_counts, self.sampler = torch.tensor(counts), range(sum(counts))

    def batches(self, epoch: int = 0):
        raise AssertionError("nobody asks")


def shares(steps: int = 100, **changes: object) -> list[float]:
    wanted = Hyperparameters(**changes)
    return [rate_share(wanted, step, steps) for step in range(steps)]


def test_a_constant_rate_is_the_whole_rate():
    """Without a schedule and warm-up nothing changes."""
    assert set(shares()) == {1.0}


def test_warm_up_rises_linearly_to_the_whole_rate():
    """In a tenth of the steps the rate rises by the same amount each, and is whole from then on."""
    found = shares(warmup=0.1)
    assert found[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert set(found[10:]) == {1.0}


@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_cosine_falls_to_nothing(warmup):
    """From the whole rate along half a cosine: half of it in the middle, next to none at the end."""
    found = shares(schedule="cosine", warmup=warmup)
    rising = int(100 * warmup)
    assert found[rising] == 1.0
    assert found[rising + (100 - rising) // 2] == pytest.approx(0.5)
    assert sorted(found[rising:], reverse=True) == found[rising:]
    assert 0 < found[-1] < 0.001


@pytest.mark.parametrize(("warmup", "top"), [(0.0, 30), (0.5, 50)])
def test_one_cycle_rises_and_falls(warmup, top):
    """It begins with a twenty-fifth or little more, is whole once, and ends with next to nothing."""
    found = shares(schedule="one_cycle", warmup=warmup)
    assert 1 / 25 < found[0] < 1 / 20
    assert found[top] == 1.0
    assert sorted(found[: top + 1]) == found[: top + 1]
    assert sorted(found[top:], reverse=True) == found[top:]
    assert 0 < found[-1] < 0.001


@given(
    schedule=st.sampled_from(["constant", "cosine", "one_cycle"]),
    warmup=st.floats(0, 0.9),
    steps=st.integers(1, 300),
    data=st.data(),
)
def test_every_step_has_a_usable_rate(schedule, warmup, steps, data):
    """Whatever the length, no step's rate is zero, above the whole or negative."""
    step = data.draw(st.integers(0, steps - 1))
    share = rate_share(Hyperparameters(schedule=schedule, warmup=warmup), step, steps)
    assert 0 < share <= 1


def test_an_epoch_that_has_a_step_more_than_planned_stands_still():
    """The rate is none at and after the planned end, never a negative one."""
    wanted = Hyperparameters(schedule="cosine")
    assert [rate_share(wanted, step, 10) for step in (10, 25)] == [0.0, 0.0]


def test_smoothing_and_weights_shape_the_gradients_alone():
    """The loss to train on is torch's with both; the one to report is plain cross-entropy."""
    torch.manual_seed(0)
    scores, labels = torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 2, UNCOUNTED])
    wanted = Hyperparameters(label_smoothing=0.1, class_weights="balanced")
    recipe = Recipe.of(wanted, torch.tensor([30, 10, 20]), CPU)
    targets = ((1.0, labels),)
    plain = plain_loss(scores, targets)
    assert plain == pytest.approx(nn.functional.cross_entropy(scores[:5], labels[:5], reduction="sum").item())
    expected = nn.functional.cross_entropy(
        scores[:5], labels[:5], torch.tensor([2 / 3, 2.0, 1.0]), label_smoothing=0.1, reduction="sum"
    )
    torch.testing.assert_close(recipe.loss(scores, targets, plain), expected)
    assert UNCHANGED.loss(scores, targets, plain) is plain


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any))
def test_balanced_classes_count_the_same(counts):
    """Weights times counts are equal for all classes that have examples, and the mean weight is 1."""
    found = torch.tensor(counts)
    together = balanced(found) * found
    assert torch.isfinite(balanced(found)).all()
    torch.testing.assert_close(together[found > 0], together.max().expand(int((found > 0).sum())))
    assert together.sum().item() == pytest.approx(sum(counts), rel=1e-4)


@pytest.mark.parametrize("shape", [(7, 5), (7, 3, 4, 4)])
def test_mixup_blends_features_and_images_alike(shape):
    """Each example is its own share plus the rest of a partner, and so is its loss; the larger one leads."""
    torch.manual_seed(3)
    inputs, labels = torch.randn(shape), torch.arange(7)
    blend, ((share, first), (rest, second)) = Recipe(mixup=0.4).blended(inputs, labels)
    assert share + rest == pytest.approx(1)
    assert share >= 0.5
    assert torch.equal(first, labels)
    assert sorted(second.tolist()) == list(range(7))
    torch.testing.assert_close(blend, share * inputs + rest * inputs[second])
    scores = torch.randn(7, 7)
    one, other = (nn.functional.cross_entropy(scores, part, reduction="sum") for part in (first, second))
    torch.testing.assert_close(
        plain_loss(scores, ((share, first), (rest, second))), share * one + rest * other
    )


def test_mixup_is_seeded_and_differs_from_batch_to_batch():
    """The same seed blends in the same way; the next batch in another."""
    inputs, labels, blends = torch.randn(8, 4), torch.arange(8), []
    for _ in range(2):
        torch.manual_seed(5)
        blends.append([Recipe(mixup=1.0).blended(inputs, labels)[0] for _ in range(2)])
    assert torch.equal(blends[0][0], blends[1][0])
    assert not torch.equal(blends[0][0], blends[0][1])


def test_an_image_that_fills_a_share_counts_in_no_blend():
    """Mixup of what does not count adds nothing to the loss, and no gradient that is not a number."""
    scores = torch.randn(1, 3, requires_grad=True)
    inputs, targets = Recipe(mixup=1.0).blended(torch.randn(1, 4), torch.tensor([UNCOUNTED]))
    assert torch.isfinite(inputs).all()
    loss = plain_loss(scores, targets)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(scores.grad, torch.zeros(1, 3))


def test_the_average_forgets_faster_in_the_beginning():
    """It begins with what the first step left, and then weighs as the smaller of two decays says."""
    live = {"weight": torch.tensor([100.0]), "count": torch.tensor(0)}
    average, expected = Average(live, 0.5), math.nan
    for step in range(40):
        live["weight"].fill_(float(step))
        live["count"].fill_(step)
        average.update(step)
        decay = min(0.5, step / (step + 9))
        expected = decay * expected + (1 - decay) * step if step else 0.0
        assert average.state()["weight"].item() == pytest.approx(expected, rel=1e-5)
        assert average.state()["count"].item() == step
    copy = Average({"weight": torch.zeros(1), "count": torch.tensor(0)}, 0.5)
    copy.load(average.state())
    assert copy.state() == average.state()


def test_the_average_is_in_use_for_a_while():
    """Within the block the classifier is the average, whatever happens; after it, what was trained."""
    classifier = quick_classifier(ema_decay=0.9)
    wanted = Hyperparameters(finetune="full", weights="none", ema_decay=0.9, learning_rate=0.1)
    learning = Learning(classifier, wanted, Examples([8, 8, 8]), CPU)
    for _ in range(3):
        learning.step(classifier(torch.randn(2, 3, 32, 32)).square().sum())
    trained, average = classifier.trained_state(), learning.average_state()
    assert not torch.equal(trained["head.0.weight"], average["head.0.weight"])
    with contextlib.suppress(RuntimeError), learning.average_in_use():
        in_use = classifier.trained_state()
        raise RuntimeError
    torch.testing.assert_close(in_use, average, rtol=0, atol=0)
    torch.testing.assert_close(classifier.trained_state(), trained, rtol=0, atol=0)


def test_without_an_average_there_is_none():
    """Nothing is kept, and the classifier stays as it is."""
    classifier = quick_classifier()
    learning = Learning(classifier, Hyperparameters(weights="none"), Examples([8, 8]), CPU)
    assert learning.average_state() == {}
    with learning.average_in_use():
        pass


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_rates_rise_by_the_same_factor_from_block_to_block(optimizer):
    """From backbone_rate at the first block to the whole rate at the head, times what the schedule says."""
    wanted = Hyperparameters(
        finetune="full", optimizer=optimizer, learning_rate=0.01, backbone_rate=0.01, batch_size=4,
        epochs=2, schedule="cosine",
    )  # fmt: skip
    classifier = quick_classifier()
    learning = Learning(classifier, wanted, Examples([4, 4]), CPU)
    learning.begin(2)  # of two steps an epoch: half of all steps are taken
    learning.step(classifier(torch.randn(2, 3, 32, 32)).square().sum())
    rates = [group["lr"] for group in learning.optimizer.param_groups]
    assert (len(rates), rates[0], rates[-1]) == (9, pytest.approx(0.01 * 0.01 / 2), pytest.approx(0.01 / 2))
    factors = [after / before for before, after in pairwise(rates)]
    assert factors == pytest.approx([100 ** (1 / 8)] * 8)
    parameters = [parameter for group in learning.optimizer.param_groups for parameter in group["params"]]
    assert sorted(map(id, parameters)) == sorted(map(id, classifier.parameters()))


@pytest.mark.parametrize(
    ("changes", "first"),
    [({"weights": "none"}, 1.0), ({}, 0.1), ({"backbone_rate": 0.5}, 0.5), ({"weights": "channel"}, 0.1)],
)
def test_only_a_pretrained_backbone_is_slower_by_default(changes, first):
    """Random weights learn as fast everywhere."""
    wanted = Hyperparameters(finetune="full", **changes)
    learning = Learning(quick_classifier(), wanted, Examples([4, 4]), CPU)
    assert learning.optimizer.param_groups[0]["share"] == pytest.approx(first)
    assert learning.optimizer.param_groups[-1]["share"] == 1.0


def test_the_last_block_has_the_first_rate_where_it_is_the_first_that_trains():
    """With finetune: last_block there are two groups: the block's parameters, and the head's."""
    classifier = quick_classifier(finetune="last_block")
    wanted = Hyperparameters(finetune="last_block")
    groups = Learning(classifier, wanted, Examples([4, 4]), CPU).optimizer.param_groups
    assert [group["share"] for group in groups] == [pytest.approx(0.1), 1.0]
    assert len(groups[0]["params"]) == 6  # three convolutions of a fire module


@pytest.mark.parametrize(
    ("changes", "epochs"),
    [
        ({"finetune": "full"}, 1),
        ({"finetune": "last_block", "head_epochs": 3}, 3),
        ({"finetune": "full", "head_epochs": 30}, 20),
        ({"finetune": "full", "weights": "none"}, 0),
        ({"finetune": "head", "head_epochs": 3}, 0),
    ],
)
def test_epochs_in_which_the_head_trains_alone(changes, epochs):
    """Only before a pretrained backbone joins in."""
    classifier = quick_classifier(finetune=changes["finetune"])
    learning = Learning(classifier, Hyperparameters(**changes), Examples([4, 4]), CPU)
    assert learning.head_epochs == epochs
