"""Where a model answers, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs import aws_fields
from sagemaker_dogbreed.specs.compute import INSTANCE_TYPE_PATTERN, NAME_PATTERN
from sagemaker_dogbreed.specs.network import NetworkSpec
from sagemaker_dogbreed.specs.validation import number, spec, text, texts

_LONGEST_VARIABLE = 1024  # of an environment variable of a model


@attrs.frozen(kw_only=True)
class EndpointSpec:
    """A real-time endpoint.

    >>> EndpointSpec().instance_type
    'ml.m5.large'
    """

    name: str | None = text(
        "name of the endpoint; default: made from the training job's", default=None, pattern=NAME_PATTERN,
        example="dog-breeds",
    )  # fmt: skip
    instance_type: str = text(
        "SageMaker instance type", default="ml.m5.large", pattern=INSTANCE_TYPE_PATTERN, example="ml.m5.large"
    )
    instance_count: int = number("number of instances", default=1, minimum=1, maximum=1000, whole=True)
    top_k: int = number("classes in an answer", default=5, minimum=1, maximum=10_000, whole=True)
    allowed_url_hosts: Sequence[str] = texts(
        "hosts whose images may be fetched although their address is private",
        pattern=r"[A-Za-z0-9.\-\[\]:]+",
        example="images.internal:8080",
    )
    max_image_megapixels: int = number(
        "megapixels an image may have", default=50, minimum=1, maximum=1000, whole=True
    )
    expires_hours: float | None = number(
        "hours after which a sweep may delete the endpoint; default: never",
        default=None,
        minimum=0.01,
        maximum=87_600,
    )
    network: NetworkSpec | None = spec("VPC or isolation", NetworkSpec, default=None)
    framework_version: str = aws_fields.framework_version(
        "2.6.0", "PyTorch of AWS's inference image; passed over where image_uri is given"
    )
    image_uri: str | None = aws_fields.image_uri("container image; default: AWS's PyTorch inference image")
    environment: Mapping[str, str] = aws_fields.environment("environment variables of the endpoint")
    kms_key: str | None = aws_fields.kms_key("KMS key of the instances' disks")
    tags: Mapping[str, str] = aws_fields.tags("tags of endpoint, config and model, beside the library's own")

    def __attrs_post_init__(self) -> None:
        if self.network is not None and self.network.encrypt_traffic:
            raise SpecError("network.encrypt_traffic is for training jobs; leave it out of an endpoint")
        if len(",".join(self.allowed_url_hosts)) > _LONGEST_VARIABLE:
            raise SpecError(f"allowed_url_hosts must have {_LONGEST_VARIABLE:,} characters at most in all")
