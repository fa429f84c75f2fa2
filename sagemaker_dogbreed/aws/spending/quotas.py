"""How many instances of a type an account may use at a time, from Service Quotas.

https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS

TRAINING = "training job usage"
SPOT = "spot training job usage"
WARM_POOL = "training warm pool usage"
ENDPOINT = "endpoint usage"


def quota_name(instance_type: str, use: str) -> str:
    """Return what Service Quotas calls the limit.

    >>> quota_name("ml.g5.xlarge", SPOT)
    'ml.g5.xlarge for spot training job usage'
    """
    return f"{instance_type} for {use}"


class Quotas:
    """An account's limits, read once; safe to share between threads."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._lock = threading.Lock()
        self._limits: dict[str, float] | None = None

    def limits(self) -> Mapping[str, float]:
        """Return all limits of SageMaker by their names, lower case: the account's own, else AWS's.

        Raises:
            ClientError: The permission servicequotas:ListServiceQuotas is missing, say.
            BotoCoreError: There is no answer.
        """
        with self._lock:
            if self._limits is None:
                own = self._read("list_service_quotas")
                self._limits = self._read("list_aws_default_service_quotas") | own
            return self._limits

    def limit(self, instance_type: str, use: str) -> float | None:
        """Return how many instances may be used at a time; None where that is not known.

        Args:
            instance_type: As in ``ml.m5.large``.
            use: ``TRAINING``, ``SPOT``, ``WARM_POOL`` or ``ENDPOINT``.
        """
        try:
            return self.limits().get(quota_name(instance_type, use).lower())
        except AWS_ERRORS:
            return None

    def _read(self, operation: str) -> dict[str, float]:
        pages = (
            self._clients.client("service-quotas")
            .get_paginator(operation)
            .paginate(ServiceCode="sagemaker", PaginationConfig={"PageSize": 100})
        )
        quotas: list[dict[str, Any]] = [quota for page in pages for quota in page.get("Quotas", [])]
        return {
            str(quota["QuotaName"]).lower(): float(quota["Value"])
            for quota in quotas
            if "QuotaName" in quota and isinstance(quota.get("Value"), int | float)
        }
