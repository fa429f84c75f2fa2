"""Which endpoints use which configs, and which configs which models, in the whole account."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs

from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.errors import AccountError
from sagemaker_dogbreed.jobs.calls import described, reported

_AT_A_TIME = 8


@attrs.frozen
class Usage:
    """The users of configs and of models: names of endpoints, and names of configs."""

    endpoints_by_config: Mapping[str, frozenset[str]]
    configs_by_model: Mapping[str, frozenset[str]]


def usage(clients: Clients) -> Usage:
    """Look through all endpoints and configs, this library's and others'.

    Endpoints that are being deleted use nothing any more.

    Raises:
        AccountError: SageMaker refuses to tell of one; then nothing is known to be unused.
    """
    sagemaker = clients.sagemaker
    with (
        reported(AccountError, "what endpoints use cannot be told"),
        ThreadPoolExecutor(_AT_A_TIME) as pool,
    ):
        endpoints = _names(sagemaker, "list_endpoints", "Endpoints", "EndpointName")
        configs = _names(sagemaker, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName")
        of_endpoints = pool.map(lambda name: _configs(sagemaker, name), endpoints)
        of_configs = pool.map(lambda name: _models(sagemaker, name), configs)
        return Usage(
            _turned(dict(zip(endpoints, of_endpoints, strict=True))),
            _turned(dict(zip(configs, of_configs, strict=True))),
        )


def _names(sagemaker: Any, operation: str, member: str, key: str) -> list[str]:
    pages = sagemaker.get_paginator(operation).paginate(PaginationConfig={"PageSize": 100})
    return [each[key] for page in pages for each in page.get(member, ())]


def _configs(sagemaker: Any, endpoint: str) -> set[str]:
    found = described(sagemaker.describe_endpoint, EndpointName=endpoint)
    if found.get("EndpointStatus") == "Deleting":
        return set()
    # While an endpoint is updated it uses two.
    pending = found.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
    return {name for name in (found.get("EndpointConfigName"), pending) if name}


def _models(sagemaker: Any, config: str) -> set[str]:
    found = described(sagemaker.describe_endpoint_config, EndpointConfigName=config)
    variants = [*found.get("ProductionVariants", ()), *found.get("ShadowProductionVariants", ())]
    return {variant["ModelName"] for variant in variants if variant.get("ModelName")}


def _turned(used_by: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    users: dict[str, set[str]] = {}
    for user, used in used_by.items():
        for name in used:
            users.setdefault(name, set()).add(user)
    return {name: frozenset(names) for name, names in users.items()}
