"""What a training works with, made from a job's channels and hyperparameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sagemaker_dogbreed.container import data, log, model, weights
from sagemaker_dogbreed.container.checkpoint import Checkpoint, CheckpointStore
from sagemaker_dogbreed.container.debugging.watcher import Watcher
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.environment import TrainingEnvironment
from sagemaker_dogbreed.container.features.extraction import Extraction
from sagemaker_dogbreed.container.features.split import FeatureSplit
from sagemaker_dogbreed.container.heads import build_head, feature_count
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.learning import Examples
from sagemaker_dogbreed.container.loop import StopRequested, Trainer, seed_everything
from sagemaker_dogbreed.container.model import Classifier
from sagemaker_dogbreed.container.preprocessing import Preprocessing

HEAD_ONLY = frozenset(
    {"class_weights", "dropout", "ema_decay", "head", "head_units", "label_smoothing", "mixup"}
    | {"batch_size", "epochs", "learning_rate", "optimizer", "patience", "schedule", "warmup", "weight_decay"}
)
"""Hyperparameters that the features of a frozen backbone do not depend on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """This process's part of a training job.

    Attributes:
        device: Where networks run.
        stop_requested: Whether this process was asked to stop.
        watcher: Records the job.
    """

    environment: TrainingEnvironment
    ranks: Ranks
    device: torch.device
    stop_requested: Callable[[], bool]
    watcher: Watcher = dataclasses.field(default_factory=Watcher.idle)

    def raise_if_stopped(self) -> None:
        """Raise StopRequested, in all processes, if one of them was asked to stop."""
        if self.ranks.sum([self.stop_requested()])[0]:
            raise StopRequested


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """Data and network of a training.

    Attributes:
        backbone_digest: Of the weights that a backbone begins with of which something is frozen, else None.
        counts: How many images each split has.
        test_files: The test split's images, in the order of their batches.
        splits: Batches of images; with ``on_features`` of what the frozen backbone makes of them.
    """

    job: Job
    hyperparameters: Hyperparameters
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    classifier: Classifier
    backbone_digest: str | None
    counts: Mapping[str, int]
    test_files: Sequence[Path]
    splits: Mapping[str, Examples]
    on_features: bool

    def trainer(self, checkpoint_dir: Path) -> Trainer:
        """Return what trains; it goes on from a checkpoint in the folder, should there be one."""
        configuration = {**self.hyperparameters.to_strings(), "class_names": list(self.class_names)}
        if self.backbone_digest is not None:
            configuration["backbone_weights"] = self.backbone_digest
        return Trainer(
            classifier=self.classifier,
            ranks=self.job.ranks,
            splits=self.splits,
            hyperparameters=self.hyperparameters,
            checkpoints=CheckpointStore(checkpoint_dir, configuration),
            device=self.job.device,
            stop_requested=self.job.stop_requested,
            on_features=self.on_features,
            watcher=self.job.watcher,
        )

    def with_hyperparameters(self, wanted: Hyperparameters) -> Prepared:
        """Return the same with a new head, for a training on features that differs in ``HEAD_ONLY`` only."""
        splits = {
            name: split.with_batch_size(wanted.batch_size) if isinstance(split, FeatureSplit) else split
            for name, split in self.splits.items()
        }
        classifier = _with_new_head(self.classifier, wanted, len(self.class_names)).to(self.job.device)
        return dataclasses.replace(self, hyperparameters=wanted, splits=splits, classifier=classifier)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training leaves.

    Attributes:
        prepared: With the best epoch's model in its classifier.
        state: After the last epoch.
        metrics: The best epoch's, and the test split's where it was measured; by key.
        study: Of a tuning, all trials.
    """

    prepared: Prepared
    state: Checkpoint
    metrics: Mapping[str, float]
    study: Mapping[str, Any] | None = None


def prepare(job: Job, hyperparameters: Hyperparameters) -> Prepared:
    """Read the channels and build the network; where the backbone stays frozen, pass all images through it.

    Raises:
        DataError: A channel is missing, empty or has a class that train does not have, or an image cannot
            be decoded.
        ShardError: A channel is packed in tar shards that are damaged or unsafe.
        ValueError: There is no such backbone, or it cannot take images of this size.
        WeightsError: The backbone's weights cannot be had or do not fit.
        FeatureError: The backbone yields what cannot be kept.
        EngineError: The engine that was asked for is not installed.
        StopRequested: The job was asked to stop meanwhile.
    """
    ranks, environment = job.ranks, job.environment
    seed_everything(hyperparameters.seed)
    preprocessing = Preprocessing.for_backbone(hyperparameters.backbone, hyperparameters.image_size)
    images, class_names = data.load_splits(environment.channels, hyperparameters, preprocessing, ranks)
    counts = {name: len(split.sampler) for name, split in images.items()}
    described = ", ".join(f"{count} {name}" for name, count in counts.items())
    device = f"{job.device}, {ranks.size} processes" if ranks.size > 1 else job.device
    log.line(f"Training on {device}: {len(class_names)} classes, images: {described}")

    classifier = model.build(hyperparameters, len(class_names), preprocessing.image_size)
    ranks.from_leader(lambda: weights.load_backbone(classifier, hyperparameters, environment.channels))
    classifier = _with_new_head(classifier, hyperparameters, len(class_names))
    # The layout in which convolutions are fastest, on CPUs too (a third less time on MobileNetV2).
    classifier.to(job.device).to(memory_format=torch.channels_last)
    on_features = classifier.frozen and hyperparameters.feature_cache == "on"
    splits: Mapping[str, Examples] = images
    if hyperparameters.views > 1 and not (on_features and hyperparameters.augmentation != "none"):
        log.line("views has no effect here: it is for the features of images that augmentation changes")
    if on_features:
        ranks.together(classifier, on_features=True)  # rank 0's weights, for all
        splits = Extraction(
            classifier=classifier,
            hyperparameters=hyperparameters,
            preprocessing=preprocessing,
            device=job.device,
            ranks=ranks,
            folder=environment.feature_dir,
            earlier=environment.channels.get("features"),
            dataset_version=environment.dataset_version,
            stop_requested=job.stop_requested,
            watcher=job.watcher,
        ).splits(images)
    else:
        # Found now, not after hours: training and validation images are all read in the first epoch.
        for _ in images["test"].batches():
            if job.stop_requested():
                break
    return Prepared(
        job=job,
        hyperparameters=hyperparameters,
        class_names=class_names,
        preprocessing=preprocessing,
        classifier=classifier,
        backbone_digest=None if hyperparameters.finetune == "full" else model.digest(classifier.backbone),
        counts=counts,
        test_files=[path for path, _ in images["test"].dataset.files],
        splits=splits,
        on_features=on_features,
    )


def _with_new_head(classifier: Classifier, wanted: Hyperparameters, class_count: int) -> Classifier:
    """Return a classifier of the same backbone whose head's weights depend on the seed alone."""
    seed_everything(wanted.seed)
    head = build_head(wanted, feature_count(classifier.head), class_count)
    return Classifier(
        classifier.backbone, head, classifier_layer=classifier.classifier_layer, finetune=wanted.finetune
    )
