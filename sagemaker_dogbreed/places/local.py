"""This machine as a place to run: nothing is asked for, nothing costs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NoReturn

import attrs

from sagemaker_dogbreed.aws.preflight import checks, spec_checks
from sagemaker_dogbreed.aws.preflight.report import PreflightReport
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.container.debugging import smdebug_checks
from sagemaker_dogbreed.errors import MissingExtraError, UnsupportedError
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.local.service import LocalSageMaker
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec
from sagemaker_dogbreed.store.local import LocalStore

_IMAGE = "local/pytorch"


class FreeOfCharge:
    """Prices of a machine that is there anyway."""

    def usd_per_hour(self, instance_type: str, use: str, region: str) -> float | None:  # noqa: ARG002
        """Return 0."""
        return 0.0


@attrs.frozen
class LocalPlace:
    """One role, one bucket and one image: this machine's Python is the container."""

    clients: Clients
    store: LocalStore
    role: str = "arn:aws:iam::000000000000:role/local"
    bucket: str = "local"
    region: str = "local"
    poller: Poller = Poller(interval_seconds=0.5, settle_seconds=0)
    prices: FreeOfCharge = attrs.field(factory=FreeOfCharge)
    runs_aws_rules: bool = False
    keeps_features: bool = True

    @classmethod
    def at(cls, home: Path) -> LocalPlace:
        """Return the local SageMaker whose state is below a folder.

        Raises:
            MissingExtraError: A package that jobs or endpoints need is not installed.
        """
        for package in ("torch", "torchvision", "uvicorn"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "local", "training and serving on this machine")
        return cls(Clients(LocalSageMaker(home).boto_session), LocalStore(home))

    def training_image(self, spec: TrainingSpec) -> str:
        """Return the image that a training job names."""
        return spec.image_uri or _IMAGE

    def inference_image(self, spec: EndpointSpec) -> str:
        """Return the image that an endpoint's model names."""
        return spec.image_uri or _IMAGE

    def rule_image(self) -> NoReturn:
        """Refuse: containers of rules are not run here.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError("rules with backend: aws are evaluated by AWS only; use Session.aws()")

    def check_bucket(self, name: str) -> None:
        """Accept any bucket: each is a folder, made when it is needed."""

    def check_specs(
        self, *, training: TrainingSpec | None = None, endpoint: EndpointSpec | None = None
    ) -> None:
        """Check that one machine does, and that smdebug works on it where its hook is asked for.

        Raises:
            UnsupportedError: More instances are asked for, or smdebug does not work here.
        """
        if training is not None and training.debugger is not None and training.debugger.hook == "smdebug":
            try:
                smdebug_checks.check_installed()
            except smdebug_checks.SmdebugError as error:
                raise UnsupportedError(f"training.debugger: {error}") from error
        for what, count in (
            ("training.compute", training.compute.instance_count if training else 1),
            ("endpoint", endpoint.instance_count if endpoint else 1),
        ):
            if count > 1:
                raise UnsupportedError(
                    f"{what}.instance_count is {count}, and this machine is one instance: set it to 1 "
                    "(training has compute.processes_per_instance), or use Session.aws()"
                )

    def planned(self) -> LocalPlace:
        """Return the same: all is known."""
        return self

    def preflight(
        self,
        *,
        dataset: DatasetSpec | None,
        training: TrainingSpec | None,  # noqa: ARG002 - this machine has no quotas and no permissions
        tuning: TuningSpec | None,  # noqa: ARG002
        endpoint: EndpointSpec | None,  # noqa: ARG002
    ) -> PreflightReport:
        """Check the data set, which is all there is to check."""
        found = [] if dataset is None else checks.guarded("data set", spec_checks.dataset, dataset)
        return PreflightReport(tuple(found))

    def iam_policy(self, **_specs: object) -> NoReturn:
        """Refuse: there are no permissions here.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError("this machine has no IAM policies; use Session.aws()")

    def ensure_role(self, name: str, policy: dict[str, Any], *, managed: bool, adopt: bool) -> NoReturn:  # noqa: ARG002
        """Refuse: there are no roles here.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError("this machine needs no execution role; use Session.aws()")
