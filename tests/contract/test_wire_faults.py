"""What a bad wire does to the whole flow: success in the end, or an error that names the cause."""

from __future__ import annotations

import collections

import pytest

import sagemaker_dogbreed as sdb
from sagemaker_dogbreed.jobs.polling import Poller

pytestmark = pytest.mark.filterwarnings("ignore::sagemaker_dogbreed.ImagePatchWarning")

TRAINING = sdb.TrainingSpec()
ENDPOINT = sdb.EndpointSpec(name="dogs")


@pytest.fixture
def flow(aws, photos, tmp_path):
    """The whole flow as one call, in an account with nothing in it."""
    aws.reset()

    def run():
        place = sdb.Session.aws(cache_dir=tmp_path).place
        session = sdb.Session(place, cache_dir=tmp_path, poller=Poller(sleep=lambda _: None))
        session.ensure_role()
        dataset = session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)
        job = session.train(TRAINING, dataset).wait()
        with session.deploy(ENDPOINT, job.model) as predictor:
            return predictor.predict(photos / "pug" / "pug_0001.jpg").class_name

    return run


def _left_behind(aws):
    """The names of all that costs and is still there."""
    aws.misbehave = lambda call: None
    place = sdb.Session.aws().place
    sagemaker = place.clients.sagemaker
    return [
        *(each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]),
        *(each["EndpointConfigName"] for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        *(each["ModelName"] for each in sagemaker.list_models()["Models"]),
    ]


@pytest.mark.parametrize("fault", ["down", "dropped", "cut"])
def test_a_fault_that_passes_changes_nothing(aws, flow, fault):
    """Every call fails at its first attempt, and the flow delivers all the same."""
    seen = collections.Counter()

    def misbehave(call):
        seen[call] += 1
        return fault if seen[call] == 1 else None

    aws.misbehave = misbehave
    assert flow() == "pug"
    assert min(seen.values()) >= 2
    assert {"PutObject", "CreateTrainingJob", "CreateEndpoint"} <= {call.operation for call in seen}
    assert _left_behind(aws) == []


def test_throttling_is_waited_out(aws, flow):
    """Each service refuses a call for the rate of calls, and the flow delivers all the same."""
    seen = collections.Counter()

    def misbehave(call):
        seen[call.service] += 1
        return "throttled" if seen[call.service] == 2 else None

    aws.misbehave = misbehave
    assert flow() == "pug"
    assert min(seen[service] for service in ("iam", "s3", "sagemaker")) > 2
    assert _left_behind(aws) == []


PERMISSIONS = {
    ("sts", "GetCallerIdentity"): "sts:GetCallerIdentity",
    ("iam", "GetRole"): "iam:GetRole",
    ("iam", "CreateRole"): "iam:CreateRole",
    ("iam", "PutRolePolicy"): "iam:PutRolePolicy",
    ("s3", "HEAD bucket"): "s3:ListBucket",
    ("s3", "PUT bucket"): "s3:CreateBucket",
    ("s3", "PUT encryption"): "s3:PutEncryptionConfiguration",
    ("s3", "PUT lifecycle"): "s3:PutLifecycleConfiguration",
    ("s3", "PUT publicAccessBlock"): "s3:PutBucketPublicAccessBlock",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "PutObject"): "s3:PutObject",
    ("s3", "HeadObject"): "s3:GetObject",
    ("s3", "GetObject"): "s3:GetObject",
    ("sagemaker", "CreateTrainingJob"): "sagemaker:CreateTrainingJob",
    ("sagemaker", "DescribeTrainingJob"): "sagemaker:DescribeTrainingJob",
    ("sagemaker", "DescribeEndpoint"): "sagemaker:DescribeEndpoint",
    ("sagemaker", "DescribeEndpointConfig"): "sagemaker:DescribeEndpointConfig",
    ("sagemaker", "DescribeModel"): "sagemaker:DescribeModel",
    ("sagemaker", "CreateModel"): "sagemaker:CreateModel",
    ("sagemaker", "CreateEndpointConfig"): "sagemaker:CreateEndpointConfig",
    ("sagemaker", "CreateEndpoint"): "sagemaker:CreateEndpoint",
    ("sagemaker", "InvokeEndpoint"): "sagemaker:InvokeEndpoint",
    ("sagemaker", "DeleteEndpoint"): "sagemaker:DeleteEndpoint",
    ("sagemaker", "DeleteEndpointConfig"): "sagemaker:DeleteEndpointConfig",
    ("sagemaker", "DeleteModel"): "sagemaker:DeleteModel",
}
"""Calls the flow cannot do without, and the permission that each needs."""

OPTIONAL = {
    ("iam", "GetRolePolicy"),
    ("iam", "ListAttachedRolePolicies"),
    ("iam", "ListRoleTags"),
    ("s3", "GET publicAccessBlock"),
    ("s3", "PUT tagging"),
}
"""Calls whose refusal need not stop anything."""


def test_the_permissions_are_those_of_all_calls(aws, flow):
    """The flow makes no call that the tests of permissions do not know."""
    flow()
    assert {*aws.calls} == {*PERMISSIONS, *OPTIONAL}


@pytest.mark.parametrize("call", PERMISSIONS, ids=[f"{service}-{name}" for service, name in PERMISSIONS])
def test_a_missing_permission_is_named(aws, flow, call):
    """Without one permission the flow ends in an error that names it, and nothing that costs is left."""
    aws.misbehave = lambda made: "denied" if made == call else None
    with pytest.raises(sdb.DogbreedError) as caught:
        flow()
    assert PERMISSIONS[call] in str(caught.value)
    left = _left_behind(aws)
    if call[1].startswith("Delete"):
        assert left
        assert "dogs" in str(caught.value)
    else:
        assert left == []


@pytest.mark.parametrize("call", sorted(OPTIONAL), ids=[operation for _, operation in sorted(OPTIONAL)])
def test_an_optional_permission_may_be_missing(aws, flow, call):
    """A call that is not needed may be refused: the flow delivers, or says what is missing."""
    aws.misbehave = lambda made: "denied" if made == call else None
    try:
        assert flow() == "pug"
    except sdb.DogbreedError as error:
        assert "permission" in str(error)  # noqa: PT017 - either outcome is right
    assert _left_behind(aws) == []


def test_a_token_that_expires_during_the_flow_is_read_again(aws, flow, monkeypatch):
    """Credentials that AWS no longer takes are read again from where they came from, and the flow goes on."""
    expired = []

    def misbehave(call):
        if call.operation == "DescribeTrainingJob" and len(expired) < 3:
            expired.append(call)
            return "expired"
        return None

    aws.misbehave = misbehave
    assert flow() == "pug"
    assert len(expired) == 3


def test_nothing_is_sent_to_a_bucket_in_other_hands(aws, photos, tmp_path):
    """A bucket that a data set names, and that is not the account's, gets none of its images."""
    aws.reset()
    aws.misbehave = lambda call: "denied" if call.operation == "HEAD bucket" else None
    session = sdb.Session.aws(cache_dir=tmp_path)
    with pytest.raises(sdb.AccountError, match="'taken-bucket'"):
        session.upload(sdb.DatasetSpec(source=str(photos), bucket="taken-bucket"), progress=False)
    assert "PutObject" not in {call.operation for call in aws.calls}
