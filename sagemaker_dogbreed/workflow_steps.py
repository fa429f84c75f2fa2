"""The steps of a workflow: each is carried out, waited for, and told in a line."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from sagemaker_dogbreed.data.versions.dataset import Dataset
from sagemaker_dogbreed.jobs.single_job_tuning import Tuning
from sagemaker_dogbreed.jobs.training_job import ModelArtifact, TrainingJob, TrainingResult
from sagemaker_dogbreed.predictor import Predictor
from sagemaker_dogbreed.readiness import check_training
from sagemaker_dogbreed.requests.tuning_job import check_trials
from sagemaker_dogbreed.session import Session
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec
from sagemaker_dogbreed.specs.workflow import WorkflowSpec

Report = Callable[[str], None]


def of_trials(training: TrainingSpec) -> TrainingSpec:
    """Return what the trials of a training's search have in common: AWS's rules and profiler are left out.

    SageMaker's tuning has neither; the training that follows has them.
    """
    debugger, profiler = training.debugger, training.profiler
    return attrs.evolve(
        training,
        debugger=None if debugger is not None and debugger.backend == "aws" else debugger,
        profiler=None if profiler is not None and profiler.backend == "aws" else profiler,
    )


def check(session: Session, spec: WorkflowSpec) -> None:
    """Check that all steps can be carried out.

    Raises:
        UnsupportedError: A spec asks for what is not carried out yet, or not there.
        SpecError: Search and training do not go together, or the weights file does not exist.
        ImageUriError: AWS has no image as a spec asks for.
    """
    if spec.tuning is not None:
        check_trials(spec.tuning, of_trials(spec.training))
    check_training(spec.training, session.store, runs_aws_rules=session.place.runs_aws_rules)
    session.place.check_specs(training=spec.training, endpoint=spec.endpoint)
    # What has no image, or no patches, is told now and not when the training is paid for.
    session.place.training_image(spec.training)
    if spec.endpoint is not None:
        session.place.inference_image(spec.endpoint)


def upload(session: Session, spec: DatasetSpec, *, progress: bool, report: Report) -> Dataset:
    """Upload the data set; errors are those of ``Session.upload``."""
    dataset = session.upload(spec, progress=progress)
    report(str(dataset.report))
    report(f"Data set {dataset.name}, version {dataset.version}: {dataset.uri}")
    return dataset


def tune(
    session: Session,
    tuning: TuningSpec,
    training: TrainingSpec,
    dataset: Dataset,
    *,
    progress: bool,
    report: Report,
) -> Tuning:
    """Search hyperparameters; errors are those of ``Session.tune`` and the handle's ``wait``."""
    trials = of_trials(training)
    job = session.tune(tuning, trials, dataset)
    without = "" if trials == training else ", its trials without SageMaker's rules and profiler"
    report(f"Tuning job {job.name} started{without}")
    try:
        job.wait(progress=progress)
    except KeyboardInterrupt:
        report(f"Interrupted; tuning job {job.name} goes on until it ends or is stopped")
        raise
    results = job.results
    report(f"Tuning job {job.name} is {job.status}:\n{results}")
    best = ", ".join(f"{name} {value}" for name, value in results.best_hyperparameters.items())
    report(f"Best hyperparameters: {best}")
    return job


def train(
    session: Session, spec: TrainingSpec, dataset: Dataset, *, logs: bool, report: Report
) -> tuple[TrainingJob, TrainingResult]:
    """Train; errors are those of ``Session.train`` and the handle's ``wait``."""
    job = session.train(spec, dataset)
    report(f"Training job {job.name} started")
    try:
        result = job.wait(logs=logs).result()
    except KeyboardInterrupt:
        report(f"Interrupted; training job {job.name} goes on until it ends or is stopped")
        raise
    report(f"Training job {result}")
    return job, result


def deploy(session: Session, spec: EndpointSpec, model: ModelArtifact, *, report: Report) -> Predictor:
    """Bring the model into service; one that does not come into service is removed again."""
    predictor = session.deploy(spec, model)
    report(f"Endpoint {predictor.endpoint_name} is being created")
    try:
        predictor.wait()
    except BaseException:
        # Nothing that costs is left behind by a deployment that failed or was given up.
        predictor.delete()
        report(f"The endpoint is removed again; the model of training job {model.job_name} is kept")
        raise
    report(f"Endpoint {predictor.endpoint_name} is in service")
    return predictor
