"""A gallery of trainings: for each rule one that goes wrong as it says, and healthy ones that do not."""

from __future__ import annotations

import pytest
import torch
from tiny_training import CLASSES, FEATURES, Data, blobs, stack, train
from torch import nn

from sagemaker_dogbreed.container.debugging.watch import RuleStatus

pytestmark = pytest.mark.usefixtures("one_thread")


def found(statuses: dict[str, RuleStatus]) -> set[str]:
    """Return the names of the rules that have found something."""
    return {name for name, status in statuses.items() if status.status == "IssuesFound"}


def filled(module: nn.Module, *, weight: float | None = None, bias: float | None = None) -> nn.Module:
    """Fill a layer's weight or bias with a number."""
    with torch.no_grad():
        for parameter, value in ((module.weight, weight), (module.bias, bias)):
            if value is not None:
                parameter.fill_(value)
    return module


@pytest.fixture(autouse=True)
def _seeded(one_thread):
    torch.manual_seed(0)


class SmallNetwork(nn.Sequential):
    """Convolutions with batch normalisation, of images (batch, 8) that become 8 x 8 pixels."""

    def __init__(self) -> None:
        layers = []
        for channels in (1, 16, 16):
            layers += [nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True)]
        super().__init__(
            nn.Unflatten(1, (1, 1, FEATURES)), nn.Upsample((FEATURES, FEATURES)), *layers,
            nn.AdaptiveAvgPool2d((1, FEATURES)), nn.Flatten(), nn.Dropout(0.2),
            nn.Linear(16 * FEATURES, CLASSES),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (lambda: nn.Linear(FEATURES, CLASSES), {}),
        (lambda: nn.Linear(FEATURES, CLASSES), {"optimizer": torch.optim.SGD, "learning_rate": 0.1}),
        (lambda: stack(nn.ReLU, 2), {"settings": {"weights": "imagenet"}}),
        (lambda: stack(nn.ReLU, 5, 64), {"learning_rate": 0.003}),
        (lambda: stack(nn.Tanh, 3), {}),
        (lambda: stack(nn.Sigmoid, 2), {}),
        (SmallNetwork, {"learning_rate": 0.003, "save_interval": 20}),
    ],
    ids=["linear", "linear-sgd", "mlp", "deep", "tanh", "sigmoid", "convolutions"],
)
def test_healthy_trainings_have_no_issue(tmp_path, module, options):
    """Networks of the usual kinds, begun as torch begins them, learn and trouble no rule."""
    data = {"data": blobs(2048, spread=3.0), "valid": blobs(2048, spread=3.0, seed=1), "epochs": 2}
    assert found(train(tmp_path, module(), **data, **options)) == set()


def few_of_one_class() -> Data:
    """Return examples of which the second class's are few, and look like the first's."""
    features, labels = blobs(1024)
    features[labels == 1] = features[labels == 0]
    kept = torch.cat([(labels != 1).nonzero().flatten(), (labels == 1).nonzero().flatten()[:40]])
    return features[kept], labels[kept]


def of_one_class() -> Data:
    """Return examples of the first class alone."""
    features, labels = blobs(1024)
    return features[labels == 0], labels[labels == 0]


DIVERGING = {"learning_rate": 1e38, "optimizer": torch.optim.SGD}
SICK = {
    "VanishingGradient": (lambda: stack(nn.Sigmoid, 25), {}, "0.weight (Linear)"),
    "ExplodingTensor": (lambda: stack(nn.ReLU, 3), DIVERGING, "infinite or not numbers"),
    "NaNOrInf": (lambda: stack(nn.ReLU, 3), DIVERGING, "at learning rate 1e+38"),
    "LossNotDecreasing": (
        lambda: stack(nn.ReLU, 2),
        {"learning_rate": 0.0, "optimizer": torch.optim.SGD},
        "it does not decrease",
    ),
    "UnchangedTensor": (
        lambda: stack(nn.ReLU, 2),
        {"learning_rate": 0.0, "optimizer": torch.optim.SGD},
        "is what it was in step",
    ),
    "WeightUpdateRatio": (
        lambda: stack(nn.ReLU, 2),
        {"learning_rate": 1e-10, "optimizer": torch.optim.SGD},
        "below 1e-08",
    ),
    "AllZero": (lambda: filled(nn.Linear(FEATURES, CLASSES), weight=0.0), {}, "the weight weight (Linear)"),
    "PoorWeightInitialization": (
        lambda: nn.Sequential(
            *(filled(part, weight=0.0, bias=0.0) if isinstance(part, nn.Linear) else part
              for part in stack(nn.ReLU, 3))
        ),
        {"learning_rate": 1e-5},
        "of all others less",
    ),
    "DeadRelu": (
        lambda: nn.Sequential(
            filled(nn.Linear(FEATURES, 16), bias=-100.0), nn.ReLU(), nn.Linear(16, CLASSES)
        ),
        {},
        "1 (ReLU): 100 % of its units are zero",
    ),
    "SaturatedActivation": (
        lambda: nn.Sequential(filled(nn.Linear(FEATURES, 16), bias=50.0), nn.Tanh(), nn.Linear(16, CLASSES)),
        {},
        "1 (Tanh): 100 % of its units are saturated",
    ),
    "Overfit": (
        lambda: stack(nn.ReLU, 2, 64),
        {"data": blobs(64), "valid": (blobs(64)[0], blobs(64)[1].roll(1)), "epochs": 20},
        "above the training loss",
    ),
    "Overtraining": (
        lambda: stack(nn.ReLU, 2, 64),
        {"data": blobs(64), "valid": (blobs(64)[0], blobs(64)[1].roll(1)), "epochs": 20},
        "the validation loss has not come below",
    ),
    "ClassImbalance": (lambda: nn.Linear(FEATURES, CLASSES), {"data": of_one_class()}, "cannot be learned"),
}  # fmt: skip


@pytest.mark.parametrize("rule", SICK)
def test_what_goes_wrong_is_found(tmp_path, rule):
    """The rule made for what is wrong with a training finds it, and says where and how much."""
    module, options, words = SICK[rule]
    status = train(tmp_path, module(), **options)[rule]
    assert status.status == "IssuesFound"
    assert words in status.details


def test_layers_of_unlike_variance_are_a_poor_beginning(tmp_path):
    """One layer with weights a hundred times too large is named, with the variances before and after it."""
    module = stack(nn.ReLU, 4, 64)
    with torch.no_grad():
        module[2].weight.mul_(100)
    found = train(tmp_path, module)["PoorWeightInitialization"]
    assert found.status == "IssuesFound"
    assert found.details.startswith("step 0: the variance of what ReLUs are given is")
    assert "from 0 and" in found.details


def test_of_a_pretrained_network_only_the_head_is_judged_by_its_initialization(tmp_path):
    """Weights that have been trained already may be as they like."""
    module = stack(nn.ReLU, 4, 64)
    with torch.no_grad():
        module[2].weight.mul_(100)
    network = nn.Sequential()
    network.add_module("backbone", module)
    network.add_module("head", nn.Linear(CLASSES, CLASSES))
    statuses = train(tmp_path, network, settings={"weights": "imagenet"})
    assert statuses["PoorWeightInitialization"].status == "NoIssuesFound"


def test_a_learning_rate_a_hundred_times_too_high_is_found(tmp_path):
    """The loss that does not come down, or rises, tells of it; so do updates larger than the weights."""
    statuses = train(tmp_path, stack(nn.ReLU, 3), learning_rate=2.0, save_interval=1, epochs=10)
    assert {"LossNotDecreasing", "WeightUpdateRatio"} <= found(statuses)
    assert "above 10" in statuses["WeightUpdateRatio"].details


def test_a_loss_that_rises_late_is_found(tmp_path):
    """A training that has learned, and then loses it again, has a loss that rises."""

    class Derailed(nn.Linear):
        calls = 0

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            self.calls += self.training
            return super().forward(features) * (1.0 if self.calls < 100 else -1.0)

    details = train(tmp_path, Derailed(FEATURES, CLASSES), epochs=15)["LossNotDecreasing"].details
    assert details.startswith("the loss rose from")


def test_a_small_class_that_is_not_learned_is_named(tmp_path):
    """Of a class with few images nearly all are wrong, while the rest is right."""
    settings = {"class_names": ["collie", "pug", "boxer", "husky"]}
    parameters = {"ClassImbalance": {"threshold_imbalance": 20.0}}
    data = {"data": few_of_one_class(), "settings": settings, "parameters": parameters}
    details = train(tmp_path, nn.Linear(FEATURES, CLASSES), **data)["ClassImbalance"].details
    assert details.startswith("100% of the 40 training images of pug are classified wrongly")


def test_class_counts_that_differ_too_much_are_found(tmp_path):
    """With AWS's threshold for the counts themselves, both classes are named."""
    data = few_of_one_class()
    parameters = {"ClassImbalance": {"threshold_imbalance": 6.0}}
    details = train(tmp_path, nn.Linear(FEATURES, CLASSES), data=data, parameters=parameters)
    assert "256 training images and class 1 40: 6.4 times as many" in details["ClassImbalance"].details


def test_only_nan_lets_infinite_numbers_pass(tmp_path):
    """With only_nan weights that are infinite trouble no one until something is not a number."""

    def module() -> nn.Module:
        network = nn.Sequential(nn.Linear(FEATURES, CLASSES), nn.Hardtanh())
        with torch.no_grad():
            network[0].bias[0] = torch.inf
        return network

    for only_nan, expected in ((False, "IssuesFound"), (True, "NoIssuesFound")):
        (folder := tmp_path / str(only_nan)).mkdir()
        parameters = {"ExplodingTensor": {"only_nan": only_nan}}
        assert train(folder, module(), parameters=parameters)["ExplodingTensor"].status == expected
