"""Several processes that train one model."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rank_processes import RankProcesses, run_training
from torch import nn
from torchvision import models
from training_jobs import Job, arguments

from sagemaker_dogbreed.container import artifact, data, distributed
from sagemaker_dogbreed.container.checkpoint import CheckpointStore
from sagemaker_dogbreed.container.distributed import Ranks, RanksError
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.loop import Trainer
from sagemaker_dogbreed.container.model import Classifier
from sagemaker_dogbreed.container.preprocessing import Preprocessing
from sagemaker_dogbreed.container.sampling import EpochSampler, ShareSampler

pytestmark = pytest.mark.usefixtures("one_thread")

HEAD = {"backbone": "shufflenet_v2_x0_5", "weights": "channel", "finetune": "head", "learning_rate": 0.01}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel with the weights of a small backbone."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(2)
    torch.save(models.get_model(HEAD["backbone"], weights=None).state_dict(), folder / "shufflenet.pth")
    return folder


@pytest.fixture
def new_job(tmp_path: Path, weights: Path):
    """Make jobs of 13 training and 5 validation images: in batches of four the last has one image."""

    def make(name: str) -> Job:
        job = Job(tmp_path / name, train_count=5)
        for path in ("train/red/0.png", "train/red/1.png", "valid/red/0.png"):
            (job.base / "input" / "data" / path).unlink()
        job.channels["weights"] = weights
        return job

    return make


def start(job: Job, *, count: int = 2, **hyperparameters: object) -> RankProcesses:
    folder = job.base / f"ranks-{time.monotonic_ns()}"
    return RankProcesses(folder, run_training, arguments(**hyperparameters), environ=job.environ, count=count)


def assert_same_model(one: Job, other: Job) -> None:
    expected, actual = (artifact.load(job.model).module.state_dict() for job in (one, other))
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-4, atol=1e-5, msg=name)


def assert_same_numbers(one: Job, other: Job) -> None:
    assert other.result("metrics") == pytest.approx(one.result("metrics"), rel=1e-4)
    epochs, others = one.result("history")["epochs"], other.result("history")["epochs"]
    assert others == [pytest.approx(epoch, rel=1e-4) for epoch in epochs]


@pytest.mark.parametrize("count", [2, 3])
def test_a_head_trained_by_several_processes_is_the_one_that_one_trains(new_job, monkeypatch, count):
    """Weights and every metric agree, with batches that do not divide evenly; the first rank speaks."""
    alone, together = new_job("alone"), new_job("together")
    assert alone.run_here(monkeypatch, **HEAD) == 0
    ranks = start(together, count=count, **HEAD)
    assert ranks.wait() == [0] * count, ranks.errors(0)
    assert_same_numbers(alone, together)
    assert_same_model(alone, together)
    assert f"Training on cpu, {count} processes: 3 classes, images: 13 train, 5 valid" in ranks.log(0)
    assert [ranks.log(rank) for rank in range(1, count)] == [""] * (count - 1)
    assert [ranks.errors(rank) for rank in range(count)] == [""] * count
    assert not (together.output / "failure").exists()


def test_early_stopping_ends_all_ranks_at_the_same_epoch(new_job, monkeypatch):
    """Patience is counted from sums over the ranks, so that all decide as one process does."""
    alone, together = new_job("alone"), new_job("together")
    unstable = {**HEAD, "epochs": 30, "patience": 1, "optimizer": "sgd", "learning_rate": 0.2}
    assert alone.run_here(monkeypatch, **unstable) == 0
    ranks = start(together, **unstable)
    assert ranks.wait() == [0, 0], ranks.errors(0)
    assert "stopping early" in ranks.log(0)
    assert len(together.result("history")["epochs"]) < 30
    assert_same_numbers(alone, together)


@pytest.mark.parametrize("counts", [(1, 2), (2, 1)])
def test_training_goes_on_with_another_number_of_processes(new_job, monkeypatch, counts):
    """A checkpoint of one process is gone on from by two, and the other way round, with the same result."""
    whole, parts = new_job("whole"), new_job("parts")
    assert whole.run_here(monkeypatch, **HEAD) == 0
    for count, epochs in zip(counts, (1, 2), strict=True):
        ranks = start(parts, count=count, **HEAD, epochs=epochs)
        assert ranks.wait() == [0] * count, ranks.errors(0)
    assert "Resuming after epoch 1" in ranks.log(0)
    assert_same_numbers(whole, parts)
    assert_same_model(whole, parts)


class PlainBackbone(nn.Sequential):
    """Convolutions without batch normalization or dropout."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )


def fit_everything(channels: dict[str, Path], folder: Path) -> int:
    """Train a network of plain convolutions, in two stages; rank 0 saves what came of it."""
    wanted = Hyperparameters(
        finetune="full",
        weights="channel",
        head_epochs=1,
        schedule="cosine",
        label_smoothing=0.1,
        class_weights="balanced",
        ema_decay=0.5,
        batch_size=5,
        epochs=3,
        optimizer="sgd",  # unlike Adam's, its steps are as long as the gradients
        learning_rate=0.1,
        num_workers=0,
    )
    with distributed.joined(repr) as ranks:
        preprocessing = Preprocessing.for_backbone("squeezenet1_1", 32)
        splits, names = data.load_splits(channels, wanted, preprocessing, ranks)
        torch.manual_seed(ranks.rank)  # rank 0's is the one that counts
        classifier = Classifier(PlainBackbone(), nn.Linear(8, len(names)), classifier_layer="")
        checkpoints = CheckpointStore(folder / "checkpoints", {})
        device = torch.device("cpu")
        trainer = Trainer(classifier, ranks, splits, wanted, checkpoints, device, lambda: False)
        state = trainer.fit()
        if ranks.leads:
            found = {"history": state.history, "model": state.model, "average": state.average}
            torch.save(found, folder / "result.pt")
    return 0


def test_everything_is_trained_alike_where_no_layer_looks_at_the_batch(new_job, tmp_path):
    """Without batch normalization and dropout, finetune: full gives the same weights too."""
    channels, results = new_job("job").channels, []
    for count in (1, 2):
        folder = tmp_path / str(count)
        ranks = RankProcesses(folder, fit_everything, channels, folder, count=count)
        assert ranks.wait() == [0] * count, ranks.errors(0)
        results.append(torch.load(folder / "result.pt", weights_only=True))
    alone, together = results
    assert [dict(epoch) for epoch in together["history"]] == [
        pytest.approx(epoch, rel=1e-4) for epoch in alone["history"]
    ]
    for name in ("model", "average"):
        torch.testing.assert_close(together[name], alone[name], rtol=1e-4, atol=1e-5)


def test_batch_normalization_on_processors_is_said_to_differ(new_job):
    """On CPUs there are no statistics over ranks, which the log says; the job trains nevertheless."""
    job = new_job("job")
    ranks = start(job, backbone="shufflenet_v2_x0_5", image_size=64, batch_size=6, epochs=1)
    assert ranks.wait() == [0, 0], ranks.errors(0)
    assert "each of the 2 processes takes the statistics of its own share of a batch" in ranks.log(0)
    assert artifact.load(job.model).card["metrics"]["valid_loss"] > 0


def test_an_image_that_one_rank_cannot_read_fails_the_job(new_job):
    """The reason is that rank's; the other one ends too, and does not put its lost connection above it."""
    job = new_job("job")
    broken = job.channels["train"] / "blue" / "3.png"
    broken.write_bytes(b"broken")
    ranks = start(job, **HEAD, augmentation="none")
    assert ranks.wait() == [1, 1]
    assert job.failure.startswith(f"DataError: channel train: {broken}: ")
    assert sorted("Traceback" in ranks.errors(rank) for rank in (0, 1)) == [False, True]
    assert not job.model.exists()


def wait_for(ranks: RankProcesses, words: str) -> None:
    deadline = time.monotonic() + 60
    while words not in ranks.log(0):
        assert time.monotonic() < deadline, ranks.errors(0)
        assert ranks.processes[0].exitcode is None, ranks.errors(0)
        ranks.processes[0].join(0.05)


def test_a_request_to_stop_may_reach_any_rank(new_job):
    """SIGTERM to one ends all after the same batch; the best model so far is kept."""
    job = new_job("job")
    ranks = start(job, **HEAD, epochs=10_000, patience=0)
    wait_for(ranks, "Epoch 2/10000 - took")
    os.kill(ranks.processes[1].pid, signal.SIGTERM)
    assert ranks.wait() == [0, 0], ranks.errors(0)
    assert "Stop requested: keeping what epoch" in ranks.log(0)
    assert "Stop requested: the test split is left out" in ranks.log(0)
    assert "test_loss" not in artifact.load(job.model).card["metrics"]


def test_a_rank_that_is_killed_does_not_leave_the_others_waiting(new_job):
    """They fail, and the reason says what happened as far as they know."""
    job = new_job("job")
    ranks = start(job, **HEAD, epochs=10_000, patience=0)
    wait_for(ranks, "Epoch 1/10000 - took")
    ranks.processes[1].kill()
    assert ranks.wait() == [1, -signal.SIGKILL]
    assert "Another process of this training ended without a reason of its own" in job.failure


def lose_the_launcher(fifo: Path) -> int:
    """Be a launcher that ends, and leaves a process that would work on for a minute."""
    joined, tell = os.pipe()
    if os.fork():
        return len(os.read(joined, 1)) - 1
    os.setsid()
    os.environ["TORCHELASTIC_RUN_ID"] = "1"
    with distributed.joined(str), fifo.open("w") as stream:
        stream.write("joined")
        stream.flush()
        os.write(tell, b"x")
        time.sleep(60)
        stream.write(", and survived")
    os._exit(0)


def test_a_process_ends_with_its_launcher(tmp_path):
    """Where torchrun is killed nobody else ends its processes, which are in groups of their own."""
    os.mkfifo(tmp_path / "fifo")
    launcher = RankProcesses(tmp_path / "launcher", lose_the_launcher, tmp_path / "fifo", count=1)
    assert (tmp_path / "fifo").read_text() == "joined"
    assert launcher.wait() == [0]


def test_more_processes_than_gpus_are_refused(monkeypatch):
    """Each process needs a GPU of its own; the message says what to set."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    message = r"2 processes on a machine with 1 GPU: .*num_of_processes_per_host"
    with pytest.raises(RanksError, match=message), distributed.joined(str):
        pass


def test_the_machines_processors_are_shared():
    """Each process computes and loads with its part of them, one at least."""
    alone = Ranks().processors
    assert Ranks(size=2, local_size=2).processors == max(1, alone // 2)
    assert Ranks(size=1000, local_size=1000).processors == 1


@given(
    size=st.integers(1, 40),
    batch_size=st.integers(1, 12),
    world=st.integers(1, 6),
    lone_last=st.booleans(),
    epoch=st.integers(0, 3),
)
def test_shares_make_up_the_batches(size, batch_size, world, lone_last, epoch):
    """Every image counts on one rank exactly, in its batch; no share is empty, and all have as many."""

    def shares(ranks: Ranks) -> list:
        sampler = EpochSampler(size, 3, shuffle=True)
        sampler.epoch = epoch
        found = ShareSampler(sampler, batch_size, ranks, leave_out_lone_last=lone_last)
        batches = list(found)
        assert len(batches) == len(found)
        return batches

    whole = shares(Ranks())
    assert all(place.counts for batch in whole for place in batch)
    by_rank = [shares(Ranks(rank=rank, size=world)) for rank in range(world)]
    for number, batch in enumerate(whole):
        parts = [rank[number] for rank in by_rank]
        assert sorted(place for part in parts for place in part if place.counts) == sorted(batch)
        assert all(parts)
    assert {len(rank) for rank in by_rank} == {len(whole)}
    left_out = size - sum(map(len, whole))
    assert left_out == (1 if lone_last and size > batch_size and size % batch_size == 1 else 0)
