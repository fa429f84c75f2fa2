"""A session's verbs about the account: before money is spent, and after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from sagemaker_dogbreed.aws.leftovers.resources import Resource, resources
from sagemaker_dogbreed.aws.leftovers.sweep import SweepReport, sweep
from sagemaker_dogbreed.aws.preflight.checks import guarded
from sagemaker_dogbreed.aws.preflight.report import OK, Check, PreflightReport
from sagemaker_dogbreed.aws.roles.role_creation import DEFAULT_NAME
from sagemaker_dogbreed.aws.spending.costs import CostEstimate, costs_of
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.places.place import Place
from sagemaker_dogbreed.readiness import check_backbone, check_training
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec


class AccountVerbs:
    """What a session can say and do about the place it works in."""

    place: Place

    def costs(
        self,
        *,
        training: TrainingSpec | None = None,
        tuning: TuningSpec | None = None,
        endpoint: EndpointSpec | None = None,
    ) -> tuple[CostEstimate, ...]:
        """Return what specs cost at most, from AWS's price list; here nothing costs.

        A price that cannot be told (no permission, no network) is None, never a guess.
        """
        return costs_of(
            self.place.prices, self.place.region, training=training, tuning=tuning, endpoint=endpoint
        )

    def preflight(
        self,
        *,
        dataset: DatasetSpec | None = None,
        training: TrainingSpec | None = None,
        tuning: TuningSpec | None = None,
        endpoint: EndpointSpec | None = None,
    ) -> PreflightReport:
        """Check what specs need before money is spent: nothing is made, changed or submitted.

        The specs themselves: whether this version runs them here, and finds weights and backbone. On
        AWS also credentials, role, permissions, bucket and region, images, quotas; and the data set.
        """
        found = self.place.preflight(dataset=dataset, training=training, tuning=tuning, endpoint=endpoint)
        specs = guarded("specs", self._check_specs, training, endpoint)
        return PreflightReport((*specs, *found.checks))

    def _check_specs(self, training: TrainingSpec | None, endpoint: EndpointSpec | None) -> Iterator[Check]:
        self.place.check_specs(training=training, endpoint=endpoint)
        if training is not None:
            check_training(training, self.place.store, runs_aws_rules=self.place.runs_aws_rules)
            check_backbone(training)
        yield Check("specs", OK, "this version runs what they ask for")

    def iam_policy(
        self,
        *,
        dataset: DatasetSpec | None = None,
        training: TrainingSpec | None = None,
        endpoint: EndpointSpec | None = None,
    ) -> dict[str, Any]:
        """Return the policy document of an execution role for exactly what the specs use.

        Raises:
            UnsupportedError: This is not AWS.
            AccountError: There are no credentials, or no region.
            ImageUriError: AWS has no image as a spec asks for.
        """
        return self.place.iam_policy(dataset=dataset, training=training, endpoint=endpoint)

    def ensure_role(
        self,
        name: str = DEFAULT_NAME,
        *,
        dataset: DatasetSpec | None = None,
        training: TrainingSpec | None = None,
        endpoint: EndpointSpec | None = None,
        managed: bool = False,
        adopt: bool = False,
    ) -> str:
        """Make the execution role, or bring it up to date; it is the session's from now on.

        Args:
            name: Name of the role.
            dataset: What the role must allow to be read.
            training: What the role must allow to be trained; default: a TrainingSpec as it is.
            endpoint: What the role must allow to be served; default: an EndpointSpec as it is.
            managed: Attach AmazonSageMakerFullAccess and AmazonS3FullAccess instead of the least that
                the specs need.
            adopt: Change a role, too, that the library did not make: add the policy, trust SageMaker.

        Returns:
            The role's ARN.

        Raises:
            UnsupportedError: This is not AWS.
            AccountError: IAM refuses, or there is a role of this name that the library did not make.
        """
        training, endpoint = training or TrainingSpec(), endpoint or EndpointSpec()
        policy = self.iam_policy(dataset=dataset, training=training, endpoint=endpoint)
        return self.place.ensure_role(name, policy, managed=managed, adopt=adopt)

    def resources(self) -> list[Resource]:
        """Return what the library made and is still there, and what it costs an hour.

        These are endpoints, their configs and models, running training jobs, tuning jobs and warm pools,
        whoever of the account made them.

        Raises:
            AccountError: SageMaker refuses to list; the permission that is missing is named.
        """
        return resources(self.place.clients, prices=self.place.prices, region=self.place.region)

    def sweep(
        self, *, older_than: dt.timedelta | None = None, stop_jobs: bool = False, dry_run: bool = True
    ) -> SweepReport:
        """Delete what the library made and has expired: endpoint, config and model together.

        Args:
            older_than: Take what was made longer ago than this, too.
            stop_jobs: Stop tuning jobs and training jobs, too, and end warm pools.
            dry_run: Only say what would be deleted.

        Raises:
            SpecError: ``older_than`` is no timedelta.
            AccountError: SageMaker refuses to list; the permission that is missing is named.
        """
        given: object = older_than
        if given is not None and not (isinstance(given, dt.timedelta) and given >= dt.timedelta(0)):
            raise SpecError(f"older_than must be a datetime.timedelta of 0 or more, got {older_than!r}")
        return sweep(
            self.place.clients,
            prices=self.place.prices,
            region=self.place.region,
            older_than=older_than,
            stop_jobs=stop_jobs,
            dry_run=dry_run,
        )
