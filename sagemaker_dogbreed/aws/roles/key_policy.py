"""The part of policies that is about KMS keys.

https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagemaker_dogbreed.aws.account import Account
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec


def key_statements(
    account: Account, training: TrainingSpec | None, endpoint: EndpointSpec | None, bucket_key: str | None
) -> Iterator[dict[str, Any]]:
    """Yield what the execution role needs of the KMS keys that specs name: of objects, and of disks."""
    disks = [training.volume_kms_key] if training is not None else []
    disks += [endpoint.kms_key] if endpoint is not None else []
    objects = [bucket_key, training.output_kms_key if training is not None else None]
    for sid, keys, actions in (
        ("EncryptObjects", objects, ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]),
        ("EncryptDisks", disks, ["kms:CreateGrant"]),
    ):
        for number, key in enumerate(sorted({key for key in keys if key is not None}), start=1):
            yield {
                "Sid": f"{sid}{number}",
                "Effect": "Allow",
                "Action": actions,
                **key_resource(account, key),
            }


def key_resource(account: Account, key: str) -> dict[str, Any]:
    """Return the resource, and the condition, that stand for a key: an id, an alias, or an ARN of either."""
    alias = key.rpartition(":")[2]
    if alias.startswith("alias/"):
        # Policies know keys by their ids only; what is allowed by alias is a condition.
        place = key.rpartition(":")[0] if ":" in key else account.arn("kms", "")[:-1]
        return {
            "Resource": [f"{place}:key/*"],
            "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [alias]}},
        }
    return {"Resource": [key if key.startswith("arn:") else account.arn("kms", f"key/{key}")]}
