"""Training a head on features that are computed once."""

from __future__ import annotations

import signal
import sys

import numpy as np
import pytest
import torch
from torch import nn
from training_jobs import Job, arguments, save_backbone

from sagemaker_dogbreed import packaging
from sagemaker_dogbreed.container.features.backbone_pass import BackbonePass, EngineError
from sagemaker_dogbreed.container.hparams import Hyperparameters

HEAD = {
    "backbone": "shufflenet_v2_x0_5", "weights": "channel", "finetune": "head", "learning_rate": 0.01,
    "engine": "torch",
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def job(tmp_path):
    """A job whose backbone's weights are in a channel."""
    job = Job(tmp_path / "opt" / "ml")
    job.channels["weights"] = save_backbone(tmp_path / "weights")
    return job


def passed(output: str) -> list[str]:
    """Return the log lines that tell that images passed the backbone."""
    return [line for line in output.splitlines() if line.startswith("Passing")]


def test_features_give_what_images_give(job, monkeypatch, capsys):
    """Without random changes a head trained on features is the head trained on images."""
    results = []
    for cache in ("on", "off"):
        assert job.run_here(monkeypatch, **HEAD, augmentation="none", feature_cache=cache) == 0
        results.append(job.result("metrics"))
        job.forget_checkpoints()
    on, off = results
    assert on.keys() == off.keys()
    assert on == pytest.approx(off, abs=2e-3)
    assert len(passed(capsys.readouterr().out)) == 3


def test_images_pass_the_backbone_once(job, monkeypatch, capsys):
    """Another training on the same images and backbone finds their features, whatever its recipe."""
    assert job.run_here(monkeypatch, **HEAD) == 0
    capsys.readouterr()
    job.forget_checkpoints()
    assert job.run_here(monkeypatch, **{**HEAD, "learning_rate": 0.1, "batch_size": 3}) == 0
    assert passed(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    "changes", [{"image_size": 48}, {"precision": "bf16"}], ids=["image size", "precision"]
)
def test_what_changes_features_makes_them_anew(job, monkeypatch, capsys, changes):
    """Features are only used for the configuration they are of."""
    assert job.run_here(monkeypatch, **HEAD) == 0
    capsys.readouterr()
    job.forget_checkpoints()
    assert job.run_here(monkeypatch, **{**HEAD, **changes}) == 0
    assert len(passed(capsys.readouterr().out)) == 3


def test_a_changed_image_makes_features_anew(job, monkeypatch, capsys):
    """Without a data set's version the files are read to know whether they are the same."""
    assert job.run_here(monkeypatch, **HEAD) == 0
    capsys.readouterr()
    job.forget_checkpoints()
    folder = job.channels["valid"] / "red"
    (folder / "0.png").write_bytes((folder / "1.png").read_bytes())
    assert job.run_here(monkeypatch, **HEAD) == 0
    assert len(passed(capsys.readouterr().out)) == 3


def test_more_views_keep_those_there_are(job, monkeypatch, capsys):
    """Each view of the training images is kept by itself; validation and test images have one."""
    assert job.run_here(monkeypatch, **HEAD, views=2) == 0
    lines = passed(capsys.readouterr().out)
    assert [line.split()[2] for line in lines] == ["train", "train", "valid", "test"]
    assert "(view 2)" in lines[1]
    job.forget_checkpoints()
    assert job.run_here(monkeypatch, **HEAD, views=3) == 0
    assert len(passed(capsys.readouterr().out)) == 1
    arrays = [
        torch.from_numpy(np.load(path))
        for path in sorted(job.checkpoints.glob("features/*/train/*/part-*.npy"))
    ]
    assert len(arrays) == 3
    assert not any(torch.equal(arrays[a], arrays[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_features_of_an_earlier_job_come_as_a_channel(job, monkeypatch, capsys, tmp_path):
    """What lies in the channel "features" is used, and not written again."""
    assert job.run_here(monkeypatch, **HEAD) == 0
    capsys.readouterr()
    job.checkpoints.rename(tmp_path / "earlier")
    job.channels["features"] = tmp_path / "earlier" / "features"
    assert job.run_here(monkeypatch, **HEAD) == 0
    assert passed(capsys.readouterr().out) == []
    assert not (job.checkpoints / "features").exists()


def test_a_folder_for_features_outlives_jobs(job, monkeypatch, tmp_path):
    """Features are kept in the folder that the environment names."""
    monkeypatch.setenv("DOGBREED_FEATURES", str(tmp_path / "kept"))
    assert job.run_here(monkeypatch, **HEAD) == 0
    assert len(list((tmp_path / "kept").glob("*/*/plain/part-00000-*.npy"))) == 3
    assert not (job.checkpoints / "features").exists()


def test_an_image_that_cannot_be_decoded_is_named(job, monkeypatch):
    """The job fails with the file's name, and no half-filled part is left."""
    path = job.channels["train"] / "red" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    assert job.run_here(monkeypatch, **HEAD) == 1
    assert str(path) in job.failure
    assert list(job.checkpoints.glob("features/*/train/*/part-*")) == []


def test_a_request_to_stop_ends_the_extraction(job, tmp_path):
    """SIGTERM while images pass the backbone ends the job in order; there is no model."""
    for path in (job.channels["train"] / "red").glob("*.png"):
        for copy in range(150):
            path.with_name(f"{path.stem}-{copy}.png").write_bytes(path.read_bytes())
    process = job.start(packaging.stage(tmp_path / "code"), *arguments(**HEAD))
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Passing"):
            process.send_signal(signal.SIGTERM)
            break
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Stop requested" in output
    assert not (job.model / "model.json").exists()


class Branching(nn.Module):
    """A network that decides by its input, which cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features."""
        features = self.layer(images).mean(dim=(2, 3))
        return features if features.sum() > -1e9 else -features


def normalized() -> nn.Module:
    """Return convolution and batch normalisation with statistics of their own."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network(torch.rand(16, 3, 8, 8))
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("network", [normalized(), Branching().eval()], ids=["folded", "not traceable"])
@pytest.mark.parametrize("count", [1, 8])
def test_the_pass_yields_what_the_backbone_yields(network, count):
    """Whatever is done for speed, features are the backbone's, for full batches and for the last."""
    images = torch.rand(count, 3, 16, 16)
    wanted = Hyperparameters(engine="torch")
    features = BackbonePass(network, wanted, torch.device("cpu"), threads=1, images=8)(images)
    assert features.shape == (count, 4)
    assert torch.allclose(features, network(images), atol=1e-5)


class WrongEngine:
    """Stands for OpenVINO, with features of its own."""

    def convert_model(self, *_: object, **__: object) -> None:
        """Convert nothing."""

    def Core(self) -> WrongEngine:  # noqa: N802 - OpenVINO's name
        """Return what compiles."""
        return self

    def compile_model(self, *_: object) -> object:
        """Return a model with wrong features."""
        return lambda images: [np.tile([1.0, -1.0, 1.0, -1.0], (len(images), 1))]


def test_other_features_are_not_accepted_for_speed(monkeypatch, capsys):
    """A faster way whose features differ from the backbone's is not used, and the log says so."""
    monkeypatch.setitem(sys.modules, "openvino", WrongEngine())
    network, images = normalized(), torch.rand(8, 3, 16, 16)
    wanted = Hyperparameters(engine="openvino")
    features = BackbonePass(network, wanted, torch.device("cpu"), threads=1, images=8)(images)
    assert torch.allclose(features, network(images), atol=1e-5)
    assert "OpenVINO yields other features" in capsys.readouterr().out


def test_an_engine_that_is_not_there_is_named(monkeypatch):
    """Asking for OpenVINO where it is not installed is an error with a way out."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match="engine: auto"):
        BackbonePass(
            normalized(), Hyperparameters(engine="openvino"), torch.device("cpu"), threads=1, images=8
        )
