"""The training rules' own borders: AWS's parameters and defaults, counts, and what is not judged."""

from __future__ import annotations

import dataclasses
import math

import pytest

from sagemaker_dogbreed.container.debugging import builtin  # noqa: F401 - it registers the rules
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Epoch, Start, Step, System, Tensor, Tensors
from sagemaker_dogbreed.container.debugging.rules import REGISTRY

AWS = {
    "VanishingGradient": {"threshold": 1e-7},
    "ExplodingTensor": {"only_nan": False},
    "PoorWeightInitialization": {"threshold": 10.0, "distribution_range": 0.001, "patience": 5, "steps": 10},
    "LossNotDecreasing": {"num_steps": 10, "diff_percent": 0.1, "increase_threshold_percent": 5.0},
    "Overfit": {"start_step": 0, "patience": 1, "ratio_threshold": 0.1},
    "Overtraining": {"patience_train": 5, "patience_validation": 10, "delta": 0.01},
    "WeightUpdateRatio": {"large_threshold": 10.0, "small_threshold": 1e-8, "epsilon": 1e-9},
    "DeadRelu": {"threshold_inactivity": 1.0, "threshold_layer": 50.0},
    "SaturatedActivation": {"threshold_inactivity": 1.0, "threshold_layer": 50.0},
    "ClassImbalance": {"threshold_imbalance": 10.0, "threshold_misprediction": 0.7, "samples": 500},
    "AllZero": {"threshold": 100.0},
    "UnchangedTensor": {"num_steps": 3, "rtol": 1e-5, "atol": 1e-8},
    "StalledTrainingRule": {"threshold": 1800},
}
NUMBERS = {
    "mean": 0.0,
    "mean_abs": 0.1,
    "std": 0.1,
    "minimum": -0.3,
    "maximum": 0.3,
    "norm": 2.0,
    "zeros": 0.0,
}


def tensors(*, step: int = 0, **named: Tensor) -> Tensors:
    """Make a sampled step's record; of a name ``weight__0_weight`` the tensor is ``weight/0.weight``."""
    names = {name.replace("__", "/").replace("_", "."): tensor for name, tensor in named.items()}
    return Tensors(time=float(step), step=step, tensors=names)


def tensor(kind: str = "weight", layer: str = "Linear", **fields: float) -> Tensor:
    """Make a healthy tensor's record, apart from some fields."""
    return Tensor(
        kind=kind,
        layer=layer,
        elements=400,
        **{**NUMBERS, "low": -0.2, "high": 0.2, "not_finite": 0, **fields},
    )


def epochs(*losses: tuple[float, float]) -> History:
    """Make a history of epochs with a training and a validation loss each."""
    return History.of(
        Epoch(
            time=0.0, epoch=number, step=10 * number - 1, measures={"train_loss": train, "valid_loss": valid}
        )
        for number, (train, valid) in enumerate(losses, 1)
    )


def test_names_parameters_and_defaults_are_those_of_aws():
    """What is set for AWS's rules is set for these."""
    assert {name: dict(REGISTRY[name].parameters) for name in AWS} == AWS


@pytest.mark.parametrize("name", [*AWS, "NaNOrInf"])
def test_a_history_without_records_has_no_issue(name):
    """Nothing has happened yet, or the training was not recorded."""
    assert REGISTRY[name](History()) is None


def test_biases_and_normalisation_layers_may_stand_still():
    """They begin with zeros, and their gradients may vanish, without anything being wrong."""
    still = {"zeros": 1.0, "norm": 0.0, "mean_abs": 0.0, "std": 0.0, "minimum": 0.0, "maximum": 0.0}
    named = {
        "weight__0_bias": tensor(**still), "gradient__0_bias": tensor("gradient", **still),
        "weight__1_weight": tensor(layer="BatchNorm2d", **still),
        "weight__token": tensor(layer="VisionTransformer", **still),
        "gradient__1_weight": tensor("gradient", "BatchNorm2d", **still),
        "output__2": tensor("output", "Dropout", **still),
    }  # fmt: skip
    history = History.of(tensors(step=number, **named) for number in range(3))
    for name in ("VanishingGradient", "AllZero", "UnchangedTensor", "WeightUpdateRatio"):
        assert REGISTRY[name](history) is None, name


def test_the_worst_vanishing_gradient_is_named_and_others_are_counted():
    """One layer is where to look first."""
    history = History.of(
        [
            tensors(
                step=7,
                gradient__0_weight=tensor("gradient", mean_abs=1e-12),
                gradient__2_weight=tensor("gradient", mean_abs=1e-9),
            )
        ]
    )
    found = REGISTRY["VanishingGradient"](history)
    assert found == (
        "step 7: the gradient 0.weight (Linear) is 1e-12 on average, below 1e-07, and 1 more are below 1e-07"
    )


def test_a_layer_is_dead_when_more_than_half_of_its_units_are():
    """Ten of 21 quantiles below the threshold are not more than half; eleven are."""
    for dead, expected in ((10, False), (11, True)):
        activity = (0.0,) * dead + (50.0,) * (21 - dead)
        history = History.of(
            [tensors(output__1=dataclasses.replace(tensor("output", "ReLU"), activity=activity))]
        )
        assert bool(REGISTRY["DeadRelu"](history)) is expected
        assert REGISTRY["SaturatedActivation"](history) is None
        assert bool(REGISTRY["DeadRelu"].with_parameters({"threshold_layer": 40.0})(history)) is True


def test_a_weight_that_creeps_is_not_unchanged():
    """Equal norms are not enough: some other statistic moves, or each step's change is there."""
    for changes, expected in (
        ([{}, {}, {}], True),
        ([{}, {}], False),
        ([{}, {"maximum": 0.301}, {"maximum": 0.302}], False),
        ([{"update": 1e-3}] * 3, False),
        ([{"update": 1e-9}] * 3, True),
    ):
        history = History.of(
            tensors(step=step, weight__0_weight=tensor(**each)) for step, each in enumerate(changes)
        )
        assert bool(REGISTRY["UnchangedTensor"](history)) is expected, changes


def test_overfit_counts_epochs_on_end():
    """With a patience of 2 one epoch above the ratio, or two with a good one between, are not enough."""
    rule = REGISTRY["Overfit"].with_parameters({"patience": 2})
    assert rule(epochs((1.0, 1.2))) is None
    assert rule(epochs((1.0, 1.2), (1.0, 1.05), (1.0, 1.2))) is None
    found = rule(epochs((1.0, 1.0), (1.0, 1.2), (0.5, 1.0)))
    assert found == (
        "in epoch 3 the validation loss, 1, is 100% above the training loss, 0.5; "
        "so it has been above 10% for 2 epochs"
    )
    assert rule.with_parameters({"start_step": 25})(epochs((1.0, 1.2), (1.0, 1.2), (1.0, 1.2))) is None
    assert "infinitely far" in REGISTRY["Overfit"](epochs((0.0, 1.0)))
    assert REGISTRY["Overfit"](epochs((math.nan, 1.0))) is None


def test_overtraining_counts_epochs_without_progress():
    """Less than delta is no progress; slow progress that adds up to it is."""
    rule = REGISTRY["Overtraining"]
    assert "training loss has not come below 1 by 0.01 for 5 epochs" in rule(epochs(*[(1.0, 1.0)] * 6))
    assert rule(epochs(*[(1.0, 1.0)] * 5)) is None
    assert rule(epochs(*[(1 - number * 0.004, 1.0) for number in range(9)])) is None
    falling = [(1 - number * 0.02, 1.0) for number in range(11)]
    assert "validation loss" in rule(epochs(*falling))


def test_a_training_that_stands_still_is_found_while_it_does():
    """The machine's records alone go on."""

    def system(time: float) -> System:
        rates = dict.fromkeys(("disk_read", "disk_write", "network_in", "network_out"), 0.0)
        return System(time=time, node="rank-0", cpu=(1.0,), io_wait=0.0, memory=1.0, own_memory=1.0, **rates)

    step = Step(time=100.0, step=0, epoch=1, loss=1.0, top_1=0.5, learning_rate=0.1, images=8)
    history = History.of([Start(time=0.0, node="rank-0", settings={}), step, system(1900.0)])
    assert REGISTRY["StalledTrainingRule"](history) is None
    history.add(system(1901.0))
    assert (
        REGISTRY["StalledTrainingRule"](history)
        == "for 1801 s no step, epoch or other part of the job has ended"
    )
    assert REGISTRY["StalledTrainingRule"].profiles


def test_a_training_that_goes_on_elsewhere_is_not_judged_by_its_beginning():
    """Where the first steps are not recorded, nothing can be said of how the weights were initialised."""
    spread = {"low": 0.0, "high": 1e-9}
    for first, expected in ((0, True), (500, False)):
        steps = [
            Step(time=0.0, step=first + number, epoch=1, loss=1.4, top_1=0.2, learning_rate=0.1, images=8)
            for number in range(10)
        ]
        history = History.of([*steps, tensors(step=first, gradient__0_weight=tensor("gradient", **spread))])
        assert bool(REGISTRY["PoorWeightInitialization"](history)) is expected
