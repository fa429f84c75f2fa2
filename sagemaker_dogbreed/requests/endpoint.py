"""CreateModel, CreateEndpointConfig and CreateEndpoint.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sagemaker_dogbreed.requests.tags import Origin
from sagemaker_dogbreed.requests.training_job import network_fields
from sagemaker_dogbreed.specs.endpoint import EndpointSpec

_LONGEST_BODY_BYTES = 25 * 1024 * 1024


class EndpointRequests(NamedTuple):
    """The three requests that bring a model into service, in the order they are sent."""

    model: dict[str, Any]
    config: dict[str, Any]
    endpoint: dict[str, Any]


def create_endpoint(
    spec: EndpointSpec, name: str, *, role: str, image_uri: str, model_data_uri: str, origin: Origin
) -> EndpointRequests:
    """Return the requests of a real-time endpoint; model, config and endpoint share one name."""
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": spec.instance_type,
        "InitialInstanceCount": spec.instance_count,
    }
    key = {} if spec.kms_key is None else {"KmsKeyId": spec.kms_key}
    tags = origin.tags(spec.tags)
    return EndpointRequests(
        model={
            "ModelName": name,
            "ExecutionRoleArn": role,
            "PrimaryContainer": {
                "Image": image_uri,
                "ModelDataUrl": model_data_uri,
                "Environment": _environment(spec),
            },
            **network_fields(spec.network),
            "Tags": tags,
        },
        config={"EndpointConfigName": name, "ProductionVariants": [variant], **key, "Tags": tags},
        endpoint={"EndpointName": name, "EndpointConfigName": name, "Tags": tags},
    )


def _environment(spec: EndpointSpec) -> dict[str, str]:
    environment = {
        # AWS's model server takes a quarter of what SageMaker does, unless told.
        "TS_MAX_REQUEST_SIZE": str(_LONGEST_BODY_BYTES),
        **spec.environment,
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_DOGBREED_TOP_K": str(spec.top_k),
        "SAGEMAKER_DOGBREED_MAX_MEGAPIXELS": str(spec.max_image_megapixels),
    }
    if spec.allowed_url_hosts:
        environment["SAGEMAKER_DOGBREED_ALLOWED_URL_HOSTS"] = ",".join(spec.allowed_url_hosts)
    return environment
