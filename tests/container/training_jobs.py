"""Tiny training jobs for tests: drawn images, a job folder, and both ways to run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import models

from sagemaker_dogbreed.container import train
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import Classifier, build

CLASSES = ("blue", "green", "red")
QUICK = {
    "backbone": "squeezenet1_1", "weights": "none", "finetune": "full", "image_size": 32, "head": "mlp",
    "epochs": 2, "batch_size": 4, "learning_rate": 0.0003, "num_workers": 0,
}  # fmt: skip
"""Hyperparameters of a training that takes a second."""


def draw_channel(folder: Path, count: int, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write ``count`` noisy PNG images a class, each class of its own color."""
    random = np.random.default_rng(len(folder.name))
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for image in range(count):
            pixels = random.integers(0, 120, (40, 36, 3))
            pixels[..., number % 3] += 130
            Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{image}.png")
    return folder


def quick_classifier(class_count: int = 3, **changes: object) -> Classifier:
    """Build a classifier from the quick hyperparameters; always the same random weights."""
    torch.manual_seed(0)
    return build(Hyperparameters(**{**QUICK, **changes}), class_count, 32)


def save_backbone(folder: Path, name: str = "shufflenet_v2_x0_5") -> Path:
    """Write random weights of a small backbone, always the same, into a new folder for a channel."""
    folder.mkdir()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        torch.save(models.get_model(name, weights=None).state_dict(), folder / f"{name}.pth")
    return folder


class Job:
    """The folders of one training job below ``base``, as SageMaker lays them out."""

    def __init__(self, base: Path, train_count: int = 4) -> None:
        self.base = base
        self.channels = {
            name: draw_channel(base / "input" / "data" / name, count)
            for name, count in {"train": train_count, "valid": 2, "test": 2}.items()
        }
        self.model, self.output, self.checkpoints = base / "model", base / "output", base / "checkpoints"

    @property
    def environ(self) -> dict[str, str]:
        """The variables the container toolkit sets."""
        channels = {f"SM_CHANNEL_{name.upper()}": str(path) for name, path in self.channels.items()}
        return {"SM_MODEL_DIR": str(self.model), "TRAINING_JOB_NAME": "squares-1", **channels}

    def run_here(self, monkeypatch, **hyperparameters: object) -> int:
        """Run the job in this process and return its exit status."""
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)
        return train.main(arguments(**hyperparameters))

    def start(self, tree: Path, *argv: str) -> subprocess.Popen[str]:
        """Start the staged script in a process of its own that knows no other code of ours."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.Popen(
            [sys.executable, "train.py", *argv],
            cwd=tree,
            env={**kept, **self.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def forget_checkpoints(self) -> None:
        """Take away what a training would go on from; features stay."""
        for path in self.checkpoints.glob("*.pt"):
            path.unlink()

    @property
    def failure(self) -> str:
        """The text the job left as its reason to fail."""
        return (self.output / "failure").read_text()

    def result(self, name: str) -> dict:
        """One of the JSON files in the job's output data."""
        return json.loads((self.output / "data" / f"{name}.json").read_text())


def arguments(**hyperparameters: object) -> list[str]:
    """Return the quick hyperparameters, with changes, as the toolkit passes them."""
    values = {**QUICK, **hyperparameters}
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]
