"""The bucket: made where it is missing, closed, and never somebody else's."""

from __future__ import annotations

import pytest
from fake_aws import ACCOUNT, boto_session, deny
from moto import mock_aws

from sagemaker_dogbreed import AccountError
from sagemaker_dogbreed.aws.account import Account
from sagemaker_dogbreed.aws.bucket import check_bucket, default_bucket_name, ensure_bucket
from sagemaker_dogbreed.clients import Clients

NAME = default_bucket_name(Account(account_id=ACCOUNT, region="eu-west-1"))
OWNED = {"Bucket": NAME, "ExpectedBucketOwner": ACCOUNT}
CLOSED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_the_default_bucket_is_made_in_the_sessions_region(region):
    """It is encrypted, closed to the public and tagged; asked for again, it is the same."""
    with mock_aws():
        clients = Clients(lambda: boto_session(region))
        name = ensure_bucket(clients)
        assert name == f"sagemaker-dogbreed-{region}-{ACCOUNT}"
        assert ensure_bucket(clients) == name
        s3 = clients.client("s3")
        assert s3.head_bucket(Bucket=name)["BucketRegion"] == region
        assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"] == CLOSED
        rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
        assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [
            {"Key": "sagemaker-dogbreed:project", "Value": "sagemaker_dogbreed"}
        ]


def test_a_default_bucket_that_was_left_open_is_closed(clients):
    """A process that died after it made the bucket leaves nothing open."""
    clients.client("s3").create_bucket(
        Bucket=NAME, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    ensure_bucket(clients)
    block = clients.client("s3").get_public_access_block(Bucket=NAME)
    assert block["PublicAccessBlockConfiguration"] == CLOSED


def test_a_given_bucket_is_looked_at_and_left_as_it_is(clients):
    """Nothing of the user's bucket is changed."""
    s3 = clients.client("s3")
    s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert ensure_bucket(clients, "photos") == "photos"
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchPublicAccessBlockConfiguration"):
        s3.get_public_access_block(Bucket="photos")


def test_a_given_bucket_must_exist(clients):
    """It is not made by surprise."""
    with pytest.raises(AccountError, match=r"no bucket 'phtos': check its name"):
        ensure_bucket(clients, "phtos")


def test_a_given_bucket_must_be_in_the_sessions_region(clients):
    """The error names both regions."""
    clients.client("s3", "us-west-2").create_bucket(
        Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    with pytest.raises(AccountError, match=r"is in us-west-2, but the session in eu-west-1"):
        ensure_bucket(clients, "photos")


def _head(stub, code, *, status, **owner):
    stub.add_client_error(
        "head_bucket", code, code, http_status_code=status, expected_params={"Bucket": NAME, **owner}
    )


def test_a_squatted_name_is_refused(stubbed, account):
    """A bucket of the default name that is somebody else's is seen for what it is, and not written to."""
    stub = stubbed.stub("s3")
    _head(stub, "403", status=403, ExpectedBucketOwner=ACCOUNT)
    stub.add_response("head_bucket", {}, {"Bucket": NAME})  # open to the world, to attract
    with pytest.raises(AccountError, match=r"belongs to another account than 123456789012.*took the name"):
        ensure_bucket(stubbed, account=account)


def test_a_squatted_name_that_is_closed_is_refused_too(stubbed, account):
    """A stranger's bucket cannot be told from one without permission; both causes are named."""
    stub = stubbed.stub("s3")
    _head(stub, "403", status=403, ExpectedBucketOwner=ACCOUNT)
    _head(stub, "403", status=403)
    with pytest.raises(AccountError, match=r"belongs to another account .*or the permission s3:ListBucket"):
        ensure_bucket(stubbed, account=account)


def test_a_name_that_is_taken_between_look_and_creation_is_refused(stubbed, account):
    """The race with a squatter ends in an error too."""
    stub = stubbed.stub("s3")
    _head(stub, "404", status=404, ExpectedBucketOwner=ACCOUNT)
    stub.add_client_error("create_bucket", "BucketAlreadyExists", "taken", http_status_code=409)
    _head(stub, "403", status=403)
    with pytest.raises(AccountError, match="belongs to another account"):
        ensure_bucket(stubbed, account=account)


def test_two_processes_may_make_the_bucket_at_once(stubbed, account):
    """The one that comes second goes on with the first one's bucket."""
    stub = stubbed.stub("s3")
    _head(stub, "404", status=404, ExpectedBucketOwner=ACCOUNT)
    stub.add_client_error("create_bucket", "BucketAlreadyOwnedByYou", "yours", http_status_code=409)
    stub.add_response("head_bucket", {"ResponseMetadata": {"HTTPStatusCode": 200}}, OWNED)
    stub.add_response("put_bucket_encryption", {})
    stub.add_response("put_bucket_lifecycle_configuration", {})
    stub.add_response("put_bucket_tagging", {})
    stub.add_response("get_public_access_block", {"PublicAccessBlockConfiguration": CLOSED}, OWNED)
    assert ensure_bucket(stubbed, account=account) == NAME


def test_a_bucket_may_be_used_without_the_right_to_look_after_it(stubbed, account):
    """Not being allowed to see the access block is no reason to stop."""
    stub = stubbed.stub("s3")
    stub.add_response("head_bucket", {"BucketRegion": "eu-west-1"}, OWNED)
    stub.add_client_error("get_public_access_block", "AccessDenied", "no", http_status_code=403)
    assert ensure_bucket(stubbed, account=account) == NAME


def test_a_bucket_of_a_named_other_account_is_accepted(stubbed, account):
    """Sharing is possible, when it is meant."""
    expected = {"Bucket": "shared", "ExpectedBucketOwner": "999999999999"}
    stubbed.stub("s3").add_response("head_bucket", {"BucketRegion": "eu-west-1"}, expected)
    check_bucket(stubbed, "shared", account=account, owner="999999999999")


@pytest.mark.parametrize("operation", ["create_bucket", "put_public_access_block"])
def test_a_refused_call_names_the_bucket(stubbed, account, operation):
    """A missing permission is an error of ours, which names the bucket and the action."""
    stub = stubbed.stub("s3")
    if operation == "create_bucket":
        _head(stub, "404", status=404, ExpectedBucketOwner=ACCOUNT)
    else:
        stub.add_response("head_bucket", {}, OWNED)
        stub.add_client_error("get_public_access_block", "NoSuchPublicAccessBlockConfiguration", "none")
    deny(stub, operation, "s3:Something")
    with pytest.raises(AccountError, match=rf"{NAME}.*s3:Something"):
        ensure_bucket(stubbed, account=account)
