"""The whole flow: data set, tuning, training, endpoint; described by specs or by one YAML file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import attrs

from sagemaker_dogbreed import workflow_steps as steps
from sagemaker_dogbreed.aws.preflight.report import PreflightReport
from sagemaker_dogbreed.aws.spending.costs import CostEstimate, check_budget, total_text
from sagemaker_dogbreed.config.files import Overrides, load
from sagemaker_dogbreed.data.versions.dataset import Dataset, dataset_uri
from sagemaker_dogbreed.drafts import Drafts, data_channels
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.jobs.single_job_tuning import SingleJobTuning, Tuning
from sagemaker_dogbreed.jobs.training_job import TrainingJob, TrainingResult
from sagemaker_dogbreed.jobs.tuning_results import TuningResults
from sagemaker_dogbreed.predictor import Predictor
from sagemaker_dogbreed.readiness import check_endpoint_name
from sagemaker_dogbreed.requests.channels import Channel
from sagemaker_dogbreed.requests.names import MAX_TUNING_NAME_LENGTH, unique_name
from sagemaker_dogbreed.session import Session
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
    """What a workflow made; ``predictor``, or ``tuning_job`` and ``tuning``, are None where not asked for."""

    dataset: Dataset
    tuning_job: Tuning | None = None
    tuning: TuningResults | None = None
    training_job: TrainingJob
    training: TrainingResult
    predictor: Predictor | None


class Workflow:
    """A data set, a tuning job, a training job and an endpoint, run one after the other.

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
        source = f"s3://{bucket}/code/{version}/sourcedir.tar.gz"
        request = drafts.training_job(
            training, job_name, channels=channels, source_archive_uri=source, dataset_version=version
        )
        requests = [PlannedRequest("CreateTrainingJob", request)]
        tuning = self.spec.tuning
        if tuning is not None:
            searched = drafts.tuning_job(
                tuning,
                steps.of_trials(training),
                unique_name(tuning.name or "dogbreed", longest=MAX_TUNING_NAME_LENGTH),
                channels=channels,
                source_archive_uri=source,
                dataset_version=version,
            )
            if tuning.execution == "single_job":  # whose model is the best trial's: no other training follows
                requests = [PlannedRequest("CreateTrainingJob", searched)]
                job_name = searched["TrainingJobName"]
            else:
                request["HyperParameters"] |= {name: f"<best {name}>" for name in tuning.ranges}
                requests.insert(0, PlannedRequest("CreateHyperParameterTuningJob", searched))
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
        """Upload, tune, train and deploy, waiting for each; the endpoint stays in service afterwards.

        With a search in the specs, the training has the best hyperparameters that were found.

        Args:
            session: Where to run; default: ``Session.local()``.
            progress: Show progress bars.
            logs: Print the training job's log lines as they come.
            max_cost: USD that tuning, training and endpoint may cost at most, all their time used up.
            report: Receives a line of text for each step.

        Raises:
            BudgetError: They may cost more, or a price is not known; raised before anything starts.
            ImageUriError: AWS has no image as a spec asks for; raised before anything starts.
            UnsupportedError: The specs ask for what is not carried out yet; raised before anything starts.
            DogbreedError: A step failed; see ``Session`` and the handles for each.
        """
        session = session or Session.local()
        endpoint = self.spec.endpoint
        steps.check(session, self.spec)
        if max_cost is not None:
            check_budget(self._costs(session), max_cost)
        if endpoint is not None and endpoint.name is not None:
            check_endpoint_name(session.clients.sagemaker, endpoint.name)
        dataset = steps.upload(session, self.spec.dataset, progress=progress, report=report)
        training, search, found = self.spec.training, None, None
        if self.spec.tuning is not None:
            search = steps.tune(
                session, self.spec.tuning, training, dataset, progress=progress, report=report
            )
            found = search.results
            training = training.with_hyperparameters(found.best_hyperparameters)
        if isinstance(search, SingleJobTuning):  # which has the best trial's model already
            job, result = search.job, search.job.result()
        else:
            job, result = steps.train(session, training, dataset, logs=logs, report=report)
        predictor = None
        if endpoint is not None:
            predictor = steps.deploy(session, endpoint, result.model, report=report)
        return WorkflowResult(
            dataset=dataset,
            tuning_job=search,
            tuning=found,
            training_job=job,
            training=result,
            predictor=predictor,
        )

    def tune(
        self,
        session: Session | None = None,
        *,
        progress: bool = True,
        max_cost: float | None = None,
        report: Callable[[str], None] = print,
    ) -> Tuning:
        """Upload and tune, and no more; arguments and errors are those of ``run``.

        Raises:
            SpecError: There is no tuning in the specs.
        """
        tuning, training = self.spec.tuning, self.spec.training
        if tuning is None:
            raise SpecError("there is no tuning in the specs; add it, as tuning: {} for the defaults")
        session = session or Session.local()
        steps.check(session, attrs.evolve(self.spec, endpoint=None))
        if max_cost is not None:
            check_budget(session.costs(training=training, tuning=tuning)[:1], max_cost)
        dataset = steps.upload(session, self.spec.dataset, progress=progress, report=report)
        return steps.tune(session, tuning, training, dataset, progress=progress, report=report)

    def preflight(self, session: Session | None = None) -> PreflightReport:
        """Check what this workflow needs before money is spent; nothing is made or submitted."""
        session, spec = session or Session.local(), self.spec
        return session.preflight(
            dataset=spec.dataset, training=spec.training, tuning=spec.tuning, endpoint=spec.endpoint
        )

    def _costs(self, session: Session) -> tuple[CostEstimate, ...]:
        spec = self.spec
        found = session.costs(training=spec.training, tuning=spec.tuning, endpoint=spec.endpoint)
        in_one = spec.tuning is not None and spec.tuning.execution == "single_job"
        return (found[0], *found[2:]) if in_one else found
