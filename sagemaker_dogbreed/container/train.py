"""The training job's entry point: channels in, model artifact out."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.environment import FailedElsewhere, TrainingEnvironment
from sagemaker_dogbreed.container.hparams import Hyperparameters

if TYPE_CHECKING:
    from sagemaker_dogbreed.container.data import Split
    from sagemaker_dogbreed.container.distributed import Ranks
    from sagemaker_dogbreed.container.features.split import FeatureSplit


def main(argv: Sequence[str] | None = None) -> int:
    """Run the training job of this process's environment; return its exit status.

    Whatever goes wrong is written to ``output/failure``, which SageMaker reports as FailureReason.
    On SIGTERM training ends after the batch at hand, and the best model so far is kept. Of several
    processes that torchrun started (``distributed``) one writes the results.
    """
    stop_signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stop_signals.append(number))
    environment: TrainingEnvironment | None = None
    try:
        environment = TrainingEnvironment.from_environ()
        hyperparameters = Hyperparameters.from_argv(sys.argv[1:] if argv is None else argv)
        _train(environment, hyperparameters, stop_signals)
    except Exception as error:
        if not isinstance(error, FailedElsewhere):
            traceback.print_exc()
        if environment is not None:
            environment.write_failure(_reason(error))
        return 1
    return 0


def _train(
    environment: TrainingEnvironment, hyperparameters: Hyperparameters, stop_signals: Sequence[int]
) -> None:
    # Imported here, so that a container that lacks something says so in output/failure.
    from sagemaker_dogbreed.container import distributed

    with distributed.joined(_reason) as ranks:
        _train_together(environment, hyperparameters, stop_signals, ranks)


def _train_together(
    environment: TrainingEnvironment,
    hyperparameters: Hyperparameters,
    stop_signals: Sequence[int],
    ranks: Ranks,
) -> None:
    import torch

    from sagemaker_dogbreed.container import artifact, data, loop, model, weights
    from sagemaker_dogbreed.container.checkpoint import CheckpointStore
    from sagemaker_dogbreed.container.features.extraction import Extraction
    from sagemaker_dogbreed.container.preprocessing import Preprocessing

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.deterministic = True
    loop.seed_everything(hyperparameters.seed)

    preprocessing = Preprocessing.for_backbone(hyperparameters.backbone, hyperparameters.image_size)
    splits, class_names = data.load_splits(environment.channels, hyperparameters, preprocessing, ranks)
    classifier = model.build(hyperparameters, len(class_names), preprocessing.image_size)
    ranks.from_leader(lambda: weights.load_backbone(classifier, hyperparameters, environment.channels))
    _describe(
        hyperparameters,
        f"{device}, {ranks.size} processes" if ranks.size > 1 else device,
        {name: len(split.sampler) for name, split in splits.items()},
        class_names,
    )

    # The layout in which convolutions are fastest, on CPUs too (a third less time on MobileNetV2).
    classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's
    on_features = classifier.frozen and hyperparameters.feature_cache == "on"
    inputs: Mapping[str, Split | FeatureSplit] = splits
    if on_features:
        try:
            inputs = Extraction(
                classifier=classifier,
                hyperparameters=hyperparameters,
                preprocessing=preprocessing,
                device=device,
                ranks=ranks,
                folder=environment.feature_dir,
                earlier=environment.channels.get("features"),
                dataset_version=environment.dataset_version,
                stop_requested=lambda: bool(stop_signals),
            ).splits(splits)
        except loop.StopRequested:
            log.line("Stop requested: what has passed the backbone is kept, and there is no model yet")
            return
    else:
        # Found now, not after hours: training and validation images are all read in the first epoch.
        for _ in splits["test"].batches():
            if stop_signals:
                break
    configuration = {**hyperparameters.to_strings(), "class_names": list(class_names)}
    if hyperparameters.finetune != "full":
        configuration["backbone_weights"] = model.digest(classifier.backbone)
    trainer = loop.Trainer(
        classifier=classifier,
        ranks=ranks,
        splits=inputs,
        hyperparameters=hyperparameters,
        checkpoints=CheckpointStore(environment.checkpoint_dir, configuration),
        device=device,
        stop_requested=lambda: bool(stop_signals),
        on_features=on_features,
    )
    result = trainer.fit()
    if not result.epoch:
        log.line("Stopped before the first epoch was complete: there is no model to keep")
        return
    metrics: dict[str, float] = dict(result.history[result.best_epoch - 1])
    del metrics["epoch"]
    try:
        metrics |= trainer.test()
    except loop.StopRequested:
        log.line("Stop requested: the test split is left out")
    if not ranks.leads:
        return
    summary = {"best_epoch": result.best_epoch, "epochs": result.epoch, **metrics}
    _write_json(environment.output_data_dir / "history.json", {"epochs": list(result.history)})
    _write_json(environment.output_data_dir / "metrics.json", summary)
    artifact.save(
        environment.model_dir,
        classifier,
        class_names=class_names,
        preprocessing=preprocessing,
        hyperparameters=hyperparameters,
        metrics=metrics,
        job_name=environment.job_name,
        dataset_version=environment.dataset_version,
    )
    log.line(f"Model artifact written to {environment.model_dir}")


def _describe(
    hyperparameters: Hyperparameters, device: object, counts: Mapping[str, int], class_names: Sequence[str]
) -> None:
    images = ", ".join(f"{count} {name}" for name, count in counts.items())
    log.line(f"Training on {device}: {len(class_names)} classes, images: {images}")
    log.line(f"Hyperparameters: {json.dumps(hyperparameters.to_strings())}")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


def _reason(error: Exception) -> str:
    """Return the failure in words: the exception, and the way out where its message has none."""
    if isinstance(error, FailedElsewhere):
        return str(error)
    reason = f"{type(error).__name__}: {error}"
    if "closed by peer" in reason or "reset by peer" in reason:
        return (
            f"{reason}. Another process of this training ended without a reason of its own, "
            "which often means out of memory: lower batch_size or num_workers"
        )
    if "more than 1 value per channel" in str(error):
        way_out = "use a batch_size that gives each process 2 or more"
        return f"{reason}. Batch normalization cannot learn from one image: {way_out}"
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
        return f"{reason}. Lower batch_size or image_size, or use a larger instance_type"
    if isinstance(error, ImportError):
        return f"{reason}. The container needs torch, torchvision, numpy and Pillow: use a PyTorch image"
    return reason
