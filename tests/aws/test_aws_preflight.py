"""Preflight: what would fail later, found before anything is spent, and each check by itself."""

from __future__ import annotations

import pickle
import tarfile

import pytest
from fake_aws import ACCOUNT, REGION, USER, answer_iam, boto_session, deny

from sagemaker_dogbreed import (
    AccountError,
    ComputeSpec,
    DatasetError,
    DatasetSpec,
    EndpointSpec,
    PreflightError,
    TrainingSpec,
    TuningSpec,
    draw_cartoon_dogs,
)
from sagemaker_dogbreed.aws.account import identify
from sagemaker_dogbreed.aws.preflight import spec_checks
from sagemaker_dogbreed.aws.preflight.preflight import preflight
from sagemaker_dogbreed.aws.roles.policy import trust_policy
from sagemaker_dogbreed.aws.roles.simulation import denied_actions
from sagemaker_dogbreed.aws.spending.quotas import Quotas
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import ImageUriError

ROLE = f"arn:aws:iam::{ACCOUNT}:role/dogs"
ROLES = {"dogs": trust_policy()}
IMAGE = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch-training:2.10"
TRAINING = TrainingSpec(compute=ComputeSpec(instance_type="ml.g5.xlarge"))
LIMITS = {"training job": 2.0, "spot training job": 1.0, "training warm pool": 0.0, "endpoint": 1.0}


def _caller(stubbed, arn=USER):
    stubbed.stub("sts").add_response("get_caller_identity", {"Arn": arn, "Account": ACCOUNT})


def _bucket(stubbed, region=REGION):
    stubbed.stub("s3").add_response("head_bucket", {"BucketRegion": region})


def _quotas(stubbed, **limits):
    quotas = [
        {"QuotaName": f"ml.g5.xlarge for {use} usage", "Value": value}
        for use, value in (LIMITS | limits).items()
    ]
    stubbed.stub("service-quotas").add_response("list_service_quotas", {"Quotas": quotas})
    stubbed.stub("service-quotas").add_response("list_aws_default_service_quotas", {"Quotas": []})


def _statuses(report):
    return {check.name: check.status for check in report.checks}


def _message(report, name):
    return next(check.message for check in report.checks if check.name == name)


def test_an_account_in_order_passes(stubbed, tmp_path):
    """Every check is made, in order, and finds nothing."""
    dogs = draw_cartoon_dogs(tmp_path / "dogs", images_per_breed=1, image_size=32, breeds=["pug", "husky"])
    _caller(stubbed)
    asked = answer_iam(stubbed, ROLES)
    _bucket(stubbed)
    _quotas(stubbed)
    report = preflight(
        stubbed,
        role=ROLE,
        bucket="photos",
        training=TRAINING,
        dataset=DatasetSpec(source=dogs),
        images={"training": lambda: IMAGE},
    )
    assert list(_statuses(report).items()) == [
        ("credentials", "ok"),
        ("role trust", "ok"),
        ("role permissions", "ok"),
        ("caller permissions", "ok"),
        ("bucket", "ok"),
        ("training image", "ok"),
        ("quota", "ok"),
        ("data set", "ok"),
    ], str(report)
    assert report.ok
    report.raise_for_errors()
    assert str(report).splitlines()[0] == f"ok       credentials: {USER} in {REGION}"
    assert _message(report, "data set").endswith("has 2 classes")
    assert (ROLE, "s3:GetObject", "arn:aws:s3:::photos/code/*") in asked
    assert (USER, "iam:PassRole", ROLE) in asked
    assert "sagemaker:CreateEndpoint" not in {action for _, action, _ in asked}


def test_without_any_permission_all_is_unknown_and_each_permission_named(stubbed):
    """Not being allowed to look is neither success nor failure."""
    _caller(stubbed)
    deny(stubbed.stub("iam"), "get_role", "iam:GetRole")
    for _ in range(2):
        deny(stubbed.stub("iam"), "simulate_principal_policy", "iam:SimulatePrincipalPolicy")
    deny(stubbed.stub("s3"), "head_bucket", "s3:ListBucket")
    deny(stubbed.stub("service-quotas"), "list_service_quotas", "servicequotas:ListServiceQuotas")
    report = preflight(stubbed, role=ROLE, bucket="photos", training=TRAINING)
    statuses = _statuses(report)
    assert statuses.pop("credentials") == "ok"
    assert statuses == dict.fromkeys(
        ["role trust", "role permissions", "caller permissions", "bucket", "quota"], "unknown"
    )
    assert report.ok
    for name, action in (
        ("role trust", "iam:GetRole"),
        ("role permissions", "iam:SimulatePrincipalPolicy"),
        ("bucket", "s3:ListBucket"),
        ("quota", "servicequotas:ListServiceQuotas"),
    ):
        assert _message(report, name) == f"could not be checked without the permission {action}"


def test_all_that_is_wrong_is_reported_at_once(stubbed, tmp_path):
    """Each check names its cause and the way out; the error that is raised has them all."""
    _caller(stubbed)
    denied = {"s3:PutObject", "sagemaker:CreateTrainingJob"}
    answer_iam(stubbed, {"dogs": {}}, lambda _principal, action, _resource: action in denied)
    _bucket(stubbed, "us-west-2")
    _quotas(stubbed, endpoint=0.0)

    def no_image():
        raise ImageUriError("AWS has no training image of PyTorch 9.9")

    report = preflight(
        stubbed,
        role=ROLE,
        bucket="photos",
        training=TRAINING,
        endpoint=EndpointSpec(instance_type="ml.g5.xlarge"),
        dataset=DatasetSpec(source=tmp_path / "nowhere"),
        images={"training": no_image, "inference": IMAGE.replace(REGION, "us-west-2")},
    )
    wrong = {check.name: check.message for check in report.errors}
    assert set(wrong) == {
        "role trust",
        "role permissions",
        "caller permissions",
        "bucket",
        "training image",
        "inference image",
        "quota",
        "data set",
    }
    assert "does not trust sagemaker.amazonaws.com; add it" in wrong["role trust"]
    assert (
        f"{ROLE} may not do s3:PutObject on arn:aws:s3:::photos/jobs/*; add what iam_policy()"
        in wrong["role permissions"]
    )
    assert "PyTorch 9.9" in wrong["training image"]
    assert "pulls images of its own region only" in wrong["inference image"]
    assert "'ml.g5.xlarge for endpoint usage' is 0 in eu-west-1, and 1 are needed" in wrong["quota"]
    with pytest.raises(PreflightError, match="8 checks failed, and nothing was submitted:") as caught:
        report.raise_for_errors()
    assert pickle.loads(pickle.dumps(caught.value)).report == report


def test_without_credentials_there_is_nothing_else_to_ask(stubbed, tmp_path):
    """The data set, which is here, is looked at all the same."""
    stubbed.stub("sts").add_client_error(
        "get_caller_identity", "ExpiredToken", "expired", http_status_code=403
    )
    report = preflight(stubbed, role=ROLE, dataset=DatasetSpec(source=tmp_path), training=TRAINING)
    assert _statuses(report) == {"credentials": "error", "data set": "error"}
    assert "expired" in _message(report, "credentials")


@pytest.mark.parametrize(
    ("compute", "tuning", "quotas"),
    [
        ({}, None, {"'ml.g5.xlarge for training job usage' is 2, 1 needed": "ok"}),
        ({}, TuningSpec(max_jobs=3, max_parallel_jobs=3), {"and 3 are needed": "error"}),
        ({"instance_count": 3, "distribution": "torchrun"}, None, {"and 3 are needed": "error"}),
        ({"spot": True}, None, {"'ml.g5.xlarge for spot training job usage' is 1, 1 needed": "ok"}),
        (
            {"keep_alive_seconds": 60},
            None,
            {"job usage' is 2, 1 needed": "ok", "warm pool usage' is 0": "error"},
        ),
        (
            {"instance_type": "ml.p9.xlarge"},
            None,
            {"has no 'ml.p9.xlarge for training job usage'": "unknown"},
        ),
    ],
)
def test_the_quota_is_that_of_the_use(account, stubbed, compute, tuning, quotas):
    """Spot, warm pools, several instances and several jobs at a time have limits of their own."""
    _quotas(stubbed)
    spec = TrainingSpec(compute=ComputeSpec(**{"instance_type": "ml.g5.xlarge", **compute}))
    found = list(spec_checks.quotas(Quotas(stubbed), account, spec, None, tuning))
    assert [check.status for check in found] == list(quotas.values())
    for check, part in zip(found, quotas, strict=True):
        assert part in check.message


@pytest.mark.parametrize(
    ("caller", "status"),
    [
        (f"arn:aws:iam::{ACCOUNT}:root", "warning"),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/x", "unknown"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/dogs/me", "ok"),
    ],
)
def test_every_kind_of_caller_is_dealt_with(stubbed, caller, status):
    """Roles are asked about by their own ARN; of root and federated users IAM tells nothing."""
    _caller(stubbed, caller)
    asked = answer_iam(stubbed, ROLES)
    _bucket(stubbed)
    _quotas(stubbed)
    report = preflight(stubbed, role=ROLE, bucket="photos", training=TRAINING)
    assert _statuses(report)["caller permissions"] == status
    assert {principal for principal, _, _ in asked} == {ROLE}


def test_a_default_bucket_that_is_missing_is_no_trouble(stubbed):
    """It is made when it is needed; a named one must be there."""
    for name in (None, "photos"):
        _caller(stubbed)
        answer_iam(stubbed, ROLES)
        stubbed.stub("s3").add_client_error("head_bucket", "404", "none", http_status_code=404)
        report = preflight(stubbed, role=ROLE, bucket=name)
        assert _statuses(report)["bucket"] == ("ok" if name is None else "error")


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("https://example.com/dogs.zip", "ok"),
        ("https:///dogs.zip", "error"),
        ("https://[::1/dogs.zip", "error"),
        ("https://host:port/dogs.zip", "error"),
        ("ftp://example.com/dogs.zip", "error"),
    ],
)
def test_a_url_is_looked_at_and_not_fetched(source, status):
    """Only its shape can be checked without a download."""
    report = preflight(Clients(boto_session), role=ROLE, dataset=DatasetSpec(source=source))
    assert _statuses(report)["data set"] == status


def test_conditions_are_met_in_what_iam_is_asked(stubbed):
    """A policy with conditions is asked about with values that fulfil them, page after page."""
    statement = {
        "Action": ["s3:ListBucket"],
        "Resource": ["arn:aws:s3:::photos"],
        "Condition": {
            "StringLike": {"s3:prefix": ["data", "data/*"]},
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/a"]},
            "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"},
        },
    }
    asked = {
        "PolicySourceArn": ROLE,
        "ActionNames": ["s3:ListBucket"],
        "ResourceArns": ["arn:aws:s3:::photos"],
        "ContextEntries": [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": kind}
            for key, value, kind in (
                ("s3:prefix", "data", "string"),
                ("kms:ResourceAliases", "alias/a", "stringList"),
                ("iam:PassedToService", "sagemaker.amazonaws.com", "string"),
            )
        ],
    }
    specific = [
        {"EvalResourceName": "arn:aws:s3:::photos", "EvalResourceDecision": "explicitDeny"},
        {"EvalResourceName": "arn:aws:s3:::others", "EvalResourceDecision": "allowed"},
    ]
    one = {
        "EvalActionName": "s3:ListBucket",
        "EvalDecision": "explicitDeny",
        "ResourceSpecificResults": specific,
    }
    iam = stubbed.stub("iam")
    iam.add_response(
        "simulate_principal_policy", {"EvaluationResults": [one], "IsTruncated": True, "Marker": "2"}, asked
    )
    two = {"EvalActionName": "s3:GetObject", "EvalDecision": "implicitDeny"}
    iam.add_response("simulate_principal_policy", {"EvaluationResults": [two]}, {**asked, "Marker": "2"})
    assert denied_actions(stubbed, ROLE, {"Statement": [statement]}) == (
        "s3:GetObject",
        "s3:ListBucket on arn:aws:s3:::photos",
    )


def test_an_archive_is_recognised_by_its_content(account, tmp_path):
    """Whatever its name is; what is inside is looked at in the upload."""
    (tmp_path / "page.zip").write_text("<html>please log in</html>")
    with tarfile.open(tmp_path / "dogs", "w:gz"):
        pass
    with pytest.raises(DatasetError, match="no zip or tar file but a web page"):
        list(spec_checks.dataset(DatasetSpec(source=tmp_path / "page.zip")))
    (check,) = spec_checks.dataset(DatasetSpec(source=tmp_path / "dogs", sha256="0" * 64))
    assert (check.status, check.name) == ("ok", "data set")


def test_a_role_that_does_not_exist_is_one_error_among_the_checks(stubbed):
    """By its name nothing is found, by its ARN there is nothing to look at; the rest is checked."""
    for role, failing in (("dogs", "role"), (ROLE, "role trust")):
        _caller(stubbed)
        answer_iam(stubbed, {})
        _bucket(stubbed)
        report = preflight(stubbed, role=role, bucket="photos")
        assert _statuses(report)[failing] == "error"
        assert "there is no" in _message(report, failing)
        assert _statuses(report)["bucket"] == "ok"


def test_trouble_on_the_way_is_unknown_not_wrong(stubbed):
    """A service that is busy says nothing about what is checked."""
    _caller(stubbed)
    answer_iam(stubbed, ROLES)
    stubbed.stub("s3").add_client_error("head_bucket", "SlowDown", "later", http_status_code=503)
    stubbed.stub("service-quotas").add_client_error("list_service_quotas", "InternalFailure", "sorry")
    report = preflight(stubbed, role=ROLE, bucket="photos", training=TRAINING)
    assert _message(report, "bucket") == "could not be checked: SlowDown: later"
    assert _message(report, "quota") == "could not be checked: InternalFailure: sorry"
    assert report.ok


def test_the_data_sets_own_bucket_is_checked_too(stubbed):
    """Both buckets are looked up, and both are in what the role must be able to read."""
    _caller(stubbed)
    asked = answer_iam(stubbed, ROLES)
    for name in ("photos", "dogs"):
        expected = {"Bucket": name, "ExpectedBucketOwner": ACCOUNT}
        stubbed.stub("s3").add_response("head_bucket", {"BucketRegion": REGION}, expected)
    _quotas(stubbed)
    dataset = DatasetSpec(source="https://example.com/dogs.zip", bucket="dogs")
    report = preflight(stubbed, role=ROLE, bucket="photos", training=TRAINING, dataset=dataset)
    assert report.ok, str(report)
    assert [check.message for check in report.checks if check.name == "bucket"] == [
        "photos in eu-west-1",
        "dogs in eu-west-1",
    ]
    assert (ROLE, "s3:GetObject", "arn:aws:s3:::dogs/data/*") in asked


@pytest.mark.parametrize("answer", [{}, {"Arn": "d" * 20, "Account": ACCOUNT}, {"Arn": USER}])
def test_an_answer_that_names_nobody_is_no_account(stubbed, answer):
    """Without an account number no owner could be checked."""
    stubbed.stub("sts").add_response("get_caller_identity", answer)
    with pytest.raises(AccountError, match="does not say whose credentials"):
        identify(stubbed)
