"""Limits of Service Quotas."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from fake_aws import deny

from sagemaker_dogbreed.aws.spending.quotas import ENDPOINT, SPOT, TRAINING, WARM_POOL, Quotas


def quota(name, value):
    """Return a quota as Service Quotas writes it."""
    return {"QuotaName": name, "Value": value, "ServiceCode": "sagemaker"}


def test_the_accounts_own_limit_comes_before_awss(stubbed):
    """All pages are read, once; what neither list has is unknown."""
    stub = stubbed.stub("service-quotas")
    ours = [quota("ml.g5.xlarge for training job usage", 4.0)]
    more = [quota("ml.g5.xlarge for spot training job usage", 2.0), {"QuotaName": "odd"}, {"Value": 1.0}]
    theirs = [
        quota("ml.g5.xlarge for training job usage", 0.0),
        quota("ml.g5.xlarge for training warm pool usage", 0.0),
    ]
    stub.add_response("list_service_quotas", {"Quotas": ours, "NextToken": "more"})
    stub.add_response("list_service_quotas", {"Quotas": more})
    stub.add_response("list_aws_default_service_quotas", {"Quotas": theirs})
    quotas = Quotas(stubbed)
    limits = [quotas.limit("ml.g5.xlarge", use) for use in (TRAINING, SPOT, WARM_POOL, ENDPOINT)]
    assert limits == [4, 2, 0, None]


def test_a_refusal_is_unknown(stubbed):
    """Whoever needs the reason asks for all limits, and gets it."""
    for _ in range(2):
        deny(stubbed.stub("service-quotas"), "list_service_quotas", "servicequotas:ListServiceQuotas")
    quotas = Quotas(stubbed)
    assert quotas.limit("ml.g5.xlarge", TRAINING) is None
    with pytest.raises(ClientError, match="servicequotas:ListServiceQuotas"):
        quotas.limits()
