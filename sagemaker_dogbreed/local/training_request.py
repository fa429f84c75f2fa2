"""What a CreateTrainingJob request must be for this machine to run it."""

from __future__ import annotations

import re
from typing import Any

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.local.contract import decode_hyperparameters
from sagemaker_dogbreed.local.entry_point import (
    DISTRIBUTED,
    PROCESSES_PER_HOST,
    is_distributed,
    process_count,
)
from sagemaker_dogbreed.local.faults import ServiceFault, invalid
from sagemaker_dogbreed.local.workspace import Parameters
from sagemaker_dogbreed.store.local import LocalStore
from sagemaker_dogbreed.store.location import parse_s3_uri

DEFAULT_MAX_RUNTIME = 86_400
"""Seconds a training job may run whose request does not say."""


def check(request: Parameters, store: LocalStore) -> None:
    """Check a request as the service does, and that nothing in it is beyond this machine.

    What SageMaker would accept and fail later (a missing code archive, say) is accepted here too.

    Raises:
        ServiceFault: ValidationException; the message names the member.
    """
    for member in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if member not in request:
            raise invalid(f"Missing required member: {member}")
    _check_algorithm(request["AlgorithmSpecification"])
    _check_stopping(request)
    if (
        request["ResourceConfig"].get("InstanceCount", 1) != 1
        or "InstanceGroups" in request["ResourceConfig"]
    ):
        raise _beyond(
            "ResourceConfig.InstanceCount must be 1. Several processes on this machine train as several "
            f"instances do: HyperParameters {DISTRIBUTED}: true and {PROCESSES_PER_HOST}: 2"
        )
    hyperparameters = decode_hyperparameters(request.get("HyperParameters", {}))
    for name in ("sagemaker_program", "sagemaker_submit_directory"):
        if not hyperparameters.get(name):
            raise _beyond(f"HyperParameters must have {name}: a script is run, not a container image")
    if is_distributed(hyperparameters):
        try:
            process_count(hyperparameters)
        except ValueError as error:
            raise _beyond(f"HyperParameters: {error}") from error
    output = request["OutputDataConfig"]
    if output.get("CompressionType", "GZIP") != "GZIP":
        raise _beyond("OutputDataConfig.CompressionType must be GZIP")
    _check_location("OutputDataConfig.S3OutputPath", output["S3OutputPath"])
    if "CheckpointConfig" in request:
        _check_location("CheckpointConfig.S3Uri", request["CheckpointConfig"]["S3Uri"])
        if request["CheckpointConfig"].get("LocalPath", "/opt/ml/checkpoints") != "/opt/ml/checkpoints":
            raise _beyond("CheckpointConfig.LocalPath must be /opt/ml/checkpoints")
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"InputDataConfig has more than one channel {name!r}")
        if name in {".", ".."}:
            raise invalid(f"InputDataConfig: {name!r} cannot be a channel's name")
    for channel in request.get("InputDataConfig", []):
        _check_channel(channel, store)


def _check_stopping(request: dict[str, Any]) -> None:
    """Check what SageMaker demands of managed spot training, though here nothing interrupts a job."""
    spot = request.get("EnableManagedSpotTraining", False)
    runtime = request["StoppingCondition"].get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
    wait = request["StoppingCondition"].get("MaxWaitTimeInSeconds")
    if spot and (wait is None or wait < runtime):
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            f"MaxRuntimeInSeconds ({runtime}) when EnableManagedSpotTraining is true"
        )
    if wait is not None and not spot:
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It is only for jobs whose EnableManagedSpotTraining is true"
        )


def _check_algorithm(algorithm: dict[str, Any]) -> None:
    if algorithm.get("TrainingInputMode") == "Pipe":
        raise _beyond("AlgorithmSpecification.TrainingInputMode must be File or FastFile")
    if "ContainerEntrypoint" in algorithm:
        raise _beyond("AlgorithmSpecification.ContainerEntrypoint cannot be used: no container is run")
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except (re.error, RecursionError, OverflowError) as error:
            raise invalid(
                f"MetricDefinitions: the Regex of {definition['Name']!r} is not valid: {error}"
            ) from error


def _check_channel(channel: dict[str, Any], store: LocalStore) -> None:
    name = channel["ChannelName"]
    source = channel["DataSource"].get("S3DataSource")
    if source is None or source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        raise _beyond(f"the channel {name!r} must have an S3DataSource of type S3Prefix or ManifestFile")
    if channel.get("CompressionType", "None") != "None" or channel.get("InputMode") == "Pipe":
        raise _beyond(f"the channel {name!r} must be neither compressed nor piped")
    _check_location(f"InputDataConfig {name!r} S3Uri", source["S3Uri"])
    is_manifest = source["S3DataType"] == "ManifestFile"
    if not (store.exists if is_manifest else store.list)(source["S3Uri"]):
        raise invalid(
            f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source of the '
            f"channel {name!r}. Upload them first, or correct the S3Uri."
        )


def _check_location(member: str, uri: str) -> None:
    try:
        parse_s3_uri(uri)
    except StoreError as error:
        raise invalid(f"{member}: {error}") from error


def _beyond(message: str) -> ServiceFault:
    return invalid(f"The local SageMaker cannot run this training job: {message}")
