"""What a session needs to know of the place where its jobs and endpoints run."""

from __future__ import annotations

from typing import Any, Protocol

from sagemaker_dogbreed.aws.preflight.report import PreflightReport
from sagemaker_dogbreed.aws.spending.costs import Prices
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec
from sagemaker_dogbreed.store.interface import Store


class Defaults(Protocol):
    """What requests name where specs leave it open."""

    @property
    def role(self) -> str:
        """The ARN of the execution role."""

    @property
    def bucket(self) -> str:
        """The name of the bucket; it exists."""

    def training_image(self, spec: TrainingSpec) -> str:
        """Return the image of a training job."""

    def inference_image(self, spec: EndpointSpec) -> str:
        """Return the image of an endpoint's model."""

    def rule_image(self) -> str:
        """Return the image that evaluates the rules of SageMaker Debugger."""


class Place(Defaults, Protocol):
    """The place itself: its defaults, and what can be known there before money is spent."""

    @property
    def clients(self) -> Clients:
        """The clients that everything is sent through."""

    @property
    def store(self) -> Store:
        """Where S3 objects are."""

    @property
    def poller(self) -> Poller:
        """How jobs and endpoints are waited for."""

    @property
    def region(self) -> str:
        """The region, as prices are told for."""

    @property
    def prices(self) -> Prices:
        """What instances cost there."""

    @property
    def runs_aws_rules(self) -> bool:
        """Whether rules of SageMaker Debugger are evaluated there."""

    @property
    def keeps_features(self) -> bool:
        """Whether features that a job computed are there for the next one without further ado."""

    def check_bucket(self, name: str) -> None:
        """Raise AccountError unless a bucket that a spec names can be used: it exists, in the right hands."""

    def check_specs(
        self, *, training: TrainingSpec | None = None, endpoint: EndpointSpec | None = None
    ) -> None:
        """Raise UnsupportedError where specs ask for what cannot be had there."""

    def planned(self) -> Defaults:
        """Return the defaults without making anything, with words in angle brackets for the unknown."""

    def preflight(
        self,
        *,
        dataset: DatasetSpec | None,
        training: TrainingSpec | None,
        tuning: TuningSpec | None,
        endpoint: EndpointSpec | None,
    ) -> PreflightReport:
        """Check what a run needs; nothing is made or submitted."""

    def iam_policy(
        self, *, dataset: DatasetSpec | None, training: TrainingSpec | None, endpoint: EndpointSpec | None
    ) -> dict[str, Any]:
        """Return the policy of an execution role for exactly what the specs use."""

    def ensure_role(self, name: str, policy: dict[str, Any], *, managed: bool, adopt: bool) -> str:
        """Make an execution role, or bring it up to date, use it from now on, and return its ARN."""
