"""The session's bucket: made where it is missing, and never somebody else's.

Bucket names are the world's, so that anybody can take the name that this library would choose and
receive what is written to it. Every call names the account that must own the bucket
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html).
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from sagemaker_dogbreed.aws.account import Account, identify
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError
from sagemaker_dogbreed.jobs.calls import reported
from sagemaker_dogbreed.jobs.trouble import details
from sagemaker_dogbreed.requests.tags import PROJECT, PROJECT_VALUE

_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_UNFINISHED = {  # parts of uploads that were broken off are in no listing, but on the bill
    "ID": "unfinished-uploads",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}
_MISSING = ("404", "NoSuchBucket", "NotFound")
_DENIED = ("403", "AccessDenied", "Forbidden")


def default_bucket_name(account: Account) -> str:
    """Return the name of the bucket that is used where none is given.

    >>> default_bucket_name(Account(account_id="123456789012", region="eu-west-1"))
    'sagemaker-dogbreed-eu-west-1-123456789012'
    """
    return f"sagemaker-dogbreed-{account.region}-{account.account_id}"


def ensure_bucket(
    clients: Clients, name: str | None = None, *, account: Account | None = None, owner: str | None = None
) -> str:
    """Return the name of a bucket that can be used; the default one is made where it is missing.

    A new bucket is encrypted, closed to the public, and rid of unfinished uploads after a week. Calling
    it again, or in several processes at once, ends the same.

    Args:
        clients: Where.
        name: A bucket that exists; None for the default one.
        account: Whose credentials are in use; default: asked from AWS.
        owner: Account that owns the named bucket, 12 digits; default: the caller's own.

    Raises:
        AccountError: The bucket does not exist, belongs to somebody else, or is in another region; or S3
            refuses a call.
    """
    account = account or identify(clients)
    if name is not None:
        check_bucket(clients, name, account=account, owner=owner)
        return name
    name = default_bucket_name(account)
    s3 = clients.client("s3")
    region = _region(s3, name, account.account_id)
    if region is None:
        _create(s3, name, account)
    else:
        _check_region(name, region, account)
    _close(s3, name, account.account_id)
    return name


def check_bucket(
    clients: Clients, name: str, *, account: Account | None = None, owner: str | None = None
) -> None:
    """Check that a bucket exists, belongs to whom it should, and is in the session's region.

    Raises:
        AccountError: It does not; the message says what is wrong, and the way out.
    """
    account = account or identify(clients)
    region = _region(clients.client("s3"), name, owner or account.account_id)
    if region is None:
        raise AccountError(
            f"there is no bucket {name!r}: check its name, create it, or leave it out to have one made"
        )
    _check_region(name, region, account)


def _region(s3: Any, name: str, owner: str) -> str | None:
    """Return where a bucket of this owner is, empty where S3 does not say; None where there is none."""
    with reported(AccountError, f"bucket {name!r} cannot be looked up"):
        try:
            answer = s3.head_bucket(Bucket=name, ExpectedBucketOwner=owner)
        except ClientError as error:
            code = details(error)[0]
            if code in _MISSING:
                return None
            if code in _DENIED:
                raise AccountError(_not_ours(s3, name, owner)) from error
            raise
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or "")


def _not_ours(s3: Any, name: str, owner: str) -> str:
    """Return why a bucket is refused: S3 gives one answer to strangers and to those without permission."""
    is_default = name.startswith("sagemaker-dogbreed-")
    way_out = (
        "Somebody took the name that this library would use; give a bucket of your own with bucket=..."
        if is_default
        else "If it is meant, give its account with bucket_owner=..., else another bucket"
    )
    try:
        s3.head_bucket(Bucket=name)
    except ClientError:
        return (
            f"bucket {name!r} cannot be used: it belongs to another account than {owner}, or the permission "
            f"s3:ListBucket for it is missing. {way_out}"
        )
    return f"bucket {name!r} belongs to another account than {owner} and is not used. {way_out}"


def _check_region(name: str, region: str, account: Account) -> None:
    if region and region != account.region:
        raise AccountError(
            f"bucket {name!r} is in {region}, but the session in {account.region}; SageMaker reads buckets "
            f"of its own region only: use a session in {region}, or a bucket in {account.region}"
        )


def _create(s3: Any, name: str, account: Account) -> None:
    # S3 knows its first region only as the default.
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": account.region}}
    place: dict[str, Any] = {} if account.region == "us-east-1" else elsewhere
    owned = {"Bucket": name, "ExpectedBucketOwner": account.account_id}
    with reported(AccountError, f"bucket {name!r} was not created"):
        try:
            s3.create_bucket(Bucket=name, **place)
        except ClientError as error:
            code = details(error)[0]
            if code == "BucketAlreadyExists":
                raise AccountError(_not_ours(s3, name, account.account_id)) from error
            if code not in ("BucketAlreadyOwnedByYou", "OperationAborted"):
                raise
        s3.get_waiter("bucket_exists").wait(**owned, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        # Without a key of its own: S3's, which costs nothing.
        encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(**owned, ServerSideEncryptionConfiguration={"Rules": [encryption]})
        s3.put_bucket_lifecycle_configuration(**owned, LifecycleConfiguration={"Rules": [_UNFINISHED]})
        s3.put_bucket_tagging(**owned, Tagging={"TagSet": [{"Key": PROJECT, "Value": PROJECT_VALUE}]})


def _close(s3: Any, name: str, owner: str) -> None:
    """Block all public access, unless it is blocked already."""
    owned = {"Bucket": name, "ExpectedBucketOwner": owner}
    try:
        blocked = s3.get_public_access_block(**owned)["PublicAccessBlockConfiguration"]
    except ClientError as error:
        if details(error)[0] in _DENIED:
            return  # to use the bucket takes less than to look after it
        blocked = {}
    if any(not blocked.get(key) for key in _BLOCKED):
        with reported(AccountError, f"bucket {name!r} cannot be closed to the public"):
            s3.put_public_access_block(**owned, PublicAccessBlockConfiguration=_BLOCKED)
