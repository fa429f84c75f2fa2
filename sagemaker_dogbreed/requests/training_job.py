"""CreateTrainingJob.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from sagemaker_dogbreed.container import metrics
from sagemaker_dogbreed.container.debugging.settings import as_strings
from sagemaker_dogbreed.container.environment import DATASET_VERSION
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.requests.channels import Channel, input_data_config
from sagemaker_dogbreed.requests.debugger import debugger_fields
from sagemaker_dogbreed.requests.tags import Origin
from sagemaker_dogbreed.specs.compute import ComputeSpec
from sagemaker_dogbreed.specs.network import NetworkSpec
from sagemaker_dogbreed.specs.training import TrainingSpec

LONGEST_VALUE = 2500
"""Characters of a hyperparameter."""


@attrs.frozen(kw_only=True)
class TrainingLocations:
    """What a training request points at; every URI is ``s3://bucket/key``.

    ``channels`` has an entry for each of train, valid, test and, with a weights file, weights;
    ``rule_image_uri`` is needed only where AWS evaluates rules.
    """

    role: str
    image_uri: str
    source_archive_uri: str
    channels: Mapping[str, Channel]
    output_uri: str
    checkpoint_uri: str
    rule_image_uri: str | None = None


def create_training_job(
    spec: TrainingSpec, job_name: str, locations: TrainingLocations, origin: Origin
) -> dict[str, Any]:
    """Return the CreateTrainingJob request of a spec.

    Raises:
        SpecError: AWS has no rule of a name that the spec asks for, or rules take more than a hyperparameter
            can hold.
    """
    compute = spec.compute
    own_metrics = [{"Name": name, "Regex": regex} for name, regex in spec.metric_definitions.items()]
    watched = as_strings(
        spec.debugger.settings if spec.debugger else None, spec.profiler.settings if spec.profiler else None
    )
    for name, value in watched.items():
        if len(value) > LONGEST_VALUE:
            raise SpecError(
                f"{name}: as a hyperparameter its rules and collections have {len(value):,} characters, of "
                f"{LONGEST_VALUE:,} at most; name fewer, or leave out parameters that are the defaults"
            )
    version = {} if origin.dataset_version is None else {DATASET_VERSION: origin.dataset_version}
    return {
        "TrainingJobName": job_name,
        "RoleArn": locations.role,
        "AlgorithmSpecification": {
            "TrainingImage": locations.image_uri,
            "TrainingInputMode": spec.input_mode,
            "MetricDefinitions": [*metrics.definitions(), *own_metrics],
        },
        "HyperParameters": {
            **spec.hyperparameters.to_strings(),
            **watched,
            # The training toolkit's own: which script to run, where its code lies, and how often it is run.
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": locations.source_archive_uri,
            **_distribution(compute),
        },
        "InputDataConfig": input_data_config(locations.channels, spec.input_mode),
        "OutputDataConfig": {
            "S3OutputPath": locations.output_uri,
            **_given(KmsKeyId=spec.output_kms_key),
        },
        "CheckpointConfig": {"S3Uri": locations.checkpoint_uri},
        "ResourceConfig": {
            "InstanceType": compute.instance_type,
            "InstanceCount": compute.instance_count,
            "VolumeSizeInGB": compute.volume_size_gb,
            **_given(VolumeKmsKeyId=spec.volume_kms_key, KeepAlivePeriodInSeconds=compute.keep_alive_seconds),
        },
        **_limits(compute),
        **network_fields(spec.network),
        **(_traffic(spec.network)),
        **debugger_fields(spec, f"{locations.output_uri}/{job_name}/debugger", locations.rule_image_uri),
        "Environment": {**spec.environment, **version},
        "Tags": origin.tags(spec.tags),
    }


def network_fields(network: NetworkSpec | None) -> dict[str, Any]:
    """Return the members about the network that a training job and a model have in common."""
    if network is None:
        return {}
    fields: dict[str, Any] = {"EnableNetworkIsolation": network.isolation}
    if network.subnets:
        fields["VpcConfig"] = {
            "Subnets": list(network.subnets),
            "SecurityGroupIds": list(network.security_group_ids),
        }
    return fields


def _traffic(network: NetworkSpec | None) -> dict[str, Any]:
    return {} if network is None else {"EnableInterContainerTrafficEncryption": network.encrypt_traffic}


def _limits(compute: ComputeSpec) -> dict[str, Any]:
    condition = {"MaxRuntimeInSeconds": compute.max_runtime_seconds}
    fields: dict[str, Any] = {"StoppingCondition": condition}
    if compute.spot:
        condition["MaxWaitTimeInSeconds"] = compute.longest_wait_seconds
        fields["EnableManagedSpotTraining"] = True
    if compute.max_retries is not None:
        fields["RetryStrategy"] = {"MaximumRetryAttempts": compute.max_retries}
    return fields


def _distribution(compute: ComputeSpec) -> dict[str, str]:
    if compute.distribution == "none":
        return {}
    found = {"sagemaker_torch_distributed_enabled": "true"}
    if compute.processes_per_instance is not None:
        # The toolkit has one name for the number of processes, whatever starts them.
        found["sagemaker_mpi_num_of_processes_per_host"] = str(compute.processes_per_instance)
    return found


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
