"""CreateTrainingJob.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from sagemaker_dogbreed.container import metrics
from sagemaker_dogbreed.container.environment import DATASET_VERSION
from sagemaker_dogbreed.requests.names import tags
from sagemaker_dogbreed.specs.training import TrainingSpec


@attrs.frozen(kw_only=True)
class TrainingLocations:
    """What a training request points at; every URI is ``s3://bucket/key``.

    ``channels`` maps a channel's name (train, valid, test, weights) to the prefix of its files;
    ``dataset_version`` is noted in the model artifact.
    """

    role: str
    image_uri: str
    source_archive_uri: str
    channels: Mapping[str, str]
    output_uri: str
    checkpoint_uri: str
    dataset_version: str


def create_training_job(spec: TrainingSpec, job_name: str, locations: TrainingLocations) -> dict[str, Any]:
    """Return the CreateTrainingJob request of a spec."""
    compute = spec.compute
    return {
        "TrainingJobName": job_name,
        "RoleArn": locations.role,
        "AlgorithmSpecification": {
            "TrainingImage": locations.image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": metrics.definitions(),
        },
        "HyperParameters": {
            **spec.hyperparameters.to_strings(),
            # The training toolkit's own: which script to run, and where its code lies.
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": locations.source_archive_uri,
        },
        "InputDataConfig": [_channel(name, uri) for name, uri in locations.channels.items()],
        "OutputDataConfig": {"S3OutputPath": locations.output_uri},
        "CheckpointConfig": {"S3Uri": locations.checkpoint_uri},
        "ResourceConfig": {
            "InstanceType": compute.instance_type,
            "InstanceCount": compute.instance_count,
            "VolumeSizeInGB": compute.volume_size_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": compute.max_runtime_seconds},
        "Environment": {**spec.environment, DATASET_VERSION: locations.dataset_version},
        "Tags": tags(),
    }


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}
