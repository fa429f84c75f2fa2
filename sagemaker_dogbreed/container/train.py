"""The training job's entry point: channels in, model artifact out."""

from __future__ import annotations

import dataclasses
import json
import platform
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.environment import FailedElsewhere, TrainingEnvironment
from sagemaker_dogbreed.container.files import write_json
from sagemaker_dogbreed.container.hparams import (
    RATE_TEST,
    SUGGESTION,
    TUNING,
    Hyperparameters,
    arguments,
    read_tuning,
)

if TYPE_CHECKING:
    import torch

    from sagemaker_dogbreed.container.debugging.watcher import Watcher
    from sagemaker_dogbreed.container.distributed import Ranks
    from sagemaker_dogbreed.container.preparation import Job, Trained


class StoppedByRuleError(Exception):
    """A rule ended the training before there was a model."""


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
        strings = arguments(sys.argv[1:] if argv is None else argv)
        # ``--model_dir``, ``--_tuning_objective_metric`` and the like are not ours, and passed over.
        hyperparameters = Hyperparameters.from_strings(strings)
        _train(environment, hyperparameters, strings, stop_signals)
    except Exception as error:
        if not isinstance(error, FailedElsewhere):
            traceback.print_exc()
        if environment is not None:
            environment.write_failure(_reason(error))
        return 1
    return 0


def _train(
    environment: TrainingEnvironment,
    hyperparameters: Hyperparameters,
    strings: Mapping[str, str],
    stop_signals: Sequence[int],
) -> None:
    # Imported here, so that a container that lacks something says so in output/failure.
    from sagemaker_dogbreed.container import distributed

    with distributed.joined(_reason) as ranks:
        _train_together(environment, hyperparameters, strings, stop_signals, ranks)


def _train_together(
    environment: TrainingEnvironment,
    hyperparameters: Hyperparameters,
    strings: Mapping[str, str],
    stop_signals: Sequence[int],
    ranks: Ranks,
) -> None:
    import torch

    from sagemaker_dogbreed.container.preparation import Job
    from sagemaker_dogbreed.container.tuning.single_job import SingleJob

    torch.backends.cudnn.deterministic = True
    log.line(f"Hyperparameters: {json.dumps(hyperparameters.to_strings())}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    watcher = _watcher(environment, strings, ranks, device)
    job = Job(
        environment=environment,
        ranks=ranks,
        device=device,
        stop_requested=lambda: bool(stop_signals) or watcher.stopped_by is not None,
        watcher=watcher,
    )
    try:
        watcher.start(_settings(hyperparameters, job))
        if RATE_TEST in strings:
            _suggest_learning_rate(job, hyperparameters)
            return
        if TUNING in strings:
            trained = SingleJob(job, hyperparameters, read_tuning(strings[TUNING])).run()
            if trained is None:
                _raise_if_ended_by_rule(job)
        else:
            trained = _trained(job, hyperparameters, stop_signals)
        if trained is not None and ranks.leads:
            _write(environment, trained)
    finally:
        watcher.finish(environment.output_data_dir)


def _watcher(
    environment: TrainingEnvironment, strings: Mapping[str, str], ranks: Ranks, device: torch.device
) -> Watcher:
    """Return what records and judges the job, as the hyperparameters ask for it."""
    from sagemaker_dogbreed.container.debugging.records import FOLDER, SMDEBUG_FOLDER
    from sagemaker_dogbreed.container.debugging.settings import (
        DEBUGGER,
        PROFILER,
        DebuggerSettings,
        ProfilerSettings,
        read_settings,
    )
    from sagemaker_dogbreed.container.debugging.watcher import Watcher

    if RATE_TEST in strings:
        return Watcher.idle()
    debugger = read_settings(DebuggerSettings, strings.get(DEBUGGER))
    return Watcher(
        environment.checkpoint_dir / FOLDER,
        rank=ranks.rank,
        device=device,
        debugger=None if TUNING in strings else debugger,  # it is about one training
        profiler=read_settings(ProfilerSettings, strings.get(PROFILER)),
        smdebug_folder=environment.output_data_dir / SMDEBUG_FOLDER,
    )


def _settings(hyperparameters: Hyperparameters, job: Job) -> dict[str, Any]:
    """Return what a job was told, and what it found, for its records."""
    import torch

    from sagemaker_dogbreed.container.data import MANY_IMAGES, worker_count

    workers = hyperparameters.num_workers
    return {
        **dataclasses.asdict(hyperparameters),
        "num_workers": worker_count(MANY_IMAGES, job.ranks.processors) if workers is None else workers,
        "on_features": hyperparameters.finetune == "head" and hyperparameters.feature_cache == "on",
        "job_name": job.environment.job_name,
        "dataset_version": job.environment.dataset_version,
        "processes": job.ranks.size,
        "processors": job.ranks.processors,
        "device": str(job.device),
        "pin_memory": torch.cuda.is_available(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "platform": platform.platform(),
    }


def _write(environment: TrainingEnvironment, trained: Trained) -> None:
    """Write the job's output and the model artifact."""
    from sagemaker_dogbreed.container import artifact
    from sagemaker_dogbreed.container.tuning.single_job import STUDY_FILE

    summary = {"best_epoch": trained.state.best_epoch, "epochs": trained.state.epoch, **trained.metrics}
    write_json(environment.output_data_dir / "history.json", {"epochs": list(trained.state.history)})
    write_json(environment.output_data_dir / "metrics.json", summary)
    if trained.study is not None:
        write_json(environment.model_dir / STUDY_FILE, trained.study)
    artifact.save(
        environment.model_dir,
        trained.prepared.classifier,
        class_names=trained.prepared.class_names,
        preprocessing=trained.prepared.preprocessing,
        hyperparameters=trained.prepared.hyperparameters,
        metrics=trained.metrics,
        job_name=environment.job_name,
        dataset_version=environment.dataset_version,
    )
    log.line(f"Model artifact written to {environment.model_dir}")


def _suggest_learning_rate(job: Job, hyperparameters: Hyperparameters) -> None:
    """Say which learning rate suits the head; there is no model."""
    from sagemaker_dogbreed.container.features.split import FeatureSplit
    from sagemaker_dogbreed.container.preparation import prepare
    from sagemaker_dogbreed.container.rate_test import suggest_learning_rate

    prepared = prepare(job, hyperparameters)
    train = prepared.splits["train"]
    if not isinstance(train, FeatureSplit):
        raise ValueError("a range test needs finetune: head and feature_cache: on")
    numbers = train.sampler.order()
    found = suggest_learning_rate(
        prepared.classifier.head.cpu(),
        train.views[0].take(numbers),
        train.labels[numbers],
        batch_size=hyperparameters.batch_size,
        seed=hyperparameters.seed,
    )
    log.line(f"{SUGGESTION}{found.suggestion:.6g}")


def _trained(job: Job, hyperparameters: Hyperparameters, stop_signals: Sequence[int]) -> Trained | None:
    """Train, and return the best of the epochs; None where the job was stopped before there was one.

    Raises:
        StoppedByRuleError: A rule ended the training before there was one.
    """
    from sagemaker_dogbreed.container import loop
    from sagemaker_dogbreed.container.debugging.records import EVALUATION_FILE
    from sagemaker_dogbreed.container.evaluation import Evaluation
    from sagemaker_dogbreed.container.preparation import Trained, prepare

    try:
        prepared = prepare(job, hyperparameters)
    except loop.StopRequested:
        _raise_if_ended_by_rule(job)
        log.line("Stop requested: what has passed the backbone is kept, and there is no model yet")
        return None
    trainer = prepared.trainer(job.environment.checkpoint_dir)
    state = trainer.fit()
    if not state.epoch:
        _raise_if_ended_by_rule(job)
        log.line("Stopped before the first epoch was complete: there is no model to keep")
        return None
    # A rule ends the training, and not what comes after it.
    trainer = dataclasses.replace(trainer, stop_requested=lambda: bool(stop_signals))
    metrics: dict[str, float] = dict(state.history[state.best_epoch - 1])
    del metrics["epoch"]
    evaluation = Evaluation(prepared.class_names, prepared.test_files, job.ranks)
    try:
        metrics |= trainer.test(evaluation.add)
        evaluation.write(job.environment.output_data_dir / EVALUATION_FILE, job.environment.job_name)
        job.watcher.keep(job.environment.output_data_dir / EVALUATION_FILE)
    except loop.StopRequested:
        log.line("Stop requested: the test split is left out")
    job.watcher.release()
    return Trained(prepared=prepared, state=state, metrics=metrics)


def _raise_if_ended_by_rule(job: Job) -> None:
    rule = job.ranks.from_leader(lambda: job.watcher.stopped_by)
    if rule is not None:
        raise StoppedByRuleError(
            f"the rule {rule.name} ended the training before there was a model: {rule.details}. Mend what it "
            "found, or let it go on with on_trigger: none"
        )


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
