"""Whole training jobs."""

from __future__ import annotations

import json

import pytest
import torch
from torchvision import models
from training_jobs import CLASSES, Job, arguments

from sagemaker_dogbreed import packaging
from sagemaker_dogbreed.container import artifact, metrics, train
from sagemaker_dogbreed.container.data import load_splits
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.preprocessing import Preprocessing

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def job(tmp_path) -> Job:
    return Job(tmp_path / "job")


def metrics_by_line(log: str) -> list[tuple[str, dict[str, float]]]:
    """Return the prefix and the metrics of each metric line."""
    found = [(line, metrics.parse_line(line)) for line in log.splitlines()]
    return [(line.split(" - ")[0] if " - " in line else "", values) for line, values in found if values]


def test_a_job_from_the_staged_tree(job, tmp_path):
    """The script alone, in its own process, logs metrics, writes its results and says nothing on stderr."""
    process = job.start(packaging.stage(tmp_path / "tree"), *arguments(backbone="shufflenet_v2_x0_5"))
    log, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    lines = metrics_by_line(log)
    assert [prefix for prefix, _ in lines] == ["Epoch 1/2", "Epoch 1/2", "Epoch 2/2", "Epoch 2/2", ""]
    splits = ["Train", "Valid", "Train", "Valid", "Test"]
    for split, (_, values) in zip(splits, lines, strict=True):
        assert list(values) == [f"{split} {measure}" for measure in metrics.MEASURES]
        assert values[f"{split} Top-5"] == 1.0  # of three classes
    history = job.result("history")["epochs"]
    for epoch, (training, validation) in enumerate([(lines[0], lines[1]), (lines[2], lines[3])]):
        logged = {metrics.key(name): value for name, value in {**training[1], **validation[1]}.items()}
        assert history[epoch] == pytest.approx({"epoch": epoch + 1, **logged}, abs=1e-6)
    result = job.result("metrics")
    assert result["test_loss"] == pytest.approx(lines[4][1]["Test Loss"], abs=1e-6)
    losses = [epoch["valid_loss"] for epoch in history]
    assert result["best_epoch"] == losses.index(min(losses)) + 1
    assert result["epochs"] == 2
    loaded = artifact.load(job.model)
    assert loaded.class_names == CLASSES
    assert loaded.card["job_name"] == "squares-1"
    assert loaded.card["metrics"]["test_loss"] == result["test_loss"]
    assert not (job.output / "failure").exists()


def test_it_learns(job, monkeypatch, capfd):
    """Squares of three colors are told apart after a few epochs; the log names the best one."""
    assert job.run_here(monkeypatch, epochs=8, learning_rate=0.001, augmentation="none") == 0
    assert job.result("metrics")["test_top_1"] == 1.0
    assert f"The best of 8 epochs is {job.result('metrics')['best_epoch']}" in capfd.readouterr().out


def test_the_same_seed_gives_the_same_numbers(tmp_path, monkeypatch):
    """Runs with one seed agree to the last bit; another seed differs."""
    histories = []
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        job = Job(tmp_path / name)
        assert job.run_here(monkeypatch, seed=seed) == 0
        histories.append((job.result("history"), job.result("metrics")))
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_frozen_backbone_is_unchanged_by_training(job, monkeypatch, tmp_path, optimizer):
    """With finetune: head the artifact's backbone is the weights file's, batch statistics included."""
    torch.manual_seed(2)
    state = models.get_model("shufflenet_v2_x0_5", weights=None).state_dict()
    job.channels["weights"] = tmp_path / "weights"
    job.channels["weights"].mkdir()
    torch.save(state, job.channels["weights"] / "shufflenet.pth")
    frozen = {"backbone": "shufflenet_v2_x0_5", "weights": "channel", "finetune": "head"}
    assert job.run_here(monkeypatch, **frozen, optimizer=optimizer, weight_decay=0.1) == 0
    trained = artifact.load(job.model).module
    for name, value in trained.backbone.state_dict().items():
        assert torch.equal(value, state[name]), name
    history = job.result("history")["epochs"]
    assert history[0]["train_loss"] != history[1]["train_loss"]
    assert sum(path.stat().st_size for path in job.checkpoints.iterdir()) < 2 * 4_000_000  # heads only


def test_early_stopping_keeps_the_best(job, monkeypatch, capfd):
    """Without a better validation loss for two epochs training ends, and the best weights are tested."""
    assert job.run_here(monkeypatch, epochs=40, patience=2, learning_rate=0.01, optimizer="sgd") == 0
    result, history = job.result("metrics"), job.result("history")["epochs"]
    losses = [epoch["valid_loss"] for epoch in history]
    assert len(history) < 40
    assert len(history) == result["best_epoch"] + 2
    assert result["valid_loss"] == min(losses)
    best, preprocessing = artifact.load(job.model), Preprocessing.for_backbone("squeezenet1_1", 32)
    splits, _ = load_splits(job.channels, Hyperparameters(batch_size=6, num_workers=0), preprocessing)
    ((images, labels),) = splits["valid"].batches()
    loss = torch.nn.functional.cross_entropy(best.module(images), labels).item()
    assert loss == pytest.approx(min(losses), rel=1e-4)
    assert "No better validation loss for 2 epochs: stopping early" in capfd.readouterr().out


def test_arguments_in_the_style_of_the_sdks_driver(job, monkeypatch):
    """JSON-style values, and arguments that are not ours, are understood."""
    for name, value in job.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SM_CHANNEL_CODE", str(job.base))
    monkeypatch.setenv("DOGBREED_DATASET_VERSION", "f00")
    argv = [
        *("--_tuning_objective_metric", "Test Loss", "--sagemaker_program", "train.py", "--verbose", "true"),
        *("--image_size=32", "--num_workers", "null", "--epochs", "1.0", "--backbone", '"squeezenet1_1"'),
    ]
    assert job.run_here(monkeypatch) == 0  # the plain style, for comparison
    plain = job.result("history")["epochs"][:1]
    job.forget_checkpoints()
    rest = arguments()
    for name in ("--image_size", "--num_workers", "--epochs", "--backbone"):
        del rest[rest.index(name) : rest.index(name) + 2]
    assert train.main([*rest, *argv]) == 0
    assert job.result("history")["epochs"] == plain
    assert artifact.load(job.model).card["dataset_version"] == "f00"


def test_failures_are_written_for_the_service(job, monkeypatch, capfd, tmp_path):
    """Whatever goes wrong, output/failure begins with the kind of error and names the cause."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for hyperparameters, reason in (
        ({"epochs": "many"}, "ValueError: epochs must be a whole number, got 'many'"),
        ({"learning_rate": "-1"}, "ValueError: learning_rate must be between"),
        ({"backbone": "resnet_50"}, "ValueError: backbone 'resnet_50' is not a classification model"),
        ({"backbone": "alexnet"}, "ValueError: backbone alexnet cannot take images of 32 x 32 pixels"),
        ({"finetune": "head"}, "WeightsError: weights: none with finetune: head"),
        ({"weights": "channel"}, "WeightsError: weights: channel needs the input channel 'weights'"),
        ({"weights": "imagenet"}, "WeightsError: the pretrained weights of squeezenet1_1 could not be downl"),
        ({"optimizer": "sgd", "learning_rate": 90}, "DivergedError: the loss is "),
    ):
        assert job.run_here(monkeypatch, **hyperparameters) == 1
        assert job.failure.startswith(reason), job.failure
        assert "Traceback" in capfd.readouterr().err
    assert "Lower learning_rate (it is 90)" in job.failure
    assert not job.model.exists()


def test_data_failures_are_written_for_the_service(job, monkeypatch):
    """Missing channels and broken images are named; a broken test image before any training."""
    (job.channels["test"] / "red" / "1.png").write_bytes(b"broken")
    assert job.run_here(monkeypatch) == 1
    assert job.failure.startswith(f"DataError: channel test: {job.channels['test'] / 'red' / '1.png'}: ")
    assert not list(job.checkpoints.glob("*.pt"))
    monkeypatch.delenv("SM_CHANNEL_TEST")
    del job.channels["test"]
    assert job.run_here(monkeypatch) == 1
    assert job.failure.startswith("DataError: input channel test missing; training needs train, valid, test")


def test_outside_a_job(monkeypatch, capfd):
    """Without SageMaker's variables the script says how to start a job."""
    assert train.main([]) == 1
    assert "Start one with Session.local().train" in capfd.readouterr().err


def test_a_checkpoint_of_another_configuration_fails_the_job(job, monkeypatch):
    """The reason names the hyperparameter that changed."""
    assert job.run_here(monkeypatch) == 0
    assert job.run_here(monkeypatch, learning_rate=0.5) == 1
    assert "learning_rate (was 0.0003, is 0.5)" in job.failure


def test_results_are_plain_json(job, monkeypatch):
    """Other programs can read the results: no NaN, numbers only."""
    assert job.run_here(monkeypatch, epochs=1) == 0
    files = [path for path in (job.output / "data").rglob("*") if path.is_file()]
    for path in files:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        for line in lines:
            json.loads(line, parse_constant=pytest.fail)
    records = ["evaluation.json", "profile-0.jsonl", "rules.json", "training.jsonl"]
    assert sorted(path.relative_to(job.output / "data").as_posix() for path in files) == [
        *(f"debugger/{name}" for name in records),
        "evaluation.json",
        "history.json",
        "metrics.json",
    ]
