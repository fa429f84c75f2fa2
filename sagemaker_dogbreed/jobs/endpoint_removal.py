"""Deletes an endpoint with its config and models, step by step, as SageMaker lets it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from sagemaker_dogbreed.errors import EndpointError
from sagemaker_dogbreed.jobs.calls import cause_of, described
from sagemaker_dogbreed.jobs.trouble import details, is_missing, kind_of

DELETION_SECONDS = 3600.0
"""How long an endpoint may take until it is gone: one that is being created cannot be deleted before."""

LOG = logging.getLogger("sagemaker_dogbreed")


class EndpointRemoval:
    """The deletion of one endpoint: what is asked of SageMaker, what is left.

    Config and models go only once SageMaker deletes the endpoint: without them an endpoint that is being
    created hangs, cannot be deleted, and costs.
    """

    def __init__(
        self, endpoint: str | None, *, config: str | None = None, models: Sequence[str] = ()
    ) -> None:
        self._endpoint = endpoint
        self._config = config
        self._models = tuple(models)
        self._is_found = endpoint is None or config is not None
        self._is_accepted = endpoint is None
        self._is_told = False
        self._are_parts_gone = False
        self._causes: dict[tuple[str, str], str] = {}

    @property
    def is_accepted(self) -> bool:
        """Whether SageMaker deletes the endpoint, or has deleted it."""
        return self._is_accepted

    @property
    def remaining(self) -> tuple[tuple[str, str], ...]:
        """Kind and name of all that is left, as far as is known."""
        if self._are_parts_gone:
            return tuple(self._causes)
        return (
            *([("endpoint", self._endpoint)] if self._endpoint and not self._is_accepted else ()),
            *([("endpoint config", self._config)] if self._config else ()),
            *(("model", model) for model in self._models),
        )

    def advance(self, sagemaker: Any) -> bool:
        """Do what can be done now; return whether all is over.

        Raises:
            ClientError: What may pass, so that it is worth trying again; other errors of botocore likewise.
            EndpointError: SageMaker will not delete the endpoint.
        """
        if not self._is_found:
            self._find(sagemaker)
        if not self._is_accepted:
            self._is_accepted = self._ask(sagemaker)
            if not self._is_accepted:
                return False
            self._causes.pop(("endpoint", str(self._endpoint)), None)
        if not self._are_parts_gone:
            if self._config:
                self._delete(
                    "endpoint config", sagemaker.delete_endpoint_config, EndpointConfigName=self._config
                )
            for model in self._models:
                self._delete("model", sagemaker.delete_model, ModelName=model)
            self._are_parts_gone = True
        return self._endpoint is None or not described(
            sagemaker.describe_endpoint, EndpointName=self._endpoint
        )

    def check(self) -> None:
        """Raise where something is left.

        Raises:
            EndpointError: With kind and name of it in ``remaining``.
        """
        if self.remaining:
            named = "; ".join(
                f"{kind} {name!r}"
                + (f" ({self._causes[kind, name]})" if (kind, name) in self._causes else "")
                for kind, name in self.remaining
            )
            raise EndpointError(
                f"not all of endpoint {self._endpoint!r} can be deleted. Still there: {named}. Call delete() "
                "again, or delete them in the console",
                remaining=self.remaining,
            )

    def _find(self, sagemaker: Any) -> None:
        endpoint = described(sagemaker.describe_endpoint, EndpointName=self._endpoint)
        name = endpoint.get("EndpointConfigName") or self._endpoint
        config = described(sagemaker.describe_endpoint_config, EndpointConfigName=name)
        variants = config.get("ProductionVariants", ())
        self._config = name
        found = tuple(variant["ModelName"] for variant in variants if variant.get("ModelName"))
        # Without its config an endpoint does not tell its model; the library gives all three one name.
        self._models = found or (() if config or self._endpoint is None else (self._endpoint,))
        self._is_found = True

    def _ask(self, sagemaker: Any) -> bool:
        """Ask for the endpoint's deletion; return whether it is under way."""
        try:
            sagemaker.delete_endpoint(EndpointName=self._endpoint)
        except ClientError as error:
            code, message = details(error)
            if is_missing(error):
                return True
            if code == "ValidationException" and "in-progress" in message.replace(
                "in progress", "in-progress"
            ):
                status = described(sagemaker.describe_endpoint, EndpointName=self._endpoint).get(
                    "EndpointStatus"
                )
                if status == "Deleting":
                    return True
                if not self._is_told:
                    LOG.warning(
                        "endpoint %r is %s and cannot be deleted before that ends; it is deleted then. It "
                        "costs until it is gone.",
                        self._endpoint,
                        status,
                    )
                    self._is_told = True
                self._causes["endpoint", str(self._endpoint)] = f"it is {status} and cannot be deleted yet"
                return False
            if kind_of(error) in ("denied", "refused"):
                raise EndpointError(
                    f"endpoint {self._endpoint!r} cannot be deleted: {cause_of(error)}. It costs until it is "
                    "gone: delete it in the console, or with an identity that may",
                    remaining=self.remaining,
                ) from error
            raise
        return True

    def _delete(self, kind: str, delete: Callable[..., Any], **parameter: str) -> None:
        (name,) = parameter.values()
        try:
            delete(**parameter)
            self._causes.pop((kind, name), None)
        except ClientError as error:
            if is_missing(error):
                return
            if kind_of(error) not in ("denied", "refused"):
                raise
            self._causes[kind, name] = cause_of(error)
