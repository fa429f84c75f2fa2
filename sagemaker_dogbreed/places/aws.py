"""An AWS account and region as a place to run; all about it is found out when it is first needed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TypeVar

import attrs

from sagemaker_dogbreed.aws import images
from sagemaker_dogbreed.aws.account import Account, identify
from sagemaker_dogbreed.aws.bucket import check_bucket, default_bucket_name, ensure_bucket
from sagemaker_dogbreed.aws.preflight.preflight import Image, preflight
from sagemaker_dogbreed.aws.preflight.report import PreflightReport
from sagemaker_dogbreed.aws.roles.policy import Policy, execution_policy
from sagemaker_dogbreed.aws.roles.role import find_role, resolve_role
from sagemaker_dogbreed.aws.roles.role_creation import ensure_role, own_role
from sagemaker_dogbreed.aws.spending.pricing import Prices
from sagemaker_dogbreed.clients import NO_REGION, Clients
from sagemaker_dogbreed.container.debugging.smdebug_checks import PINS
from sagemaker_dogbreed.errors import AccountError, UnsupportedError
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec
from sagemaker_dogbreed.store.s3 import S3Store

T = TypeVar("T")


class AwsPlace:
    """What ``Session.aws`` was given of role and bucket, and how the rest is found."""

    runs_aws_rules = True
    keeps_features = False
    poller = Poller(interval_seconds=15.0)

    def __init__(
        self,
        clients: Clients,
        *,
        role: str | None = None,
        bucket: str | None = None,
        bucket_owner: str | None = None,
    ) -> None:
        self._given_role, self._given_bucket, self._bucket_owner = role, bucket, bucket_owner
        self.clients, self.store = clients, S3Store(clients)
        self._lock = threading.RLock()
        self.prices = Prices(clients)

    @functools.cached_property
    def account(self) -> Account:
        """The account and region.

        Raises:
            AccountError: There are no credentials or no region, or AWS refuses them.
        """
        with self._lock:
            return identify(self.clients)

    @functools.cached_property
    def role(self) -> str:
        """The ARN of the execution role: given, or found.

        Raises:
            AccountError: None was given and none is found; the message names the ways out.
        """
        with self._lock:
            if self._given_role is not None:
                return resolve_role(self.clients, self._given_role)
            found = find_role(self.clients) or own_role(self.clients)
        if found is None:
            raise AccountError(
                "no execution role is known: give Session.aws(role=...) or --role, set AWS_ROLE_ARN, or "
                "have one made with session.ensure_role() or the command role"
            )
        return found

    @functools.cached_property
    def bucket(self) -> str:
        """The name of the bucket, which exists, in the right region, in the right hands.

        Raises:
            AccountError: It cannot be used or made; the message names the ways out.
        """
        with self._lock:
            return ensure_bucket(
                self.clients, self._given_bucket, account=self.account, owner=self._bucket_owner
            )

    def training_image(self, spec: TrainingSpec) -> str:
        """Return the image of a training job.

        Raises:
            ImageUriError: AWS has no such image in the region.
        """
        return images.training_image(spec, self.region)

    def inference_image(self, spec: EndpointSpec) -> str:
        """Return the image of an endpoint's model.

        Raises:
            ImageUriError: AWS has no such image in the region.
        """
        return images.inference_image(spec, self.region)

    def rule_image(self) -> str:
        """Return the image that evaluates the rules of SageMaker Debugger.

        Raises:
            ImageUriError: AWS has none in the region.
        """
        return images.rule_image(self.region)

    def check_bucket(self, name: str) -> None:
        """Check that a bucket which a spec names exists, in this region and in the right hands.

        Raises:
            AccountError: It does not; the message says what is wrong, and the way out.
        """
        check_bucket(self.clients, name, account=self.account, owner=self._bucket_owner)

    def check_specs(
        self,
        *,
        training: TrainingSpec | None = None,
        endpoint: EndpointSpec | None = None,  # noqa: ARG002 - AWS has what endpoints can ask for
    ) -> None:
        """Check that SageMaker Debugger would have something to read.

        Raises:
            UnsupportedError: Its hook is in none of AWS's images that the training script runs on.
        """
        if training is None or training.debugger is None or training.image_uri is not None:
            return
        if training.debugger.hook == "smdebug":
            raise UnsupportedError(
                "training.debugger with hook: smdebug needs smdebug in the image, which AWS's current ones "
                f"lack: name an image of your own with training.image_uri ({PINS}), or use hook: native"
            )
        if training.debugger.backend == "aws":
            raise UnsupportedError(
                "training.debugger with backend: aws needs smdebug in the image. AWS's have it up to PyTorch "
                "2.0 only, with a Python too old for the training script: name an image of your own that has "
                "it with training.image_uri, or leave it out with --set training.debugger=null"
            )

    def planned(self) -> PlannedDefaults:
        """Return what requests will name, without making a bucket and with words for what is not known."""
        bucket = self._given_bucket or _told(lambda: default_bucket_name(self.account)) or "<bucket>"
        return PlannedDefaults(self, _told(lambda: self.role) or "<execution role>", bucket)

    def preflight(
        self,
        *,
        dataset: DatasetSpec | None,
        training: TrainingSpec | None,
        tuning: TuningSpec | None,
        endpoint: EndpointSpec | None,
    ) -> PreflightReport:
        """Check credentials, permissions, bucket, images, quotas and data set; nothing is made."""
        found: dict[str, Image] = {}
        if training is not None:
            found["training"] = functools.partial(self.training_image, training)
        if endpoint is not None:
            found["inference"] = functools.partial(self.inference_image, endpoint)
        return preflight(
            self.clients,
            role=lambda: self.role,
            bucket=self._given_bucket,
            bucket_owner=self._bucket_owner,
            training=training,
            endpoint=endpoint,
            dataset=dataset,
            tuning=tuning,
            images=found,
        )

    def iam_policy(
        self, *, dataset: DatasetSpec | None, training: TrainingSpec | None, endpoint: EndpointSpec | None
    ) -> Policy:
        """Return the policy of an execution role for exactly what the specs use.

        Raises:
            AccountError: There are no credentials, or no region.
            ImageUriError: AWS has no image as a spec asks for.
        """
        images = [
            *([] if training is None else [self.training_image(training)]),
            *([] if endpoint is None else [self.inference_image(endpoint)]),
        ]
        bucket = self._given_bucket or default_bucket_name(self.account)
        return execution_policy(
            self.account, bucket, dataset=dataset, training=training, endpoint=endpoint, images=images
        )

    def ensure_role(self, name: str, policy: Policy, *, managed: bool, adopt: bool) -> str:
        """Make an execution role, or bring it up to date, use it from now on, and return its ARN.

        Raises:
            AccountError: IAM refuses, or the role is somebody else's.
        """
        arn = ensure_role(
            self.clients, name, policy, partition=self.account.partition, managed=managed, adopt=adopt
        )
        with self._lock:
            self._given_role = arn
            vars(self).pop("role", None)
        return arn

    @property
    def region(self) -> str:
        """The region.

        Raises:
            AccountError: None is set.
        """
        region = self.clients.session.region_name
        if region is None:
            raise AccountError(NO_REGION)
        return str(region)


@attrs.frozen
class PlannedDefaults:
    """The defaults as a plan shows them: nothing is made, and what is not known is in angle brackets."""

    _place: AwsPlace
    role: str
    bucket: str

    def training_image(self, spec: TrainingSpec) -> str:
        """Return the image of a training job, or words in angle brackets."""
        return _told(lambda: self._place.training_image(spec)) or "<training image>"

    def inference_image(self, spec: EndpointSpec) -> str:
        """Return the image of an endpoint's model, or words in angle brackets."""
        return _told(lambda: self._place.inference_image(spec)) or "<inference image>"

    def rule_image(self) -> str:
        """Return the image that evaluates rules, or words in angle brackets."""
        return _told(self._place.rule_image) or "<rule image>"


def _told(find: Callable[[], T]) -> T | None:
    try:
        return find()
    except AccountError:
        return None
