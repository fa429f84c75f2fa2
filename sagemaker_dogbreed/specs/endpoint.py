"""Where a model answers, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from sagemaker_dogbreed.specs.compute import INSTANCE_TYPE_PATTERN, NAME_PATTERN
from sagemaker_dogbreed.specs.training import environment_entry
from sagemaker_dogbreed.specs.validation import number, text, text_mapping, texts


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
    image_uri: str | None = text("container image; default: AWS's PyTorch inference image", default=None)
    environment: Mapping[str, str] = text_mapping("environment variables of the endpoint", environment_entry)
