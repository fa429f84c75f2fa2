"""The execution role's policy: what specs need, and nothing else."""

from __future__ import annotations

import pytest
from fake_aws import ACCOUNT, REGION

from sagemaker_dogbreed import DatasetSpec, EndpointSpec, NetworkSpec, TrainingSpec
from sagemaker_dogbreed.aws.account import Account
from sagemaker_dogbreed.aws.roles.policy import execution_policy

IMAGE = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.10-cpu-py313"
NETWORK = NetworkSpec(subnets=["subnet-1"], security_group_ids=["sg-1"])


def _statements(policy):
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def _actions(policy):
    return {action.partition(":")[0] for statement in policy["Statement"] for action in statement["Action"]}


def test_nothing_asked_is_nothing_allowed(account):
    """Without specs there are no statements."""
    assert execution_policy(account, "photos")["Statement"] == []


def test_a_training_job_reads_data_and_code_and_writes_its_jobs(account):
    """No other prefix of the bucket can be read, and only one can be written."""
    dataset = DatasetSpec(source="dogs", bucket="others", prefix="images/dogs/")
    policy = execution_policy(account, "photos", training=TrainingSpec(), dataset=dataset, images=[IMAGE])
    found = _statements(policy)
    assert found["ReadObjects"]["Resource"] == [
        "arn:aws:s3:::others/images/dogs/*",
        "arn:aws:s3:::photos/code/*",
        "arn:aws:s3:::photos/jobs/*",
    ]
    assert found["WriteObjects"]["Action"] == ["s3:AbortMultipartUpload", "s3:PutObject"]
    assert found["WriteObjects"]["Resource"] == ["arn:aws:s3:::photos/jobs/*"]
    assert found["ListBucket1"]["Resource"] == ["arn:aws:s3:::others"]
    assert found["ListBucket1"]["Condition"] == {
        "StringLike": {"s3:prefix": ["images/dogs", "images/dogs/*"]}
    }
    assert found["PullImages"]["Resource"] == [
        "arn:aws:ecr:eu-west-1:763104351884:repository/pytorch-training"
    ]
    assert found["WriteLogs"]["Resource"] == [
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/TrainingJobs*"
    ]
    assert _actions(policy) == {"s3", "logs", "cloudwatch", "ecr"}


def test_an_endpoint_reads_its_model_and_writes_no_object(account):
    """It gets the model of a job, or the one named, and that alone."""
    found = _statements(execution_policy(account, "photos", endpoint=EndpointSpec()))
    assert found["ReadObjects"]["Resource"] == ["arn:aws:s3:::photos/jobs/*"]
    assert "WriteObjects" not in found
    named = execution_policy(
        account, "photos", endpoint=EndpointSpec(), model_uri="s3://models/dogs/model.tar.gz"
    )
    assert _statements(named)["ReadObjects"]["Resource"] == [
        "arn:aws:s3:::models/dogs/model.tar.gz",
        "arn:aws:s3:::models/dogs/model.tar.gz/*",
    ]


@pytest.mark.parametrize(
    ("weights", "resource"),
    [("weights.pth", "photos/weights/*"), ("s3://zoo/nets/r50.pth", "zoo/nets/r50.pth")],
)
def test_weights_are_read_where_they_are(account, weights, resource):
    """A file of this machine is uploaded to the session's bucket; one in S3 is read there."""
    policy = execution_policy(account, "photos", training=TrainingSpec(weights=weights))
    assert f"arn:aws:s3:::{resource}" in _statements(policy)["ReadObjects"]["Resource"]


def test_network_interfaces_only_with_a_vpc(account):
    """They are made in the named subnets and groups only."""
    without = execution_policy(account, "photos", training=TrainingSpec(), endpoint=EndpointSpec())
    assert "ec2" not in _actions(without)
    alone = TrainingSpec(weights="none", finetune="full", network=NetworkSpec(isolation=True))
    assert "ec2" not in _actions(execution_policy(account, "photos", training=alone))
    found = _statements(execution_policy(account, "photos", endpoint=EndpointSpec(network=NETWORK)))
    assert found["JoinVPC"]["Resource"] == [
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/*",
        f"arn:aws:ec2:{REGION}:*:subnet/subnet-1",
        f"arn:aws:ec2:{REGION}:*:security-group/sg-1",
    ]


@pytest.mark.parametrize(
    ("key", "resource", "aliases"),
    [
        ("1234-abcd", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234-abcd", None),
        ("arn:aws:kms:eu-west-1:1:key/k", "arn:aws:kms:eu-west-1:1:key/k", None),
        ("alias/dogs", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*", ["alias/dogs"]),
        ("arn:aws:kms:eu-west-1:1:alias/dogs", "arn:aws:kms:eu-west-1:1:key/*", ["alias/dogs"]),
    ],
)
def test_keys_only_where_they_are_used(account, key, resource, aliases):
    """Each way to name a key ends in a statement about that key: objects and disks need other actions."""
    training = TrainingSpec(output_kms_key=key)
    policy = execution_policy(account, "photos", training=training)
    statement = _statements(policy)["EncryptObjects1"]
    assert statement["Action"] == ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
    assert statement["Resource"] == [resource]
    condition = statement.get("Condition", {}).get("ForAnyValue:StringEquals", {})
    assert condition.get("kms:ResourceAliases") == aliases
    assert "EncryptDisks1" not in _statements(policy)
    disks = execution_policy(account, "photos", endpoint=EndpointSpec(kms_key=key))
    assert _statements(disks)["EncryptDisks1"]["Action"] == ["kms:CreateGrant"]
    assert "kms" not in _actions(execution_policy(account, "photos", training=TrainingSpec()))


def test_images_of_other_registries_need_no_permission(account):
    """Only ECR asks for one."""
    policy = execution_policy(account, "photos", endpoint=EndpointSpec(), images=["docker.io/library/x:1"])
    assert "ecr" not in _actions(policy)


def test_every_arn_is_of_the_accounts_partition():
    """In China and GovCloud ARNs begin otherwise."""
    account = Account(account_id=ACCOUNT, region="cn-north-1", partition="aws-cn")
    policy = execution_policy(
        account,
        "photos",
        training=TrainingSpec(network=NETWORK, output_kms_key="alias/k", volume_kms_key="k"),
        endpoint=EndpointSpec(network=NETWORK),
        images=["727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch:1"],
    )
    arns = [
        arn
        for statement in policy["Statement"]
        if statement["Resource"] != "*"
        for arn in statement["Resource"]
    ]
    assert len(arns) > 10
    assert {arn.split(":")[1] for arn in arns} == {"aws-cn"}
    assert len({statement["Sid"] for statement in policy["Statement"]}) == len(policy["Statement"])
