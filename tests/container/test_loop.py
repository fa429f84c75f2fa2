"""The training loop with all that a recipe can ask for."""

from __future__ import annotations

import functools
import itertools

import pytest
import torch
from torch import nn
from training_jobs import QUICK, Job, quick_classifier

from sagemaker_dogbreed.container.checkpoint import Checkpoint, CheckpointError, CheckpointStore
from sagemaker_dogbreed.container.compilation import compiled
from sagemaker_dogbreed.container.data import load_splits
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.loop import Trainer
from sagemaker_dogbreed.container.model import Classifier
from sagemaker_dogbreed.container.preprocessing import Preprocessing

pytestmark = pytest.mark.usefixtures("one_thread")

PRETRAINED = {"backbone": "shufflenet_v2_x0_5", "weights": "channel", "finetune": "full", "patience": 0}
EVERYTHING = {
    "head_epochs": 2, "epochs": 5, "schedule": "one_cycle", "ema_decay": 0.7, "mixup": 0.4, "dropout": 0.2,
    "label_smoothing": 0.1, "class_weights": "balanced", "learning_rate": 0.01, "optimizer": "adamw",
}  # fmt: skip


@pytest.fixture
def job(tmp_path) -> Job:
    return Job(tmp_path / "job")


def trainer(job: Job, *, stop_after: int | None = None, **changes: object) -> Trainer:
    """Make what trains in the job's folders; it asks to stop after so many batches."""
    wanted = Hyperparameters(**{**QUICK, **changes})
    splits, _ = load_splits(job.channels, wanted, Preprocessing.for_backbone(wanted.backbone, 32))
    calls = itertools.count(1)
    return Trainer(
        quick_classifier(**changes),
        Ranks(),
        splits,
        wanted,
        CheckpointStore(job.checkpoints, wanted.to_strings()),
        torch.device("cpu"),
        lambda: stop_after is not None and next(calls) >= stop_after,
    )


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    """Check that two states are the same to the last bit."""
    assert [dict(epoch) for epoch in one.history] == [dict(epoch) for epoch in other.history]
    for name in ("model", "average", "best_model"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0)


@pytest.mark.parametrize("finetune", ["full", "last_block"])
def test_interrupted_in_every_stage_equals_uninterrupted(tmp_path, finetune):
    """Cut off in both stages again and again, the training with every option goes on exactly as it was."""
    changes = {**PRETRAINED, **EVERYTHING, "finetune": finetune}
    whole, parts = Job(tmp_path / "whole"), Job(tmp_path / "parts")
    expected = trainer(whole, **changes).fit()
    epochs = [trainer(parts, stop_after=batches, **changes).fit().epoch for batches in (3, 8, 7, 6, 8)]
    assert epochs == [0, 1, 2, 3, 4]
    assert_same(trainer(parts, **changes).fit(), expected)


def changed_modules(training: Trainer) -> set[str]:
    """Train, and return the backbone's top-level modules of which anything has changed."""
    before = {name: value.clone() for name, value in training.classifier.state_dict().items()}
    training.classifier.load_trained_state(training.fit().model)
    return {
        name.split(".")[1]
        for name, value in training.classifier.state_dict().items()
        if name.startswith("backbone.") and not torch.equal(value, before[name])
    }


def test_the_head_trains_alone_at_first(job):
    """In the first epochs a pretrained backbone stays as it is, batch statistics included; then it trains."""
    assert changed_modules(trainer(job, **PRETRAINED, head_epochs=2, epochs=2)) == set()
    everything = {"conv1", "stage2", "stage3", "stage4", "conv5"}
    assert changed_modules(trainer(job, **PRETRAINED, head_epochs=2, epochs=3)) == everything


def test_only_the_last_block_trains(job):
    """With finetune: last_block all others stay as they are, batch statistics included."""
    changes = {**PRETRAINED, "finetune": "last_block", "head_epochs": 0, "epochs": 1}
    assert changed_modules(trainer(job, **changes)) == {"stage4", "conv5"}


def test_patience_counts_from_where_the_backbone_joins_in(job):
    """A head that no longer improves does not end the training before the rest has had its turn."""
    hopeless = {"learning_rate": 1e-9, "optimizer": "sgd", "patience": 1}
    state = trainer(job, **{**PRETRAINED, **hopeless}, head_epochs=4, epochs=20, augmentation="none").fit()
    assert state.epoch == 5
    assert state.best_epoch < 5


def test_the_average_is_what_is_validated_and_kept(job):
    """The reported validation loss, the best model and what is tested are the average's."""
    training = trainer(job, ema_decay=0.9, epochs=3, learning_rate=0.003)
    state = training.fit()
    assert state.best_epoch == 3
    torch.testing.assert_close(dict(state.best_model), dict(state.average), rtol=0, atol=0)
    assert not torch.equal(state.model["head.0.weight"], state.average["head.0.weight"])
    torch.testing.assert_close(dict(training.classifier.trained_state()), dict(state.average), rtol=0, atol=0)
    classifier = training.classifier.eval()
    losses = [
        nn.functional.cross_entropy(classifier(images), labels, reduction="sum").item()
        for images, labels in training.splits["valid"].batches()
    ]
    assert sum(losses) / 6 == pytest.approx(state.history[-1]["valid_loss"], rel=1e-5)


def test_reported_losses_are_plain(job):
    """Label smoothing and class weights change what is learned, not how the first batches are measured."""
    plain, shaped = (
        trainer(Job(job.base / str(number)), **changes, batch_size=12, epochs=2).fit().history
        for number, changes in enumerate(({}, {"label_smoothing": 0.9, "class_weights": "balanced"}))
    )
    assert shaped[0]["train_loss"] == plain[0]["train_loss"]  # of a batch that is all there is
    assert shaped[1]["train_loss"] != plain[1]["train_loss"]


@pytest.mark.parametrize("schedule", [{"schedule": "cosine"}, {"warmup": 0.1}])
def test_a_schedule_fixes_the_number_of_epochs(job, schedule):
    """The rates of the epochs done would have been others, so that a checkpoint is not gone on from."""
    trainer(job, epochs=1, **schedule).fit()
    with pytest.raises(CheckpointError, match=r"epochs \(was 1, is 2\)"):
        trainer(job, epochs=2, **schedule).fit()


def test_mixed_precision_computes_a_little_differently(job):
    """bf16 is used in training alone: what is kept and reported for validation is float32."""
    full, mixed = (
        trainer(Job(job.base / precision), precision=precision, epochs=1).fit()
        for precision in ("fp32", "bf16")
    )
    assert mixed.history[0]["train_loss"] != full.history[0]["train_loss"]
    assert mixed.history[0]["train_loss"] == pytest.approx(full.history[0]["train_loss"], rel=0.05)
    assert {value.dtype for value in mixed.model.values()} == {torch.float32}


def test_a_compiled_network_trains_as_the_plain_one(job, monkeypatch, capfd):
    """The two agree, in both stages."""
    changes = {"weights": "channel", "epochs": 2, "patience": 0, "augmentation": "none"}
    plain = trainer(Job(job.base / "plain"), **changes).fit()
    # What a graph is compiled to is torch's matter; this way is quick, and takes no C++ compiler.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    fast = trainer(Job(job.base / "compiled"), compile="on", **changes).fit()
    assert "does not compile" not in capfd.readouterr().out
    assert [dict(epoch) for epoch in fast.history] == [
        pytest.approx(epoch, rel=1e-3) for epoch in plain.history
    ]


def test_trying_out_a_compiled_network_leaves_no_trace(monkeypatch):
    """Batch statistics and gradients are afterwards what they were."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    classifier = Classifier(nn.Sequential(*layers), nn.Linear(4, 2), classifier_layer="")
    before = classifier.trained_state()
    network = compiled(classifier, classifier, torch.randn(5, 3, 8, 8), Ranks())
    assert network is not classifier
    torch.testing.assert_close(classifier.trained_state(), before, rtol=0, atol=0)
    assert [parameter.grad for parameter in classifier.parameters()] == [None] * 6


def test_a_network_that_does_not_compile_is_used_as_it_is(job, monkeypatch, capfd):
    """The log says so, and the result is that of the plain one to the last bit."""

    def compile_to_nothing(_network):
        def fail(_images):
            raise RuntimeError("no C++ compiler\nmore")

        return fail

    plain = trainer(Job(job.base / "plain"), epochs=1).fit()
    monkeypatch.setattr(torch, "compile", compile_to_nothing)
    assert_same(trainer(Job(job.base / "compiled"), compile="on", epochs=1).fit(), plain)
    expected = "The network does not compile, and is used as it is (RuntimeError: no C++ compiler)"
    assert expected in capfd.readouterr().out.splitlines()
