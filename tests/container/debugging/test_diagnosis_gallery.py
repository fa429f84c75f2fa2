"""Real trainings, each with one thing wrong, and the cause that is named for it."""

from __future__ import annotations

import pytest
import torch
from tiny_training import CLASSES, FEATURES, blobs, stack, train
from torch import nn

from sagemaker_dogbreed.analysis.diagnosis import Diagnosis, diagnose
from sagemaker_dogbreed.analysis.profile import profile_of
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.record_files import read_records


@pytest.fixture(autouse=True)
def _seeded(one_thread):
    torch.manual_seed(0)


def diagnosis_of(folder, module, **options) -> Diagnosis:
    statuses = train(folder, module, **options)
    history = History.of(read_records(folder))
    return diagnose(profile_of(history), list(statuses.values()), history)


def filled(module: nn.Linear, *, weight: float | None = None, bias: float) -> nn.Linear:
    with torch.no_grad():
        module.bias.fill_(bias)
        if weight is not None:
            module.weight.fill_(weight)
    return module


def zeros() -> nn.Module:
    """Return layers whose weights are all zero."""
    parts = (
        filled(each, weight=0.0, bias=0.0) if isinstance(each, nn.Linear) else each
        for each in stack(nn.ReLU, 3)
    )
    return nn.Sequential(*parts)


def one_hidden(activation: type[nn.Module], bias: float) -> nn.Module:
    """Return a network whose hidden units begin far from where they are active."""
    return nn.Sequential(filled(nn.Linear(FEATURES, 16), bias=bias), activation(), nn.Linear(16, CLASSES))


SGD = {"optimizer": torch.optim.SGD}
SICK = {
    "diverging": (lambda: stack(nn.ReLU, 3), {"learning_rate": 1e38, **SGD}),
    "unstable": (lambda: stack(nn.ReLU, 3), {"learning_rate": 2.0, "save_interval": 1, "epochs": 10}),
    "not_learning": (lambda: stack(nn.ReLU, 2), {"learning_rate": 1e-9, **SGD}),
    "poor_initialization": (zeros, {"learning_rate": 1e-5}),
    "dead_relus": (lambda: one_hidden(nn.ReLU, -100.0), {}),
    "saturated": (lambda: one_hidden(nn.Tanh, 50.0), {}),
    "vanishing_gradients": (lambda: stack(nn.Sigmoid, 25), {}),
    "overfitting": (
        lambda: stack(nn.ReLU, 2, 64),
        {"data": blobs(64, spread=4.0), "valid": blobs(256, spread=4.0, seed=1), "epochs": 60},
    ),
    "validation_guesses": (
        lambda: stack(nn.ReLU, 2, 64),
        {
            "data": blobs(64),
            "valid": (blobs(64)[0], blobs(64)[1].roll(1)),
            "epochs": 20,
        },
    ),
    "one_class": (
        lambda: nn.Linear(FEATURES, CLASSES),
        {"data": (blobs()[0], torch.zeros(256, dtype=torch.long))},
    ),
}


@pytest.mark.parametrize("cause", SICK)
def test_one_cause_accounts_for_all_that_the_rules_find(tmp_path, cause):
    """Many rules find something in such trainings; the diagnosis names what is wrong, and that alone."""
    module, options = SICK[cause]
    diagnosis = diagnosis_of(tmp_path, module(), **options)
    assert [each.name for each in diagnosis.causes] == [cause], str(diagnosis)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_a_healthy_training_has_no_cause(tmp_path, activation):
    """What learns, and has not learned all there is, is left as it is."""
    data = {"data": blobs(2048, spread=3.0), "valid": blobs(2048, spread=3.0, seed=1), "epochs": 2}
    assert diagnosis_of(tmp_path, stack(activation, 2), **data).causes == ()
