"""Checks of what specs ask for before anything is spent: instances, data set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from sagemaker_dogbreed.aws.account import Account
from sagemaker_dogbreed.aws.preflight.report import ERROR, OK, UNKNOWN, Check
from sagemaker_dogbreed.aws.spending.quotas import ENDPOINT, SPOT, TRAINING, WARM_POOL, Quotas, quota_name
from sagemaker_dogbreed.errors import DatasetError
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec


@attrs.frozen
class _Need:
    instance_type: str
    use: str
    count: int


def quotas(
    limits: Quotas,
    account: Account,
    training: TrainingSpec | None,
    endpoint: EndpointSpec | None,
    tuning: TuningSpec | None,
) -> Iterator[Check]:
    """Look whether the account may use as many instances as are asked for.

    What is in use already is not known, and counts against the limit too.
    """
    known = limits.limits()
    for need in _needs(training, endpoint, tuning):
        quota = quota_name(need.instance_type, need.use)
        limit = known.get(quota.lower())
        if limit is None:
            yield Check("quota", UNKNOWN, f"Service Quotas has no {quota!r} in {account.region}")
        elif limit < need.count:
            yield Check(
                "quota",
                ERROR,
                f"{quota!r} is {limit:g} in {account.region}, and {need.count} are needed; request an "
                "increase in Service Quotas (it may take days), or choose another instance type",
            )
        else:
            yield Check("quota", OK, f"{quota!r} is {limit:g}, {need.count} needed")


def _needs(
    training: TrainingSpec | None, endpoint: EndpointSpec | None, tuning: TuningSpec | None
) -> Iterator[_Need]:
    if training is not None:
        compute = training.compute
        count = compute.instance_count * (tuning.jobs_at_a_time if tuning is not None else 1)
        use = SPOT if compute.spot else TRAINING
        yield _Need(compute.instance_type, use, count)
        if compute.keep_alive_seconds:
            yield _Need(compute.instance_type, WARM_POOL, count)
    if endpoint is not None:
        yield _Need(endpoint.instance_type, ENDPOINT, endpoint.instance_count)


def dataset(spec: DatasetSpec) -> Iterator[Check]:
    """Look whether the source can be a data set; nothing is downloaded, unpacked or decoded."""
    if spec.is_url:
        _check_url(spec.source)
        yield Check("data set", OK, "a URL, which is fetched at the upload")
        return
    from sagemaker_dogbreed.data import archive
    from sagemaker_dogbreed.data.fetch import fetch
    from sagemaker_dogbreed.data.layout import find_layout

    path = fetch(attrs.evolve(spec, sha256=None), Path())
    if path.is_dir():
        layout = find_layout(path)
        classes = {name for split in layout.splits.values() for name in split}
        yield Check("data set", OK, f"{path} has {len(classes)} classes")
    elif archive.recognise(path) is None:
        raise DatasetError(f"{path} is no zip or tar file{archive.guess(path)}")
    else:
        yield Check("data set", OK, f"{path} is an archive, whose contents are looked at in the upload")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise DatasetError("source is no URL that can be fetched; it must look like https://host/dogs.zip")
