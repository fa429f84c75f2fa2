"""Names of what the library creates."""

from __future__ import annotations

import datetime as dt
import re
import secrets

from sagemaker_dogbreed.specs.compute import NAME_PATTERN

MAX_NAME_LENGTH = 63
MAX_TUNING_NAME_LENGTH = 32
"""The names of a tuning job's trials begin with its own."""

NAME_RULE = "names have 1 to 63 letters, digits and dashes, and begin with a letter or digit"


def is_resource_name(name: object) -> bool:
    """Whether SageMaker may have a job or an endpoint of this name.

    >>> is_resource_name("dogs-2"), is_resource_name("../dogs")
    (True, False)
    """
    return isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) is not None


def is_tuning_job_name(name: object) -> bool:
    """Whether SageMaker may have a tuning job of this name.

    >>> is_tuning_job_name("dogs-2"), is_tuning_job_name("d" * 33)
    (True, False)
    """
    return is_resource_name(name) and len(str(name)) <= MAX_TUNING_NAME_LENGTH


def unique_name(base: str, now: dt.datetime | None = None, *, longest: int = MAX_NAME_LENGTH) -> str:
    """Return a SageMaker resource name of at most 63 characters, or fewer, that has not been used before.

    >>> import datetime
    >>> name = unique_name("dog breeds", datetime.datetime(2026, 5, 1, 12, 30, 59))
    >>> name.rpartition("-")[0]
    'dog-breeds-20260501-123059'
    """
    now = dt.datetime.now(dt.UTC) if now is None else now
    suffix = f"-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    stem = re.sub(r"[^a-zA-Z0-9]+", "-", base).strip("-") or "job"
    return stem[: longest - len(suffix)].rstrip("-") + suffix
