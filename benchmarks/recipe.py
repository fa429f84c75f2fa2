"""What recipes for a head on a frozen backbone make of the same photographs, measured on the test split.

The images' folder has the folders train, valid and test; the cache keeps features from one run to the next.
Every recipe is trained by the library's own loop once a seed, which draws the head's first weights and the
order of the images; the table gives mean and standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sagemaker_dogbreed.container import log, model
from sagemaker_dogbreed.container.checkpoint import CheckpointStore
from sagemaker_dogbreed.container.data import load_splits
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.features.extraction import Extraction
from sagemaker_dogbreed.container.features.split import FeatureSplit
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.loop import Trainer, seed_everything
from sagemaker_dogbreed.container.preprocessing import Preprocessing
from sagemaker_dogbreed.container.weights import load_backbone

CPU = torch.device("cpu")
COMMON: dict[str, Any] = {"weights": "channel", "augmentation": "none", "num_workers": 0}

REFERENCE = "reference"
_REFERENCE_RECIPE = {
    "head": "mlp", "head_units": 128, "optimizer": "adam", "learning_rate": 0.001, "batch_size": 64,
    "epochs": 20, "patience": 0, "schedule": "constant", "warmup": 0.0, "weight_decay": 0.0,
    "label_smoothing": 0.0, "dropout": 0.0, "class_weights": "none", "mixup": 0.0, "ema_decay": 0.0,
}  # fmt: skip
RECIPES: dict[str, dict[str, Any]] = {
    REFERENCE: _REFERENCE_RECIPE,
    "reference recipe, normalised pixels": _REFERENCE_RECIPE,
    "default": {},
    "mlp, adamw, cosine, dropout": {
        "head": "mlp", "head_units": 256, "optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine",
        "warmup": 0.1, "dropout": 0.5,
    },
}  # fmt: skip


class Result(NamedTuple):
    """One training: on the test split, and how long it took."""

    loss: float
    top_1: float
    epochs: int
    seconds: float


def preprocessing(backbone: str, recipe: str) -> Preprocessing:
    """Return what a recipe does to images: the reference scales them to the size, and does not normalise."""
    ours = Preprocessing.for_backbone(backbone)
    if recipe != REFERENCE:
        return ours
    size = ours.image_size
    return Preprocessing(
        image_size=size, resize_size=size, mean=(0, 0, 0), std=(1, 1, 1), interpolation="bilinear"
    )


def features(
    images: Path, weights: Path, backbone: str, transform: Preprocessing, cache: Path
) -> tuple[dict[str, FeatureSplit], Mapping[str, Any]]:
    """Return the splits' features, computed once, and the hyperparameters that they hold for."""
    fixed = {**COMMON, "backbone": backbone}
    wanted = Hyperparameters(**fixed)
    channels = {name: images / name for name in ("train", "valid", "test")}
    splits, classes = load_splits(channels, wanted, transform)
    classifier = model.build(wanted, len(classes), transform.image_size)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / weights.name).symlink_to(weights.resolve())
        load_backbone(classifier, wanted, {"weights": Path(folder)})
    found = Extraction(
        classifier=classifier,
        hyperparameters=wanted,
        preprocessing=transform,
        device=CPU,
        ranks=Ranks(),
        folder=cache,
        earlier=None,
        dataset_version=None,
        stop_requested=lambda: False,
    ).splits(splits)
    return found, fixed


def train(splits: Mapping[str, FeatureSplit], wanted: Hyperparameters) -> Result:
    """Train a head, and measure what is best of it on the test split."""
    seed_everything(wanted.seed)
    classes = len(splits["train"].class_counts)
    classifier = model.build(wanted, classes, Preprocessing.for_backbone(wanted.backbone).image_size)
    sized = {name: split.with_batch_size(wanted.batch_size) for name, split in splits.items()}
    sized["train"].sampler.seed = wanted.seed
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, log.muted():
        trainer = Trainer(
            classifier=classifier,
            ranks=Ranks(),
            splits=sized,
            hyperparameters=wanted,
            checkpoints=CheckpointStore(Path(folder), {}),
            device=CPU,
            stop_requested=lambda: False,
            on_features=True,
        )
        epochs = trainer.fit().epoch
        measures = trainer.test()
    return Result(measures["test_loss"], measures["test_top_1"], epochs, time.perf_counter() - begun)


def row(name: str, results: list[Result]) -> str:
    """Return a recipe's line of the table."""

    def spread(values: list[float], digits: int) -> str:
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        return f"{statistics.fmean(values):.{digits}f} ± {deviation:.{digits}f}"

    columns = list(zip(*results, strict=True))
    loss, top_1 = spread([*columns[0]], 4), spread([*columns[1]], 4)
    epochs, seconds = statistics.fmean(columns[2]), statistics.fmean(columns[3])
    return f"| {name} | {loss} | {top_1} | {epochs:.1f} | {seconds:.1f} |"


def main() -> None:
    """Train all recipes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(os.environ.get("SAGEMAKER_DOGBREED_TEST_DATA", Path(__file__).parents[2] / "shared"))
    parser.add_argument("--images", type=Path, default=shared / "dogs" / "stanford120")
    parser.add_argument("--weights", type=Path, help="default: MobileNetV2's of the test data")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "recipe-features")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--recipe", action="append", choices=sorted(RECIPES))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    weights = options.weights or next((shared / "weights").glob("mobilenet_v2-*.pth"))
    print("| recipe | test loss | test top-1 | epochs | seconds |\n|---|---|---|---|---|", flush=True)
    for name in options.recipe or RECIPES:
        with log.muted():
            transform = preprocessing(options.backbone, name)
            splits, fixed = features(options.images, weights, options.backbone, transform, options.cache)
        seeds = range(options.seeds)
        wanted = [Hyperparameters(**{**RECIPES[name], **fixed, "seed": seed}) for seed in seeds]
        print(row(name, [train(splits, hyperparameters) for hyperparameters in wanted]), flush=True)


if __name__ == "__main__":
    main()
