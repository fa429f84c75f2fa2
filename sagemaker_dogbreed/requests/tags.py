"""The tags by which everything this library made is found again, and known for what it is."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

from sagemaker_dogbreed.specs.aws_fields import TAG_PREFIX

PROJECT = f"{TAG_PREFIX}project"
RUN = f"{TAG_PREFIX}run"
SPEC = f"{TAG_PREFIX}spec"
EXPIRES = f"{TAG_PREFIX}expires"
DATASET = f"{TAG_PREFIX}dataset"

PROJECT_VALUE = "sagemaker_dogbreed"
NEVER = "never"

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@attrs.frozen(kw_only=True)
class Origin:
    """What the tags of a resource tell.

    ``run`` names the training job that a resource belongs to (or the endpoint, where it has none);
    ``expires`` is the moment after which it may be deleted, None for never.
    """

    run: str
    spec_hash: str
    expires: dt.datetime | None = None
    dataset_version: str | None = None

    def tags(self, own: Mapping[str, str]) -> list[dict[str, str]]:
        """Return the ``Tags`` of a request: the library's, then the user's own."""
        marks = {
            PROJECT: PROJECT_VALUE,
            RUN: self.run,
            SPEC: self.spec_hash,
            EXPIRES: NEVER if self.expires is None else f"{self.expires.astimezone(dt.UTC):{_FORMAT}}",
            **({} if self.dataset_version is None else {DATASET: self.dataset_version}),
        }
        return [{"Key": key, "Value": value} for key, value in {**own, **marks}.items()]


def spec_hash(spec: Any) -> str:
    """Return 16 hex digits that are the same for equal specs, today and in later processes.

    >>> from sagemaker_dogbreed.specs.endpoint import EndpointSpec
    >>> spec_hash(EndpointSpec()) == spec_hash(EndpointSpec(top_k=5)) != spec_hash(EndpointSpec(top_k=3))
    True
    """
    values = attrs.asdict(spec, value_serializer=_plain)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(_spec: object, _field: object, value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def expiry(marks: Mapping[str, str]) -> dt.datetime | None:
    """Return when a resource with these tags expires; None for never, or where its tag cannot be read.

    >>> expiry({EXPIRES: "2026-05-01T12:00:00Z"})
    datetime.datetime(2026, 5, 1, 12, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        return dt.datetime.strptime(marks.get(EXPIRES, ""), _FORMAT).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
