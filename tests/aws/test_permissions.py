"""What a caller needs: one row a call, and a policy for the verbs that are used."""

from __future__ import annotations

import botocore.session
import pytest
from fake_aws import ACCOUNT, REGION

from sagemaker_dogbreed import EndpointSpec, TrainingSpec, TuningSpec
from sagemaker_dogbreed.aws.roles.permissions import PERMISSIONS, VERBS, caller_policy, verbs_of

ROLE = f"arn:aws:iam::{ACCOUNT}:role/dogs"
NO_OPERATIONS = {"PassRole"}
"""What AWS asks for inside other calls."""


def _actions(policy):
    return {action for statement in policy["Statement"] for action in statement["Action"]}


@pytest.mark.parametrize("permission", PERMISSIONS, ids=lambda permission: permission.action)
def test_every_row_is_a_call_that_exists(permission):
    """boto3 knows service and operation; the verbs are ours; the action has AWS's form."""
    model = botocore.session.Session().get_service_model(permission.service)
    assert permission.operation in {*model.operation_names, *NO_OPERATIONS}
    assert set(permission.verbs) <= set(VERBS)
    service, _, action = permission.action.partition(":")
    assert service.isalnum()
    assert action.isalnum()


def test_no_row_comes_twice():
    """A call on a kind of resource has one row."""
    rows = [(row.service, row.operation, row.resource) for row in PERMISSIONS]
    assert len(set(rows)) == len(rows)


def test_a_policy_is_for_its_verbs_alone(account):
    """Who only predicts needs one action, on endpoints of this account and region."""
    policy = caller_policy(account, "photos", ROLE, verbs=["predict"])
    assert policy["Statement"] == [
        {
            "Sid": "UseEndpoint",
            "Effect": "Allow",
            "Action": ["sagemaker:InvokeEndpoint"],
            "Resource": [f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/*"],
        }
    ]
    assert caller_policy(account, "photos", ROLE, verbs=[])["Statement"] == []


def test_all_verbs_need_all_actions(account):
    """By default the policy is for whatever the library does."""
    assert _actions(caller_policy(account, "photos", ROLE)) == {row.action for row in PERMISSIONS}


def test_a_role_is_passed_to_sagemaker_only(account):
    """PassRole stands alone, on one role, with its condition."""
    policy = caller_policy(account, "photos", ROLE, verbs=["train", "setup"])
    (passing,) = [each for each in policy["Statement"] if "iam:PassRole" in each["Action"]]
    assert passing["Action"] == ["iam:PassRole"]
    assert passing["Resource"] == [ROLE]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_objects_of_further_buckets_and_keys_are_named(account):
    """A data set's bucket and the key of an endpoint's disks are part of what is needed."""
    policy = caller_policy(account, "photos", ROLE, verbs=["upload"], buckets=["dogs"], kms_keys=["k"])
    resources = {each["Sid"]: each["Resource"] for each in policy["Statement"]}
    assert resources["UseObjects"] == ["arn:aws:s3:::photos/*", "arn:aws:s3:::dogs/*"]
    assert resources["GrantKey1"] == [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"]
    assert len(resources) == len(policy["Statement"])


def test_specs_tell_their_verbs():
    """A policy can be made for specs."""
    assert verbs_of(TrainingSpec(), EndpointSpec()) == ("upload", "train", "deploy", "predict")
    assert verbs_of(None, None) == ()
    assert verbs_of(TrainingSpec(), None, TuningSpec()) == ("upload", "train", "tune")


def test_who_tunes_may_use_tuning_jobs_and_training_jobs(account):
    """A search is a tuning job, whose trials are read, or a training job that runs all trials."""
    policy = caller_policy(account, "photos", ROLE, verbs=["tune"])
    by_sid = {each["Sid"]: each for each in policy["Statement"]}
    assert by_sid["UseTuningJob"]["Resource"] == [
        f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/*"
    ]
    assert by_sid["UseTuningJob"]["Action"] == [
        "sagemaker:CreateHyperParameterTuningJob",
        "sagemaker:DescribeHyperParameterTuningJob",
        "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
        "sagemaker:StopHyperParameterTuningJob",
    ]
    assert by_sid["UseTrainingJob"]["Action"] == [
        "sagemaker:CreateTrainingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:StopTrainingJob",
    ]
    assert "sagemaker:AddTags" in by_sid["UseTagged"]["Action"]
    assert "iam:PassRole" in _actions(policy)
