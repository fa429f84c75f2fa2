"""Brings endpoints up and takes them down, together with their config and model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import attrs

from sagemaker_dogbreed.errors import DogbreedError, EndpointError
from sagemaker_dogbreed.jobs.calls import explain, reported
from sagemaker_dogbreed.jobs.creation import create
from sagemaker_dogbreed.jobs.endpoint_removal import DELETION_SECONDS, EndpointRemoval
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS
from sagemaker_dogbreed.requests.endpoint import EndpointRequests

_BRIEF_SECONDS = 120.0  # for config and model, which cost nothing, while AWS cannot be reached


class _Step(NamedTuple):
    """One of the three requests, and whether what it creates is there."""

    kind: str
    send: Callable[..., Any]
    request: dict[str, Any]
    exists: Callable[[], bool]


def start_endpoint(sagemaker: Any, requests: EndpointRequests, *, poller: Poller | None = None) -> None:
    """Create model, config and endpoint.

    Whatever ends it early, an interruption (Ctrl-C) or a lost answer too, what was created is removed
    again; what cannot be removed is named.

    Raises:
        EndpointError: SageMaker refused a request or cannot be reached; with the cause, and in
            ``remaining`` what is left.
    """
    poller = poller or Poller()
    name = requests.endpoint["EndpointName"]
    created: list[str] = []
    for step in _steps(sagemaker, requests):
        try:
            create(step.send, step.request, step.exists, poller.sleep)
            created.append(step.kind)
        except BaseException as error:
            if _is_there(step, error):
                created.append(step.kind)
            remaining = _take_back(sagemaker, requests, created, poller)
            left = f". Still there: {', '.join(f'{kind} {each!r}' for kind, each in remaining)}"
            if isinstance(error, AWS_ERRORS):
                message = f"endpoint {name!r} was not created: {explain(error)}{left if remaining else ''}"
                raise EndpointError(message, remaining=remaining) from error
            if remaining:
                error.add_note(f"endpoint {name!r} was not created{left}")
            raise


def delete_endpoint(sagemaker: Any, name: str) -> None:
    """Delete an endpoint, its config and its models, without waiting; what is gone is passed over.

    Raises:
        EndpointError: SageMaker refused; ``remaining`` names what is left.
    """
    removal = EndpointRemoval(name)
    with reported(EndpointError, f"endpoint {name!r} cannot be deleted"):
        removal.advance(sagemaker)
    removal.check()


def _steps(sagemaker: Any, requests: EndpointRequests) -> list[_Step]:
    model, config, endpoint = requests

    def model_exists() -> bool:
        found = sagemaker.describe_model(ModelName=model["ModelName"])
        url = found.get("PrimaryContainer", {}).get("ModelDataUrl")
        return bool(url == model["PrimaryContainer"]["ModelDataUrl"])

    def config_exists() -> bool:
        found = sagemaker.describe_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
        names = [variant.get("ModelName") for variant in found.get("ProductionVariants", ())]
        return bool(names == [variant["ModelName"] for variant in config["ProductionVariants"]])

    def endpoint_exists() -> bool:
        found = sagemaker.describe_endpoint(EndpointName=endpoint["EndpointName"])
        return bool(found.get("EndpointConfigName") == endpoint["EndpointConfigName"])

    return [
        _Step("model", sagemaker.create_model, model, model_exists),
        _Step("endpoint config", sagemaker.create_endpoint_config, config, config_exists),
        _Step("endpoint", sagemaker.create_endpoint, endpoint, endpoint_exists),
    ]


def _is_there(step: _Step, error: BaseException) -> bool:
    """Whether a request that was cut off was carried out all the same."""
    if isinstance(error, AWS_ERRORS):
        return False  # was looked for already
    try:
        return step.exists()
    except AWS_ERRORS:
        return False


def _take_back(
    sagemaker: Any, requests: EndpointRequests, created: list[str], poller: Poller
) -> tuple[tuple[str, str], ...]:
    """Remove what was created; return kind and name of what could not be."""
    if not created:
        return ()
    removal = EndpointRemoval(
        requests.endpoint["EndpointName"] if "endpoint" in created else None,
        config=requests.config["EndpointConfigName"] if "endpoint config" in created else None,
        models=(requests.model["ModelName"],),
    )
    # The client's credentials are what they are: waiting for others would be in vain.
    impatient = attrs.evolve(poller, credential_patience_seconds=0)
    seconds = DELETION_SECONDS if "endpoint" in created else _BRIEF_SECONDS
    with contextlib.suppress(*AWS_ERRORS, DogbreedError):
        impatient.wait("removing what was created", lambda: removal.advance(sagemaker), seconds)
    return removal.remaining
