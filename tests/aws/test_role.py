"""The execution role: found, resolved, made and kept up to date."""

from __future__ import annotations

import json

import pytest
from fake_aws import ACCOUNT, boto_session, deny
from moto import mock_aws

from sagemaker_dogbreed import AccountError, TrainingSpec
from sagemaker_dogbreed.aws.roles.policy import execution_policy, trust_policy
from sagemaker_dogbreed.aws.roles.role import find_role, resolve_role
from sagemaker_dogbreed.aws.roles.role_creation import ensure_role, trusts_sagemaker
from sagemaker_dogbreed.clients import Clients

ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/AmazonSageMaker-ExecutionRole-2026"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/AmazonSageMaker-ExecutionRole-2026/SageMaker"
TRUST = json.dumps(trust_policy())


@pytest.fixture
def policy(account):
    """The policy of a training job."""
    return execution_policy(account, "photos", training=TrainingSpec())


def _permissions(iam, name):
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return sorted(each["PolicyName"] for each in attached), inline


def test_a_role_is_made_with_trust_and_policy(clients, policy):
    """It exists, SageMaker can take it on, it may do what the policy says, and is known as ours."""
    arn = ensure_role(clients, "dogs", policy)
    assert arn == f"arn:aws:iam::{ACCOUNT}:role/dogs"
    iam = clients.client("iam")
    role = iam.get_role(RoleName="dogs")["Role"]
    assert role["AssumeRolePolicyDocument"] == trust_policy()
    assert iam.get_role_policy(RoleName="dogs", PolicyName="sagemaker-dogbreed")["PolicyDocument"] == policy
    assert iam.list_role_tags(RoleName="dogs")["Tags"] == [
        {"Key": "sagemaker-dogbreed:project", "Value": "sagemaker_dogbreed"}
    ]
    assert resolve_role(clients, "dogs") == arn


def test_asked_for_again_nothing_is_written(clients, policy):
    """The second call only looks."""
    ensure_role(clients, "dogs", policy)
    calls = []
    clients.client("iam").meta.events.register("before-call.iam", lambda model, **_: calls.append(model.name))
    ensure_role(clients, "dogs", policy)
    assert {call.removeprefix("List").removeprefix("Get") == call for call in calls} == {False}


def test_a_policy_that_changed_is_replaced(clients, account, policy):
    """The role may do what the newest specs need."""
    ensure_role(clients, "dogs", policy)
    newer = execution_policy(account, "others", training=TrainingSpec())
    ensure_role(clients, "dogs", newer)
    inline = clients.client("iam").get_role_policy(RoleName="dogs", PolicyName="sagemaker-dogbreed")
    assert inline["PolicyDocument"] == newer


def test_the_managed_policies_are_an_option_that_can_be_taken_back(policy):
    """A role has AWS's two managed policies or ours, never both."""
    with mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        clients = Clients(boto_session)
        iam = clients.client("iam")
        full_access = ["AmazonS3FullAccess", "AmazonSageMakerFullAccess"]
        ensure_role(clients, "dogs", policy, managed=True)
        assert _permissions(iam, "dogs") == (full_access, [])
        ensure_role(clients, "dogs", policy)
        assert _permissions(iam, "dogs") == ([], ["sagemaker-dogbreed"])
        ensure_role(clients, "dogs", policy, managed=True)
        assert _permissions(iam, "dogs") == (full_access, [])


def test_a_role_of_somebody_else_is_left_alone(clients, policy):
    """Only with adopt=True is it changed, and then only added to."""
    iam = clients.client("iam")
    other = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": other}
    iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=json.dumps(trust))
    with pytest.raises(AccountError, match=r"'theirs' was not made by this library .*adopt=True"):
        ensure_role(clients, "theirs", policy)
    assert _permissions(iam, "theirs") == ([], [])
    ensure_role(clients, "theirs", policy, adopt=True)
    assert _permissions(iam, "theirs") == ([], ["sagemaker-dogbreed"])
    document = iam.get_role(RoleName="theirs")["Role"]["AssumeRolePolicyDocument"]
    assert trusts_sagemaker(document)
    assert other in document["Statement"]


def test_a_role_that_another_process_makes_meanwhile_is_taken_for_what_it_is(stubbed, policy):
    """Losing the race to a stranger's role is no reason to write to it."""
    iam = stubbed.stub("iam")
    iam.add_client_error("get_role", "NoSuchEntity", "none", http_status_code=404)
    iam.add_client_error("create_role", "EntityAlreadyExists", "there", http_status_code=409)
    role = {
        "Path": "/",
        "RoleName": "dogs-role",
        "RoleId": "A" * 20,
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/dogs-role",
        "CreateDate": 0,
    }
    iam.add_response("get_role", {"Role": role})
    iam.add_response("list_role_tags", {"Tags": []})
    with pytest.raises(AccountError, match="not made by this library"):
        ensure_role(stubbed, "dogs-role", policy)


def test_a_refused_call_names_role_and_permission(stubbed, policy):
    """Who lacks iam:CreateRole is told so."""
    iam = stubbed.stub("iam")
    iam.add_client_error("get_role", "NoSuchEntity", "none", http_status_code=404)
    deny(iam, "create_role", "iam:CreateRole")
    with pytest.raises(AccountError, match=r"'dogs' was not created: the permission iam:CreateRole"):
        ensure_role(stubbed, "dogs", policy)


@pytest.mark.parametrize(
    "role", ["", "a role", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/dog", "x" * 65, "rôle"]
)
def test_what_is_no_role_is_refused_before_it_is_sent(stubbed, role):
    """Shape is checked here, where the message can show what is right."""
    with pytest.raises(AccountError, match=r"is no IAM role: give its name, or its ARN"):
        resolve_role(stubbed, role)


def test_a_name_without_a_role_is_refused(clients):
    """The message says what to do."""
    with pytest.raises(AccountError, match=r"no IAM role 'dogz' .*ensure_role"):
        resolve_role(clients, "dogz")


@pytest.mark.parametrize(
    ("document", "trusted"),
    [
        (trust_policy(), True),
        ({"Statement": trust_policy()["Statement"][0]}, True),
        ({"Statement": [{**trust_policy()["Statement"][0], "Effect": "Deny"}]}, False),
        ({"Statement": [{**trust_policy()["Statement"][0], "Principal": {"Service": ["ec2", "s3"]}}]}, False),
        ({"Statement": [{**trust_policy()["Statement"][0], "Action": ["sts:TagSession"]}]}, False),
        ({"Statement": "none"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_trust_is_read_in_all_its_spellings(document, trusted):
    """One statement or many, one service or many, and whatever else a document may be."""
    assert trusts_sagemaker(document) is trusted


def test_the_variable_comes_first(stubbed, monkeypatch, tmp_path):
    """AWS_ROLE_ARN is the execution role, unless it is the caller's own by web identity."""
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    assert find_role(stubbed, metadata=tmp_path / "none") == ROLE
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
    answer = {"Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/run", "Account": ACCOUNT}
    stubbed.stub("sts").add_response("get_caller_identity", answer)
    assert find_role(stubbed, metadata=tmp_path / "none") is None


def _metadata(tmp_path, **content):
    path = tmp_path / "resource-metadata.json"
    path.write_text(json.dumps(content))
    return path


def test_a_notebook_instance_has_the_role_it_was_made_with(stubbed, tmp_path):
    """Its metadata names it, and SageMaker its role."""
    stubbed.stub("sagemaker").add_response(
        "describe_notebook_instance", {"RoleArn": ROLE}, {"NotebookInstanceName": "mine"}
    )
    assert find_role(stubbed, metadata=_metadata(tmp_path, ResourceName="mine")) == ROLE


@pytest.mark.parametrize("of_user", [True, False])
def test_studio_has_the_role_of_its_user_or_domain(stubbed, tmp_path, of_user):
    """The user's own comes before the domain's."""
    profile = {"UserSettings": {"ExecutionRole": ROLE} if of_user else {}}
    stub = stubbed.stub("sagemaker")
    stub.add_response("describe_user_profile", profile, {"DomainId": "d-1", "UserProfileName": "me"})
    if not of_user:
        stub.add_response("describe_domain", {"DefaultUserSettings": {"ExecutionRole": ROLE}})
    path = _metadata(tmp_path, ResourceName="default", DomainId="d-1", UserProfileName="me")
    assert find_role(stubbed, metadata=path) == ROLE
    assert find_role(stubbed, metadata=_metadata(tmp_path, ExecutionRoleArn=ROLE)) == ROLE


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"ResourceName": 3}'])
def test_metadata_that_cannot_be_read_is_passed_over(stubbed, tmp_path, content):
    """The caller's own role is looked at instead."""
    path = tmp_path / "metadata.json"
    path.write_text(content)
    answer = {"Arn": f"arn:aws:iam::{ACCOUNT}:user/dog", "Account": ACCOUNT}
    stubbed.stub("sts").add_response("get_caller_identity", answer)
    assert find_role(stubbed, metadata=path) is None


def test_a_caller_in_studio_is_known_by_its_role(clients, stubbed, tmp_path):
    """The role's ARN has the path that the caller's lacks, even where IAM refuses to tell."""
    stub = stubbed.stub("sts")
    for _ in range(2):
        stub.add_response("get_caller_identity", {"Arn": CALLER, "Account": ACCOUNT})
    role = {"Path": "/p/", "RoleName": "R" * 9, "RoleId": "A" * 20, "Arn": ROLE, "CreateDate": 0}
    stubbed.stub("iam").add_response("get_role", {"Role": role})
    assert find_role(stubbed, metadata=tmp_path / "none") == ROLE
    deny(stubbed.stub("iam"), "get_role", "iam:GetRole")
    assert find_role(stubbed, metadata=tmp_path / "none") == ROLE
