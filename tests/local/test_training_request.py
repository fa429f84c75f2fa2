"""What a request may say: manifests, FastFile, and the members that have no effect on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import put, training_request, wait_for_job

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.local import manifest
from sagemaker_dogbreed.local.service import LocalSageMaker
from sagemaker_dogbreed.store.local import LocalStore

LIST_FILES = """
    import os, pathlib
    folder = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
    print(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))
"""


def _channel(uri: str, **changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "ManifestFile", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}, **changes}


def _manifest(service: LocalSageMaker, name: str, content: Any) -> str:
    return put(service, f"s3://bucket/manifests/{name}", json.dumps(content).encode())


def _log(service: LocalSageMaker, name: str) -> list[str]:
    (path,) = (service.root / "logs" / "TrainingJobs" / name).iterdir()
    return [json.loads(line)["message"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_a_manifest_channel_holds_exactly_what_it_lists(
    service: LocalSageMaker, client: Any, mode: str
) -> None:
    """Objects of the prefix that it does not list stay out; FastFile gives files as File does."""
    for name in ("beagle/1.jpg", "beagle/2.jpg", "pug/1.jpg", "pug/2.jpg"):
        put(service, f"s3://bucket/dogs/{name}", name.encode())
    listed = [{"prefix": "s3://bucket/dogs/"}, "beagle/1.jpg", "pug/2.jpg"]
    uri = _manifest(service, "dogs.json", listed)
    job = f"listed-{mode}"
    channels = [_channel(uri, InputMode=mode)]
    client.create_training_job(**training_request(service, job, LIST_FILES, InputDataConfig=channels))
    assert wait_for_job(client, job)["TrainingJobStatus"] == "Completed"
    assert _log(service, job) == ["['beagle/1.jpg', 'pug/2.jpg']"]


def test_a_missing_manifest_is_refused(service: LocalSageMaker, client: Any) -> None:
    """As a prefix without objects is, when the job is created; a prefix is no manifest."""
    put(service, "s3://bucket/prefix/object", b"")
    for uri in ("s3://bucket/manifests/none.json", "s3://bucket/prefix"):
        channels = [_channel(uri)]
        with pytest.raises(ClientError, match=f'No S3 objects found under S3 URL "{uri}"'):
            client.create_training_job(**training_request(service, "none", InputDataConfig=channels))


def test_a_manifest_that_cannot_be_used_fails_the_job(service: LocalSageMaker, client: Any) -> None:
    """The reason names the entry, and nothing of the channel is written."""
    uri = _manifest(service, "gone.json", [{"prefix": "s3://bucket/gone/"}, "a.jpg"])
    request = training_request(service, "gone", LIST_FILES, InputDataConfig=[_channel(uri)])
    client.create_training_job(**request)
    job = wait_for_job(client, "gone")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(f"ClientError: Data download failed: the manifest {uri} lists")
    assert "there is no object s3://bucket/gone/a.jpg" in job["FailureReason"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not json", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b"{}", "must be a list that begins with"),
        (b"[]", "must be a list that begins with"),
        (b'["a"]', "must be a list that begins with"),
        (b'[{"prefix": 1}, "a"]', "must be a list that begins with"),
        (b'[{"prefix": "s3://bucket/p/"}]', "lists no objects"),
        (b'[{"prefix": "s3://bucket/p/"}, "a", 2]', "entry 2 .*expected a name, got 2"),
        (b'[{"prefix": "s3://bucket/p/"}, "../q/a"]', "entry 1 .*is not a relative name"),
        (b'[{"prefix": "s3://bucket/p/"}, "/etc/passwd"]', "is not a relative name"),
        (b'[{"prefix": "s3://bucket/p/"}, "a//b"]', "is not a relative name"),
        (b'[{"prefix": "s3://bucket/p/"}, ""]', "is not a relative name"),
        (b'[{"prefix": "s3://bucket/p/"}, "a\\u0000b"]', "control characters"),
        (b'[{"prefix": "file:///etc/"}, "passwd"]', "not an S3 location"),
        (b'[{"prefix": "s3://bucket/../"}, "a"]', "'..' parts"),
    ],
)
def test_hostile_manifests(tmp_path: Path, content: bytes, message: str) -> None:
    """Whatever a manifest holds, it is a StoreError that names it, and no file is written."""
    service = LocalSageMaker(tmp_path / "root")
    put(service, "s3://bucket/p/a", b"a")
    put(service, "s3://bucket/q/a", b"a")
    uri = put(service, "s3://bucket/manifest", content)
    with pytest.raises(StoreError, match=message):
        manifest.get(service.store, uri, tmp_path / "channel")
    assert not (tmp_path / "channel").exists()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(entries=st.lists(st.text(max_size=12) | _JSON, max_size=4), prefix=st.text(max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_manifest_leads_out_of_its_channel(tmp_path: Path, entries: list[Any], prefix: str) -> None:
    """Any list of names either is refused or names objects below the bucket."""
    service = LocalSageMaker(tmp_path / "root")
    content = json.dumps([{"prefix": f"s3://bucket/{prefix}"}, *entries]).encode()
    uri = put(service, "s3://bucket/manifest", content)
    with pytest.raises(StoreError):  # for there is no object but the manifest itself
        manifest.get(LocalStore(service.root), uri, tmp_path / "channel" / "train")
    assert not (tmp_path / "channel").exists()


def test_members_without_effect_here_are_recorded(service: LocalSageMaker, client: Any) -> None:
    """What is about AWS's machines and networks is accepted, and described as it was asked."""
    key = "arn:aws:kms:us-east-1:000000000000:key/1"
    members: dict[str, Any] = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
            "VolumeKmsKeyId": key,
            "KeepAlivePeriodInSeconds": 60,
        },
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output", "KmsKeyId": key},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "DebugHookConfig": {"S3OutputPath": "s3://bucket/debug"},
        "DebugRuleConfigurations": [{"RuleConfigurationName": "Overfit", "RuleEvaluatorImage": "image"}],
        "ProfilerConfig": {"S3OutputPath": "s3://bucket/profile", "ProfilingIntervalInMilliseconds": 500},
        "ProfilerRuleConfigurations": [{"RuleConfigurationName": "Report", "RuleEvaluatorImage": "image"}],
    }
    client.create_training_job(**training_request(service, "recorded", "", **members))
    job = wait_for_job(client, "recorded")
    assert job["TrainingJobStatus"] == "Completed"
    assert {name: job[name] for name in members} == members


@pytest.mark.parametrize(
    ("spot", "stopping", "message"),
    [
        (True, {"MaxRuntimeInSeconds": 60}, "It must be present and be greater than or equal to"),
        (True, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}, "greater than or equal to"),
        (True, {"MaxWaitTimeInSeconds": 86_399}, r"MaxRuntimeInSeconds \(86400\)"),
        (False, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}, "EnableManagedSpotTraining is true"),
    ],
)
def test_spot_jobs_need_a_time_to_wait(
    service: LocalSageMaker, client: Any, spot: bool, stopping: dict[str, int], message: str
) -> None:
    """MaxWaitTimeInSeconds is for spot jobs only, and not below the runtime."""
    request = training_request(service, "spot", StoppingCondition=stopping)
    with pytest.raises(ClientError, match=message) as caught:
        client.create_training_job(**request, EnableManagedSpotTraining=spot)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
