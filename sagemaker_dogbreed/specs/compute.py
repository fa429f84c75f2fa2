"""What a training job runs on."""

from __future__ import annotations

import re

import attrs

from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.validation import choice, flag, number, text

INSTANCE_TYPE_PATTERN = r"ml\.[a-z0-9-]+\.[a-z0-9-]+"
NAME_PATTERN = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
LONGEST_SECONDS = 2_419_200
"""28 days, the longest that SageMaker lets a training job run."""

_SPOT_PATIENCE_SECONDS = 3600
_OWN_DISK = re.compile(r"ml\.(\w*\d\w*d\w*|g\d\w*|p[45]\w*|p6\S*|trn\d\w*)\.")


@attrs.frozen(kw_only=True)
class ComputeSpec:
    """The instances of a training job and how long it may use them.

    >>> ComputeSpec(instance_type="ml.g5.xlarge", spot=True).longest_wait_seconds
    90000
    """

    instance_type: str = text(
        "SageMaker instance type",
        default="ml.m5.xlarge",
        pattern=INSTANCE_TYPE_PATTERN,
        example="ml.g5.xlarge",
    )
    instance_count: int = number("number of instances", default=1, minimum=1, maximum=1000, whole=True)
    distribution: str = choice(
        "how several processes train together; torchrun: one process a GPU, on each instance",
        ("none", "torchrun"),
        "none",
    )
    processes_per_instance: int | None = number(
        "processes of torchrun on each instance; default: one a GPU, or one",
        default=None,
        minimum=1,
        maximum=64,
        whole=True,
    )
    volume_size_gb: int = number(
        "disk of each instance, GB", default=30, minimum=1, maximum=16384, whole=True
    )
    max_runtime_seconds: int = number(
        "the job is stopped after this time, seconds",
        default=86_400,
        minimum=1,
        maximum=LONGEST_SECONDS,
        whole=True,
    )
    spot: bool = flag("use spot instances: cheaper, but a job may be interrupted", default=False)
    max_wait_seconds: int | None = number(
        "with spot: the time a job may take in all, waiting for instances included, seconds; "
        "default: an hour more than max_runtime_seconds",
        default=None,
        minimum=1,
        maximum=LONGEST_SECONDS + _SPOT_PATIENCE_SECONDS,
        whole=True,
    )
    keep_alive_seconds: int | None = number(
        "keep the instances (a warm pool, billed) for the next job, seconds",
        default=None,
        minimum=1,
        maximum=3600,
        whole=True,
    )
    max_retries: int | None = number(
        "times a job is started again after an internal error of SageMaker",
        default=None,
        minimum=1,
        maximum=30,
        whole=True,
    )

    @property
    def longest_wait_seconds(self) -> int:
        """The longest time from start to end, seconds: with spot the waiting is included."""
        if not self.spot:
            return self.max_runtime_seconds
        return self.max_wait_seconds or self.max_runtime_seconds + _SPOT_PATIENCE_SECONDS

    @property
    def has_own_disk(self) -> bool:
        """Whether instances of this type come with a disk, which takes no key and no size."""
        return _OWN_DISK.match(self.instance_type) is not None

    def __attrs_post_init__(self) -> None:
        if self.instance_count > 1 and self.distribution == "none":
            raise SpecError(
                f"instance_count {self.instance_count} needs distribution: torchrun; without it every "
                "instance would train the same model by itself, at its own cost"
            )
        if self.processes_per_instance is not None and self.distribution == "none":
            raise SpecError("processes_per_instance needs distribution: torchrun")
        if self.max_wait_seconds is not None and not self.spot:
            raise SpecError("max_wait_seconds is for spot: true only; use max_runtime_seconds")
        if self.longest_wait_seconds < self.max_runtime_seconds:
            raise SpecError(
                f"max_wait_seconds ({self.max_wait_seconds}) must not be less than max_runtime_seconds "
                f"({self.max_runtime_seconds})"
            )
        if self.keep_alive_seconds is not None and self.spot:
            raise SpecError("keep_alive_seconds cannot be used with spot: true; choose one of them")
