"""The least that the execution role of jobs and endpoints must be allowed to do, for exactly what specs use.

https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sagemaker_dogbreed.aws.account import Account
from sagemaker_dogbreed.aws.roles.key_policy import key_statements
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.network import NetworkSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.store.location import parse_s3_uri

Statement = dict[str, Any]
Policy = dict[str, Any]

VERSION = "2012-10-17"
CODE, WEIGHTS, JOBS = "code", "weights", "jobs"
"""The prefixes of the session's bucket beside the data's: code of jobs, weights files, what jobs write."""

_ECR = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)")
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def trust_policy() -> Policy:
    """Return the policy that lets SageMaker, and nobody else, take on a role.

    It has no condition on the source account: a role can only be handed to SageMaker by somebody of
    its own account who has iam:PassRole for it.
    """
    principal = {"Service": "sagemaker.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": VERSION, "Statement": [statement]}


def execution_policy(
    account: Account,
    bucket: str,
    *,
    training: TrainingSpec | None = None,
    endpoint: EndpointSpec | None = None,
    dataset: DatasetSpec | None = None,
    images: Iterable[str] = (),
    model_uri: str | None = None,
    bucket_kms_key: str | None = None,
) -> Policy:
    """Return what the execution role needs for these specs, and no more.

    Args:
        account: Where it runs.
        bucket: The session's bucket.
        training: The training job; None where none is run.
        endpoint: The endpoint; None where none is created.
        dataset: Where a training job's data is; None for the default prefix of the session's bucket.
        images: URIs of the container images; those of ECR are made readable.
        model_uri: An endpoint's model artifact, where it is not one of the session's own jobs'.
        bucket_kms_key: KMS key by which the buckets' objects are encrypted.
    """
    reads, writes = _locations(bucket, training, endpoint, dataset, model_uri)
    statements = [
        *_s3(account, reads, writes),
        *_watching(account, training is not None, endpoint is not None),
        *_ecr(account, images),
        *_vpc(account, [spec.network for spec in (training, endpoint) if spec is not None]),
        *key_statements(account, training, endpoint, bucket_kms_key),
    ]
    return {"Version": VERSION, "Statement": statements}


def _locations(
    bucket: str,
    training: TrainingSpec | None,
    endpoint: EndpointSpec | None,
    dataset: DatasetSpec | None,
    model_uri: str | None,
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the buckets and prefixes that are read, and those that are written too."""
    reads: list[tuple[str, str]] = []
    writes: list[tuple[str, str]] = []
    if training is not None:
        source = dataset or DatasetSpec(source="-")
        reads += [(source.bucket or bucket, source.prefix.strip("/")), (bucket, CODE)]
        weights = training.weights_source
        if weights is not None:
            of_s3 = weights.startswith("s3://")
            reads.append(_place(weights) if of_s3 else (bucket, WEIGHTS))
        writes.append((bucket, JOBS))
    if endpoint is not None:
        reads.append((bucket, JOBS) if model_uri is None else _place(model_uri))
    return [place for place in dict.fromkeys(reads) if place not in writes], writes


def _place(uri: str) -> tuple[str, str]:
    bucket, key = parse_s3_uri(uri)
    return bucket, key.strip("/")


def _s3(
    account: Account, reads: Sequence[tuple[str, str]], writes: Sequence[tuple[str, str]]
) -> Iterable[Statement]:
    def objects(places: Iterable[tuple[str, str]]) -> list[str]:
        # A place may be one object, or a folder of objects.
        return [
            f"arn:{account.partition}:s3:::{bucket}/{end}"
            for bucket, prefix in places
            for end in ([prefix, f"{prefix}/*"] if "." in prefix.rpartition("/")[2] else [f"{prefix}/*"])
        ]

    if reads or writes:
        yield {
            "Sid": "ReadObjects",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": objects([*reads, *writes]),
        }
    if writes:
        yield {
            "Sid": "WriteObjects",
            "Effect": "Allow",
            "Action": ["s3:AbortMultipartUpload", "s3:PutObject"],
            "Resource": objects(writes),
        }
    for number, bucket in enumerate(dict.fromkeys(bucket for bucket, _ in [*reads, *writes]), start=1):
        prefixes = [prefix for of_bucket, prefix in [*reads, *writes] if of_bucket == bucket]
        yield {
            "Sid": f"ListBucket{number}",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": [f"arn:{account.partition}:s3:::{bucket}"],
            "Condition": {
                "StringLike": {"s3:prefix": [end for prefix in prefixes for end in (prefix, f"{prefix}/*")]}
            },
        }


def _watching(account: Account, trains: bool, serves: bool) -> Iterable[Statement]:
    groups = ["TrainingJobs"] * trains + ["Endpoints"] * serves
    if groups:
        yield {
            "Sid": "WriteLogs",
            "Effect": "Allow",
            "Action": [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            "Resource": [account.arn("logs", f"log-group:/aws/sagemaker/{group}*") for group in groups],
        }
        yield {
            "Sid": "WriteMetrics",
            "Effect": "Allow",
            "Action": ["cloudwatch:PutMetricData"],
            "Resource": "*",  # the action knows no resources
            "Condition": {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*"]}},
        }


def _ecr(account: Account, images: Iterable[str]) -> Iterable[Statement]:
    repositories = {
        f"arn:{account.partition}:ecr:{match[2]}:{match[1]}:repository/{match[3]}"
        for match in map(_ECR.match, images)
        if match is not None
    }
    if repositories:
        # A token is not of a repository.
        yield {
            "Sid": "SignInToECR",
            "Effect": "Allow",
            "Action": ["ecr:GetAuthorizationToken"],
            "Resource": "*",
        }
        yield {
            "Sid": "PullImages",
            "Effect": "Allow",
            "Action": list(_PULL),
            "Resource": sorted(repositories),
        }


def _vpc(account: Account, networks: Iterable[NetworkSpec | None]) -> Iterable[Statement]:
    used = [network for network in networks if network is not None and network.subnets]
    if not used:
        return
    interfaces = account.arn("ec2", "network-interface/*")
    # Subnets and security groups may be shared by another account.
    shared = f"arn:{account.partition}:ec2:{account.region}:*"
    subnets = sorted({f"{shared}:subnet/{name}" for network in used for name in network.subnets})
    groups = sorted(
        {f"{shared}:security-group/{name}" for network in used for name in network.security_group_ids}
    )
    yield {
        "Sid": "JoinVPC",
        "Effect": "Allow",
        "Action": ["ec2:CreateNetworkInterface"],
        "Resource": [interfaces, *subnets, *groups],
    }
    yield {
        "Sid": "UseNetworkInterfaces",
        "Effect": "Allow",
        "Action": [
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteNetworkInterfacePermission",
        ],
        "Resource": [interfaces],
    }
    yield {
        "Sid": "SeeVPC",
        "Effect": "Allow",
        "Action": [
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ],
        "Resource": "*",  # describing knows no resources
    }
