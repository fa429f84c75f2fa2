"""What a training job runs on."""

from __future__ import annotations

import attrs

from sagemaker_dogbreed.specs.validation import number, text

INSTANCE_TYPE_PATTERN = r"ml\.[a-z0-9-]+\.[a-z0-9-]+"
NAME_PATTERN = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


@attrs.frozen(kw_only=True)
class ComputeSpec:
    """The instances of a training job and how long it may use them.

    >>> ComputeSpec(instance_type="ml.g5.xlarge").instance_count
    1
    """

    instance_type: str = text(
        "SageMaker instance type",
        default="ml.m5.xlarge",
        pattern=INSTANCE_TYPE_PATTERN,
        example="ml.g5.xlarge",
    )
    instance_count: int = number("number of instances", default=1, minimum=1, maximum=1, whole=True)
    volume_size_gb: int = number(
        "disk of each instance, GB", default=30, minimum=1, maximum=16384, whole=True
    )
    max_runtime_seconds: int = number(
        "the job is stopped after this time, seconds",
        default=86_400,
        minimum=1,
        maximum=2_419_200,
        whole=True,
    )
