"""The role, bucket and images that requests on AWS name; each is found out when it is first needed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TypeVar

import attrs

from sagemaker_dogbreed.aws import images
from sagemaker_dogbreed.aws.account import Account, identify
from sagemaker_dogbreed.aws.bucket import default_bucket_name, ensure_bucket
from sagemaker_dogbreed.aws.role import find_role, resolve_role
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec

T = TypeVar("T")


class AwsDefaults:
    """What ``Session.aws`` was given of role and bucket, and how the rest is found."""

    def __init__(
        self,
        clients: Clients,
        *,
        role: str | None = None,
        bucket: str | None = None,
        bucket_owner: str | None = None,
    ) -> None:
        self._clients = clients
        self._given_role, self._given_bucket, self._bucket_owner = role, bucket, bucket_owner
        self._lock = threading.RLock()

    @functools.cached_property
    def account(self) -> Account:
        """The account and region.

        Raises:
            AccountError: There are no credentials or no region, or AWS refuses them.
        """
        with self._lock:
            return identify(self._clients)

    @functools.cached_property
    def role(self) -> str:
        """The ARN of the execution role: given, or found.

        Raises:
            AccountError: None was given and none is found; the message names the ways out.
        """
        with self._lock:
            if self._given_role is not None:
                return resolve_role(self._clients, self._given_role)
            found = find_role(self._clients)
        if found is None:
            raise AccountError(
                "no execution role is known: give Session.aws(role=...), set AWS_ROLE_ARN, or have one made "
                "with session.ensure_role()"
            )
        return found

    def use_role(self, arn: str) -> None:
        """Use this role from now on."""
        with self._lock:
            self._given_role = arn
            vars(self).pop("role", None)

    @functools.cached_property
    def bucket(self) -> str:
        """The name of the bucket, which exists, in the right region, in the right hands.

        Raises:
            AccountError: It cannot be used or made; the message names the ways out.
        """
        with self._lock:
            return ensure_bucket(
                self._clients, self._given_bucket, account=self.account, owner=self._bucket_owner
            )

    def training_image(self, spec: TrainingSpec) -> str:
        """Return the image of a training job.

        Raises:
            ImageUriError: AWS has no such image in the region.
        """
        return images.training_image(spec, self._region)

    def inference_image(self, spec: EndpointSpec) -> str:
        """Return the image of an endpoint's model.

        Raises:
            ImageUriError: AWS has no such image in the region.
        """
        return images.inference_image(spec, self._region)

    def rule_image(self) -> str | None:
        """Return the image that evaluates the rules of SageMaker Debugger.

        Raises:
            ImageUriError: AWS has none in the region.
        """
        return images.rule_image(self._region)

    def planned(self) -> PlannedDefaults:
        """Return what requests will name, without making a bucket and with words for what is not known."""
        bucket = self._given_bucket or _told(lambda: default_bucket_name(self.account)) or "<bucket>"
        return PlannedDefaults(self, _told(lambda: self.role) or "<execution role>", bucket)

    @property
    def _region(self) -> str:
        region = self._clients.session.region_name
        if region is None:
            raise AccountError("no AWS region is set: give Session.aws(region=...), or AWS_DEFAULT_REGION")
        return str(region)


@attrs.frozen
class PlannedDefaults:
    """The defaults as a plan shows them: nothing is made, and what is not known is in angle brackets."""

    _defaults: AwsDefaults
    role: str
    bucket: str

    def training_image(self, spec: TrainingSpec) -> str:
        """Return the image of a training job, or words in angle brackets."""
        return _told(lambda: self._defaults.training_image(spec)) or "<training image>"

    def inference_image(self, spec: EndpointSpec) -> str:
        """Return the image of an endpoint's model, or words in angle brackets."""
        return _told(lambda: self._defaults.inference_image(spec)) or "<inference image>"

    def rule_image(self) -> str:
        """Return the image that evaluates rules, or words in angle brackets."""
        return _told(self._defaults.rule_image) or "<rule image>"

    def planned(self) -> PlannedDefaults:
        """Return the same."""
        return self


def _told(find: Callable[[], T]) -> T | None:
    try:
        return find()
    except AccountError:
        return None
