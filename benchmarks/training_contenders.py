"""The trainings that the benchmark compares, each as a command line with its environment."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sagemaker_dogbreed.container.hparams import TUNING, tuning_text

_HERE = Path(__file__).parent
BACKBONE = "resnet50"
ENGINES = ("torch", "openvino") if importlib.util.find_spec("openvino") else ("torch",)
"""The core install's engine, and the optional one where it is installed."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a run needs to know: photographs, weights, the staged script, a folder for what is kept."""

    data: Path
    weights: Path
    tree: Path
    scratch: Path
    epochs: int
    trials: int
    reference_batches: int


@dataclass(frozen=True, slots=True)
class Program:
    """A command line, the variables it gets beside the usual ones, and what must be there afterwards."""

    command: list[str]
    environment: Mapping[str, str]
    result: Path | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to train; ``cached`` ones find the features that the ones before them left."""

    name: str
    program: Callable[[Place], Program]
    trials: bool = False
    cached: bool = False


def script(name: str, *arguments: object) -> list[str]:
    """Return the command line of a program beside this file."""
    return [sys.executable, str(_HERE / name), *map(str, arguments)]


def reference(place: Place) -> Program:
    """Return a part of the reference project's training."""
    return Program(script("reference_training.py", place.data, place.weights, place.reference_batches), {})


def extraction(engine: str, place: Place) -> Program:
    """Return one decoding and one backbone pass of every image, and nothing else."""
    folders = [place.data / split for split in ("train", "valid", "test")]
    return Program(script("backbone_loop.py", engine, BACKBONE, place.weights, *folders), {})


def training(engine: str, place: Place) -> Program:
    """Return the library's training of one head; features are kept in the scratch folder."""
    return _job(engine, place, {"learning_rate": "0.001", "batch_size": "32"}, "training", "metrics.json")


def tuning(engine: str, place: Place) -> Program:
    """Return the library's search over learning rate and batch size in one job."""
    config = {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "Test Loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": place.trials, "MaxParallelTrainingJobs": 1},
        "RandomSeed": 0,
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {
                    "Name": "learning_rate",
                    "MinValue": "0.001",
                    "MaxValue": "0.1",
                    "ScalingType": "Logarithmic",
                }
            ],
            "CategoricalParameterRanges": [
                {"Name": "batch_size", "Values": ["32", "64", "128", "256", "512"]}
            ],
        },
    }
    return _job(engine, place, {TUNING: tuning_text(config)}, "tuning", "study.json")


def _job(engine: str, place: Place, changes: Mapping[str, str], name: str, result: str) -> Program:
    job = place.scratch / name
    values = {
        "backbone": BACKBONE,
        "weights": "channel",
        "finetune": "head",
        "epochs": str(place.epochs),
        "patience": "0",
        "engine": engine,
        **changes,
    }
    arguments = [text for key, value in values.items() for text in (f"--{key}", value)]
    environment = {
        "SM_MODEL_DIR": str(job / "model"),
        "SM_CHANNEL_WEIGHTS": str(place.weights.parent),
        "TRAINING_JOB_NAME": f"benchmark-{name}",
        "DOGBREED_FEATURES": str(place.scratch / "features"),
        "DOGBREED_DATASET_VERSION": "benchmark",
        **{f"SM_CHANNEL_{split.upper()}": str(place.data / split) for split in ("train", "valid", "test")},
    }
    folder = job / "model" if result == "study.json" else job / "output" / "data"
    return Program([sys.executable, str(place.tree / "train.py"), *arguments], environment, folder / result)


def contenders(engine: str) -> tuple[Contender, ...]:
    """Return the library's ways with one engine, in an order in which cached ones find their features."""
    return (
        Contender(f"one training, first use ({engine})", lambda place: training(engine, place)),
        Contender(
            f"one training, features cached ({engine})", lambda place: training(engine, place), cached=True
        ),
        Contender(f"tuning, first use ({engine})", lambda place: tuning(engine, place), trials=True),
        Contender(
            f"tuning, features cached ({engine})",
            lambda place: tuning(engine, place),
            trials=True,
            cached=True,
        ),
    )
