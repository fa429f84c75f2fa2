"""What the caller of the library must be allowed to do: one table, a row for each API call.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_sagemaker.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from sagemaker_dogbreed.aws.account import Account
from sagemaker_dogbreed.aws.roles.key_policy import key_resource
from sagemaker_dogbreed.aws.roles.policy import VERSION, Policy
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec

VERBS = (
    *("upload", "train", "tune", "download", "deploy", "predict"),
    *("resources", "sweep", "plan", "preflight", "setup"),
)
"""What a caller does: the session's verbs; ``setup`` finds or makes bucket and role."""


@attrs.frozen
class Permission:
    """An API call the library makes, the action that allows it, and on what.

    Attributes:
        verbs: Those of ``VERBS`` that make the call.
        service: Name of boto3's client.
        operation: As the API names it: ``CreateTrainingJob``.
        action: As policies name it: ``sagemaker:CreateTrainingJob``.
        resource: Key of the resources it is asked for: ``training-job``, ``bucket``, ``*`` for all.
    """

    verbs: tuple[str, ...]
    service: str
    operation: str
    action: str
    resource: str = "*"


_TABLE = """
sts                GetCallerIdentity            *                upload,train,tune,download,deploy,resources,sweep,plan,preflight,setup
s3                 HeadBucket                   bucket           upload,train,tune,preflight,setup  s3:ListBucket
s3                 ListObjectsV2                bucket           upload,train,tune             s3:ListBucket
s3                 GetObject                    objects          upload,train,tune,download
s3                 HeadObject                   objects          upload,train,tune,download    s3:GetObject
s3                 PutObject                    objects          upload,train,tune
s3                 CreateMultipartUpload        objects          upload,train,tune             s3:PutObject
s3                 UploadPart                   objects          upload,train,tune             s3:PutObject
s3                 CompleteMultipartUpload      objects          upload,train,tune             s3:PutObject
s3                 AbortMultipartUpload         objects          upload,train,tune
s3                 CopyObject                   objects          upload                        s3:PutObject
sagemaker          CreateTrainingJob            training-job     train,tune
sagemaker          DescribeTrainingJob          training-job     train,tune,resources,sweep
sagemaker          StopTrainingJob              training-job     train,tune,sweep
sagemaker          CreateHyperParameterTuningJob tuning-job      tune
sagemaker          DescribeHyperParameterTuningJob tuning-job    tune
sagemaker          ListTrainingJobsForHyperParameterTuningJob tuning-job tune
sagemaker          StopHyperParameterTuningJob tuning-job        tune,sweep
sagemaker          AddTags                      tagged           train,tune,deploy
iam                PassRole                     role             train,tune,deploy
logs               DescribeLogStreams           logs             train,tune
logs               GetLogEvents                 logs             train,tune
sagemaker          CreateModel                  model            deploy
sagemaker          CreateEndpointConfig         endpoint-config  deploy
sagemaker          CreateEndpoint               endpoint         deploy
sagemaker          CreateEndpoint               endpoint-config  deploy
sagemaker          DescribeModel                model            deploy
sagemaker          DescribeEndpointConfig       endpoint-config  deploy,resources,sweep
sagemaker          DescribeEndpoint             endpoint         deploy,resources,sweep
sagemaker          DeleteModel                  model            deploy,sweep
sagemaker          DeleteEndpointConfig         endpoint-config  deploy,sweep
sagemaker          DeleteEndpoint               endpoint         deploy,sweep
sagemaker-runtime  InvokeEndpoint               endpoint         predict                       sagemaker:InvokeEndpoint
sagemaker          ListEndpoints                *                resources,sweep
sagemaker          ListEndpointConfigs          *                resources,sweep
sagemaker          ListModels                   *                resources,sweep
sagemaker          ListTrainingJobs             *                resources,sweep
sagemaker          ListHyperParameterTuningJobs *                resources,sweep
sagemaker          ListTags                     tagged           resources,sweep
sagemaker          UpdateTrainingJob            training-job     sweep
pricing            GetProducts                  *                resources,plan
service-quotas     ListServiceQuotas            *                preflight                     servicequotas:ListServiceQuotas
service-quotas     ListAWSDefaultServiceQuotas  *                preflight                     servicequotas:ListAWSDefaultServiceQuotas
iam                SimulatePrincipalPolicy      role             preflight
iam                GetRole                      role             preflight,setup
sagemaker          DescribeNotebookInstance     studio           setup
sagemaker          DescribeUserProfile          studio           setup
sagemaker          DescribeDomain               studio           setup
iam                CreateRole                   role             setup
iam                TagRole                      role             setup
iam                ListRoleTags                 role             setup
iam                UpdateAssumeRolePolicy       role             setup
iam                ListAttachedRolePolicies     role             setup
iam                AttachRolePolicy             role             setup
iam                DetachRolePolicy             role             setup
iam                GetRolePolicy                role             setup
iam                PutRolePolicy                role             setup
iam                DeleteRolePolicy             role             setup
s3                 CreateBucket                 bucket           setup
s3                 PutBucketTagging             bucket           setup
s3                 PutBucketEncryption          bucket           setup  s3:PutEncryptionConfiguration
s3                 PutBucketLifecycleConfiguration bucket        setup  s3:PutLifecycleConfiguration
s3                 GetPublicAccessBlock         bucket           setup  s3:GetBucketPublicAccessBlock
s3                 PutPublicAccessBlock         bucket           setup  s3:PutBucketPublicAccessBlock
"""  # noqa: E501 - a table

# AddTags and PassRole are no calls of ours: SageMaker asks for them where a request has tags or names a
# role. Where no action is given it is named as the operation is.


def _permission(line: str) -> Permission:
    service, operation, resource, verbs, *action = line.split()
    name = action[0] if action else f"{service}:{operation}"
    return Permission(tuple(verbs.split(",")), service, operation, name, resource)


PERMISSIONS: tuple[Permission, ...] = tuple(map(_permission, _TABLE.strip().splitlines()))
"""Every call to AWS that the library makes, and what it takes."""


def caller_policy(
    account: Account,
    bucket: str,
    role: str,
    *,
    verbs: Iterable[str] = VERBS,
    buckets: Iterable[str] = (),
    kms_keys: Iterable[str] = (),
) -> Policy:
    """Return what a caller needs for some verbs, on one bucket and with one execution role.

    Args:
        account: Where.
        bucket: The session's bucket.
        role: ARN of the execution role.
        verbs: Some of ``VERBS``.
        buckets: Further buckets, of data sets say.
        kms_keys: Keys of endpoints' disks, which SageMaker uses in the caller's name.
    """
    wanted = set(verbs)
    by_resource: dict[str, set[str]] = {}
    for permission in PERMISSIONS:
        if wanted & set(permission.verbs):
            by_resource.setdefault(permission.resource, set()).add(permission.action)
    arns = _resources(account, [bucket, *buckets], role)
    statements: list[dict[str, Any]] = []
    for resource, actions in by_resource.items():
        # A role is handed to SageMaker and to nothing else; the condition would void the other actions.
        passed = actions & {"iam:PassRole"}
        if passed:
            condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
            statements.append(_statement("PassRole", passed, arns[resource]) | {"Condition": condition})
        if actions - passed:
            statements.append(_statement(f"Use {resource}", actions - passed, arns[resource]))
    statements += [
        {
            "Sid": f"GrantKey{number}",
            "Effect": "Allow",
            "Action": ["kms:CreateGrant", "kms:DescribeKey"],
            **key_resource(account, key),
        }
        for number, key in enumerate(dict.fromkeys(kms_keys), start=1)
    ]
    return {"Version": VERSION, "Statement": statements}


def verbs_of(
    training: TrainingSpec | None, endpoint: EndpointSpec | None, tuning: TuningSpec | None = None
) -> tuple[str, ...]:
    """Return the verbs that carry out specs.

    >>> verbs_of(TrainingSpec(), None)
    ('upload', 'train')
    """
    return (
        *(("upload", "train") if training is not None else ()),
        *(("tune",) if tuning is not None else ()),
        *(("deploy", "predict") if endpoint is not None else ()),
    )


def _statement(sid: str, actions: Iterable[str], resources: Any) -> dict[str, Any]:
    name = "".join(part[0].upper() + part[1:] for part in sid.replace("*", "all").replace("-", " ").split())
    return {"Sid": name, "Effect": "Allow", "Action": sorted(actions), "Resource": resources}


def _resources(account: Account, buckets: Iterable[str], role: str) -> dict[str, Any]:
    kinds = ("training-job", "hyper-parameter-tuning-job", "model", "endpoint-config", "endpoint")
    of_kind = {kind: [account.arn("sagemaker", f"{kind}/*")] for kind in kinds}
    bucket_arns = [f"arn:{account.partition}:s3:::{name}" for name in dict.fromkeys(buckets)]
    return {
        "*": "*",  # what these actions ask for is no resource
        **of_kind,
        "tuning-job": of_kind["hyper-parameter-tuning-job"],
        "tagged": [arn for arns in of_kind.values() for arn in arns],
        "bucket": bucket_arns,
        "objects": [f"{arn}/*" for arn in bucket_arns],
        "studio": [
            account.arn("sagemaker", f"{kind}/*") for kind in ("notebook-instance", "user-profile", "domain")
        ],
        "logs": [account.arn("logs", "log-group:/aws/sagemaker/TrainingJobs*")],
        "role": [role],
    }
