"""What an endpoint or a training job runs on, as SageMaker describes it."""

from __future__ import annotations

from typing import Any

import attrs

from sagemaker_dogbreed.aws.spending.pricing import HOSTING, TRAINING
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS


@attrs.frozen
class Instances:
    """Instances of one type, and what they are used for, as the price list calls it."""

    instance_type: str
    count: int
    use: str


def instances_of(
    sagemaker: Any, *, endpoint: str | None = None, training_job: str | None = None
) -> tuple[Instances, ...] | None:
    """Return the instances of an endpoint or a training job; None where SageMaker does not tell."""
    try:
        if endpoint is not None:
            return _of_endpoint(sagemaker, endpoint)
        return _of_job(sagemaker.describe_training_job(TrainingJobName=training_job))
    except (*AWS_ERRORS, KeyError):
        return None


def _of_endpoint(sagemaker: Any, name: str) -> tuple[Instances, ...]:
    endpoint = sagemaker.describe_endpoint(EndpointName=name)
    counts = {
        variant["VariantName"]: variant.get("CurrentInstanceCount")
        for variant in endpoint.get("ProductionVariants", ())
    }
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    return tuple(
        Instances(
            variant["InstanceType"],
            counts.get(variant["VariantName"]) or variant.get("InitialInstanceCount", 1),
            HOSTING,
        )
        for variant in config["ProductionVariants"]
    )


def _of_job(job: dict[str, Any]) -> tuple[Instances, ...]:
    compute = job["ResourceConfig"]
    groups = compute.get("InstanceGroups") or [compute]
    return tuple(Instances(group["InstanceType"], group["InstanceCount"], TRAINING) for group in groups)
