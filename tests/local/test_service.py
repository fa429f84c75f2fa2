"""How the local SageMaker answers: refusals, lists, tags, and never the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support import end_processes, put, training_request, wait_for_job

from sagemaker_dogbreed.errors import UnsupportedError
from sagemaker_dogbreed.local.service import LocalSageMaker


def _code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = caught.value.response["Error"]["Code"]
    return code


def _channel(name: str, uri: str = "s3://bucket/data", **changes: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    return {"ChannelName": name, "DataSource": source, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TrainingJobName": "../escape"}, "trainingJobName|TrainingJobName"),
        ({"TrainingJobName": "a" * 64}, "TrainingJobName"),
        ({"TrainingJobName": "-a"}, "TrainingJobName"),
        ({"TrainingJobName": "a\n"}, "TrainingJobName"),
        ({"RoleArn": "somebody of this account"}, "RoleArn"),
        ({"HyperParameters": {"x": "y" * 2501}}, "HyperParameters.x.value"),
        ({"HyperParameters": {str(n): "y" for n in range(101)}}, "'HyperParameters'"),
        ({"HyperParameters": {"epochs": "1"}}, "sagemaker_program"),
        ({"Environment": {"A": "nul\0"}}, "NUL"),
        ({"Environment": {"A=B": "x"}}, "Environment.key"),
        ({"ResourceConfig": {"InstanceType": "ml.nonsense.1x"}}, "ResourceConfig.InstanceType"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}, "InstanceCount must be 1"),
        ({"InputDataConfig": [_channel("x", "s3://bucket/none")]}, "No S3 objects found .*s3://bucket/none"),
        ({"InputDataConfig": [_channel("x", "s3://bucket/../none")]}, "'x' S3Uri"),
        ({"InputDataConfig": [_channel("..")]}, "cannot be a channel's name"),
        ({"InputDataConfig": [_channel("x"), _channel("x")]}, "more than one channel 'x'"),
        ({"InputDataConfig": [_channel(f"x{n}") for n in range(21)]}, "InputDataConfig"),
        ({"InputDataConfig": [_channel("x", InputMode="Pipe")]}, "piped"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://b"}}, "S3OutputPath"),
        ({"CheckpointConfig": {"S3Uri": "s3://bucket//x"}}, "CheckpointConfig.S3Uri"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "Pipe"}}, "TrainingInputMode"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "Loss", "Regex": "(("}],
                }
            },
            "Regex of 'Loss' is not valid",
        ),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "more than once"),
    ],
)
def test_a_request_that_cannot_be(service: LocalSageMaker, client: Any, changes: Any, message: str) -> None:
    """It is refused with ValidationException, the member named, and nothing is recorded."""
    put(service, "s3://bucket/data/x", b"x")
    with pytest.raises(ClientError, match=message) as caught:
        client.create_training_job(**training_request(service, "refused") | changes)
    assert _code(caught) == "ValidationException"
    with pytest.raises(ClientError, match="Could not find"):
        client.describe_training_job(TrainingJobName="refused")


@pytest.mark.parametrize("name", ["..", "../..", "a/b", ".", "a\0b", "%2e%2e", "a" * 70])
def test_hostile_names_find_nothing(service: LocalSageMaker, client: Any, name: str) -> None:
    """No operation follows a name out of the root."""
    session = service.boto_session()
    calls: list[Callable[[], Any]] = [
        lambda: client.describe_training_job(TrainingJobName=name),
        lambda: client.stop_training_job(TrainingJobName=name),
        lambda: client.delete_model(ModelName=name),
        lambda: client.delete_endpoint(EndpointName=name),
        lambda: client.delete_endpoint_config(EndpointConfigName=name),
        lambda: client.list_tags(ResourceArn=f"arn:aws:sagemaker:us-east-1:000000000000:model/{name}"),
        lambda: session.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b""),
        lambda: session.client("logs").get_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=f"{name}/algo-1-1"
        ),
        lambda: session.client("logs").describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{name}"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as caught:
            call()
        assert _code(caught) in {"ValidationException", "ValidationError", "ResourceNotFoundException"}


def test_what_is_not_implemented_says_what_is(client: Any) -> None:
    """An operation that is missing is an error that lists those that are there."""
    with pytest.raises(ClientError, match=r"no CreateDomain; it has .*CreateTrainingJob") as caught:
        client.create_domain(DomainName="d", AuthMode="IAM", DefaultUserSettings={"ExecutionRole": "r" * 20})
    assert _code(caught) == "UnknownOperationException"


def test_no_request_reaches_the_network(service: LocalSageMaker) -> None:
    """Another service's request is an error before anything is sent."""
    with pytest.raises(UnsupportedError, match="does not answer s3 ListBuckets"):
        service.boto_session().client("s3").list_buckets()


def test_the_users_aws_configuration_has_no_say(
    service: LocalSageMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A missing profile, a broken file, endpoints and regions of the environment change nothing."""
    (tmp_path / "broken").write_text("[[[ not a = configuration\n\0")
    for name, value in {
        "AWS_PROFILE": "missing",
        "AWS_CONFIG_FILE": str(tmp_path / "broken"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "broken"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_SAGEMAKER": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1",
        "AWS_CA_BUNDLE": "/nowhere",
        "AWS_MAX_ATTEMPTS": "many",
        "AWS_DEFAULTS_MODE": "auto",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    client = service.boto_session().client("sagemaker")
    assert client.list_models()["Models"] == []
    assert client.meta.region_name == "us-east-1"
    assert client.meta.endpoint_url == "https://api.sagemaker.us-east-1.amazonaws.com"


def test_lists_come_in_pages(tmp_path: Path) -> None:
    """boto3's paginator finds every job once, newest first; filters and sorting hold."""
    service = LocalSageMaker(tmp_path)
    client = service.boto_session().client("sagemaker")
    names = [f"job-{number}" for number in range(5)]
    try:
        for name in names:
            client.create_training_job(**training_request(service, name, f'exit("{name}" == "job-1")'))
        statuses = [wait_for_job(client, name)["TrainingJobStatus"] for name in names]
        assert statuses == ["Completed", "Failed", "Completed", "Completed", "Completed"]
    finally:
        end_processes(tmp_path)
    pages = client.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 2})
    found = [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages]
    assert found == [["job-4", "job-3"], ["job-2", "job-1"], ["job-0"]]

    def listed(**filters: Any) -> list[str]:
        return [
            job["TrainingJobName"] for job in client.list_training_jobs(**filters)["TrainingJobSummaries"]
        ]

    assert listed(StatusEquals="Failed") == ["job-1"]
    assert listed(NameContains="-3") == ["job-3"]
    assert listed(SortBy="Name", SortOrder="Ascending") == names
    assert listed(CreationTimeAfter=time.time() + 60) == []
    assert listed(CreationTimeBefore=1) == listed(LastModifiedTimeBefore=1) == []
    assert listed(CreationTimeAfter=1, LastModifiedTimeAfter=1, MaxResults=1) == ["job-4"]
    with pytest.raises(ClientError, match="pagination token"):
        client.list_training_jobs(NextToken="bm9uc2Vuc2U=")
    with pytest.raises(ClientError, match="pagination token"):
        client.list_training_jobs(NextToken="WzEsMl0=", SortBy="Name")


def test_tags(service: LocalSageMaker, client: Any) -> None:
    """They come with the resource, can be changed, and have SageMaker's limits."""
    request = training_request(service, "tagged", Tags=[{"Key": "a", "Value": "1"}])
    arn = client.create_training_job(**request)["TrainingJobArn"]
    wait_for_job(client, "tagged")
    new = [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]
    assert client.add_tags(ResourceArn=arn, Tags=new)["Tags"] == new
    client.delete_tags(ResourceArn=arn, TagKeys=["b", "never"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "2"}]
    assert "Tags" not in client.describe_training_job(TrainingJobName="tagged")
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    with pytest.raises(ClientError) as caught:
        client.add_tags(ResourceArn=arn, Tags=many)
    assert _code(caught) == "ResourceLimitExceeded"
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "2"}]
    with pytest.raises(ClientError, match="AWS's own"):
        client.add_tags(ResourceArn=arn, Tags=[{"Key": "aws:x", "Value": ""}])
    for missing in (arn + "x", "arn:aws:sagemaker:us-east-1:000000000000:domain/x"):
        with pytest.raises(ClientError, match="Could not find the resource"):
            client.list_tags(ResourceArn=missing)
        with pytest.raises(ClientError, match="Could not find the resource"):
            client.add_tags(ResourceArn=missing, Tags=[])


def test_a_missing_or_taken_name(service: LocalSageMaker, client: Any) -> None:
    """Every resource answers in AWS's words when it is not there."""
    for call in (client.stop_training_job, client.delete_training_job, client.describe_training_job):
        with pytest.raises(ClientError, match="Could not find training job") as caught:
            call(TrainingJobName="nobody")
        assert _code(caught) == "ValidationException"
    client.create_training_job(**training_request(service, "taken"))
    with pytest.raises(client.exceptions.ResourceInUse, match="already exists"):
        client.create_training_job(**training_request(service, "taken"))
    wait_for_job(client, "taken")
