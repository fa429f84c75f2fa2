"""The whole flow: data set, training, endpoint; described by specs or by one YAML file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import attrs

from sagemaker_dogbreed.aws.preflight.report import PreflightReport
from sagemaker_dogbreed.aws.spending.costs import CostEstimate, check_budget, total_text
from sagemaker_dogbreed.config.files import Overrides, load
from sagemaker_dogbreed.data.versions.dataset import Dataset, dataset_uri
from sagemaker_dogbreed.drafts import Drafts, data_channels
from sagemaker_dogbreed.jobs.training_job import ModelArtifact, TrainingJob, TrainingResult
from sagemaker_dogbreed.predictor import Predictor
from sagemaker_dogbreed.readiness import check_endpoint_name, check_training
from sagemaker_dogbreed.requests.channels import Channel
from sagemaker_dogbreed.requests.names import unique_name
from sagemaker_dogbreed.session import Session
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.workflow import WorkflowSpec


@attrs.frozen
class PlannedRequest:
    """One API request: boto3's operation (``CreateTrainingJob``) and its parameters."""

    operation: str
    parameters: dict[str, Any]


@attrs.frozen
class Plan:
    """The requests a workflow sends, in order, and what they cost at most.

    Printing it shows each request as JSON, then instance-hours and costs.
    """

    requests: tuple[PlannedRequest, ...]
    costs: tuple[CostEstimate, ...] = ()

    def __str__(self) -> str:
        parts = [f"{each.operation}\n{json.dumps(each.parameters, indent=2)}" for each in self.requests]
        return "\n\n".join([*parts, *([f"Costs\n{total_text(self.costs)}"] if self.costs else [])])


@attrs.frozen(kw_only=True)
class WorkflowResult:
    """What a workflow made; ``predictor`` is None where no endpoint was asked for."""

    dataset: Dataset
    training_job: TrainingJob
    training: TrainingResult
    predictor: Predictor | None


class Workflow:
    """A data set, a training job and an endpoint, run one after the other.

    >>> from sagemaker_dogbreed.specs.dataset import DatasetSpec
    >>> workflow = Workflow(WorkflowSpec(dataset=DatasetSpec(source="photos")))
    >>> workflow.spec.training.backbone
    'resnet50'
    """

    def __init__(self, spec: WorkflowSpec) -> None:
        self.spec = spec

    def __repr__(self) -> str:
        return f"Workflow({self.spec!r})"

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str], overrides: Overrides = ()) -> Workflow:
        """Load a workflow from a YAML file.

        Args:
            path: The file.
            overrides: Values that replace the file's, as ``{"training.epochs": 3}`` or
                ``["training.epochs=3"]``.

        Raises:
            ConfigError: The file or an override has problems; all are listed with path and line.
        """
        return cls(load(os.fspath(path), overrides))

    def plan(self, session: Session | None = None) -> Plan:
        """Return the requests this workflow sends; nothing is sent, and no data is read.

        What is known only once data and code are read stands in angle brackets.
        """
        session = session or Session.local()
        drafts = Drafts(session.place.planned())
        dataset, training = self.spec.dataset, self.spec.training
        version, bucket = "<version>", drafts.defaults.bucket
        channels = data_channels(dataset_uri(dataset, bucket, version), training.input_source)
        if training.weights_source is not None:
            channels["weights"] = Channel(uri=f"s3://{bucket}/weights/{version}/")
        job_name = unique_name(training.name or "dogbreed")
        request = drafts.training_job(
            training,
            job_name,
            channels=channels,
            source_archive_uri=f"s3://{bucket}/code/{version}/sourcedir.tar.gz",
            dataset_version=version,
        )
        requests = [PlannedRequest("CreateTrainingJob", request)]
        if self.spec.endpoint is not None:
            name = self.spec.endpoint.name or unique_name("dogbreed")
            artifact = f"s3://{bucket}/jobs/{job_name}/output/model.tar.gz"
            created = drafts.endpoint(self.spec.endpoint, name, model_uri=artifact, run=job_name)
            requests += [
                PlannedRequest("CreateModel", created.model),
                PlannedRequest("CreateEndpointConfig", created.config),
                PlannedRequest("CreateEndpoint", created.endpoint),
            ]
        return Plan(tuple(requests), self._costs(session))

    def run(
        self,
        session: Session | None = None,
        *,
        progress: bool = True,
        logs: bool = False,
        max_cost: float | None = None,
        report: Callable[[str], None] = print,
    ) -> WorkflowResult:
        """Upload, train and deploy, waiting for each; the endpoint stays in service afterwards.

        Args:
            session: Where to run; default: ``Session.local()``.
            progress: Show progress bars.
            logs: Print the training job's log lines as they come.
            max_cost: USD that training and endpoint may cost at most, all their time used up.
            report: Receives a line of text for each step.

        Raises:
            BudgetError: They may cost more, or a price is not known; raised before anything starts.
            ImageUriError: AWS has no image as a spec asks for; raised before anything starts.
            UnsupportedError: The specs ask for what is not carried out yet; raised before anything starts.
            DogbreedError: A step failed; see ``Session`` and the handles for each.
        """
        session = session or Session.local()
        endpoint = self.spec.endpoint
        check_training(
            self.spec.training,
            session.store,
            runs_aws_rules=session.place.runs_aws_rules,
            tuning=self.spec.tuning,
        )
        session.place.check_specs(training=self.spec.training, endpoint=endpoint)
        # What has no image, or no patches, is told now and not when the training is paid for.
        session.place.training_image(self.spec.training)
        if endpoint is not None:
            session.place.inference_image(endpoint)
        if max_cost is not None:
            check_budget(self._costs(session), max_cost)
        if endpoint is not None and endpoint.name is not None:
            check_endpoint_name(session.clients.sagemaker, endpoint.name)
        dataset = session.upload(self.spec.dataset, progress=progress)
        report(str(dataset.report))
        report(f"Data set {dataset.name}, version {dataset.version}: {dataset.uri}")
        job = session.train(self.spec.training, dataset)
        report(f"Training job {job.name} started")
        try:
            training = job.wait(logs=logs).result()
        except KeyboardInterrupt:
            report(f"Interrupted; training job {job.name} goes on until it ends or is stopped")
            raise
        report(f"Training job {training}")
        predictor = self._deploy(session, endpoint, training.model, report) if endpoint is not None else None
        return WorkflowResult(dataset=dataset, training_job=job, training=training, predictor=predictor)

    def preflight(self, session: Session | None = None) -> PreflightReport:
        """Check what this workflow needs before money is spent; nothing is made or submitted."""
        session, spec = session or Session.local(), self.spec
        return session.preflight(
            dataset=spec.dataset, training=spec.training, tuning=spec.tuning, endpoint=spec.endpoint
        )

    def _costs(self, session: Session) -> tuple[CostEstimate, ...]:
        spec = self.spec
        return session.costs(training=spec.training, tuning=spec.tuning, endpoint=spec.endpoint)

    def _deploy(
        self, session: Session, spec: EndpointSpec, model: ModelArtifact, report: Callable[[str], None]
    ) -> Predictor:
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
