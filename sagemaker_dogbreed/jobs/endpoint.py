"""Brings endpoints up and takes them down, together with their config and model."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from sagemaker_dogbreed.errors import EndpointError
from sagemaker_dogbreed.jobs.missing import is_missing
from sagemaker_dogbreed.requests.endpoint import EndpointRequests


def start_endpoint(sagemaker: Any, requests: EndpointRequests) -> None:
    """Create model, config and endpoint; what was created is removed again where a later call fails.

    Raises:
        EndpointError: SageMaker refused a request; with its reason.
    """
    name = requests.endpoint["EndpointName"]
    created = []
    try:
        sagemaker.create_model(**requests.model)
        created.append("model")
        sagemaker.create_endpoint_config(**requests.config)
        created.append("config")
        sagemaker.create_endpoint(**requests.endpoint)
    except BaseException as error:
        if "config" in created:
            _delete(sagemaker.delete_endpoint_config, EndpointConfigName=name)
        if "model" in created:
            _delete(sagemaker.delete_model, ModelName=requests.model["ModelName"])
        if isinstance(error, (ClientError, ParamValidationError)):
            raise EndpointError(f"endpoint {name!r} was not created: {error}") from error
        raise


def delete_endpoint(sagemaker: Any, name: str) -> None:
    """Delete an endpoint, its config and its models; what is gone already is passed over."""
    config_name = _described(sagemaker.describe_endpoint, EndpointName=name).get("EndpointConfigName", name)
    config = _described(sagemaker.describe_endpoint_config, EndpointConfigName=config_name)
    _delete(sagemaker.delete_endpoint, EndpointName=name)
    _delete(sagemaker.delete_endpoint_config, EndpointConfigName=config_name)
    for variant in config.get("ProductionVariants", ()):
        _delete(sagemaker.delete_model, ModelName=variant["ModelName"])


def is_gone(sagemaker: Any, name: str) -> bool:
    """Whether there is no endpoint of this name, not even one that is being deleted."""
    return not _described(sagemaker.describe_endpoint, EndpointName=name)


def _described(describe: Any, **name: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = describe(**name)
    except ClientError as error:
        if is_missing(error):
            return {}
        raise EndpointError(f"{name} cannot be described: {error}") from error
    return answer


def _delete(delete: Any, **name: str) -> None:
    try:
        delete(**name)
    except ClientError as error:
        if not is_missing(error):
            raise EndpointError(f"{name} cannot be deleted: {error}") from error
