"""Says what kind of failure a job or an endpoint had, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import attrs

from sagemaker_dogbreed.jobs.tracebacks import last_traceback

_TAIL_LINES = 200
_TAIL_CHARACTERS = 100_000


@attrs.frozen(kw_only=True)
class Diagnosis:
    """What a failure is.

    ``kind`` is one of ``capacity``, ``quota``, ``access_denied``, ``out_of_memory``, ``disk_full``,
    ``no_image``, ``bad_channel``, ``health_check``, ``script_error``, ``spot``, ``timeout``,
    ``internal_error`` and ``unknown``; ``next_step`` says what to do; ``traceback`` is the last Python
    traceback in the log, or None.
    """

    kind: str
    next_step: str
    traceback: str | None = None


class _Rule(NamedTuple):
    kind: str
    pattern: str
    next_step: str


_SPOT = (
    "no spot instance was to be had, or kept, in time: raise training.compute.max_wait_seconds, choose "
    "another training.compute.instance_type, or set training.compute.spot to false; what was trained goes "
    "on from its checkpoints with resume_from= and the job's name"
)
_TIMEOUT = (
    "raise training.compute.max_runtime_seconds, and go on from the job's checkpoints with resume_from= and "
    "the job's name"
)
_OUT_OF_MEMORY = (
    "lower training.batch_size (or image_size, or num_workers), or choose a larger "
    "training.compute.instance_type"
)

# By secondary status, which says it without doubt.
_STATUSES = {
    "MaxWaitTimeExceeded": ("spot", _SPOT),
    "Interrupted": ("spot", _SPOT),
    "MaxRuntimeExceeded": ("timeout", _TIMEOUT),
}

# In the order they are tried: what SageMaker says of itself comes before what a script may have said.
_REASONS = (
    _Rule(
        "quota",
        r"ResourceLimitExceeded|service limit|service quota|LimitExceeded\b",
        "ask for more in the console's Service Quotas (the quota is named above, and applies to the account "
        "and region), wait for other jobs to end, or choose another instance_type; session.preflight() "
        "looks at quotas before anything is sent",
    ),
    _Rule(
        "capacity",
        r"CapacityError|InsufficientInstanceCapacity|[Uu]nable to provision requested|insufficient capacity"
        r"|do(?:es)? not have sufficient.{0,40}capacity|CapacityNotAvailable",
        "AWS has no such instance free at the moment: try again later, choose another instance_type (of a "
        "training job: training.compute.instance_type), or another region",
    ),
    _Rule("spot", r"MaxWaitTime|[Ss]pot.{0,60}interrupt|max wait time", _SPOT),
    _Rule(
        "access_denied",
        r"[Cc]ould not assume role|[Uu]nable to assume role|not authorized to perform: sts:AssumeRole"
        r"|role .{0,200}does not exist|not valid for the role",
        "the execution role cannot be assumed: it must exist, and its trust policy must let "
        "sagemaker.amazonaws.com assume it; session.preflight() checks both",
    ),
    _Rule(
        "no_image",
        r"RepositoryNotFound|ImageNotFound|image.{0,300}(?:does not exist|not found|cannot be pulled)"
        r"|not authorized to pull|[Ff]ailed to pull|pull.{0,40}image|ecr:(?:BatchGetImage|GetDownloadUrl)"
        r"|does not grant ecr|CannotStartContainer|CannotInspectContainer|exec format error"
        r"|no basic auth credentials",
        "the container image cannot be pulled or started: check image_uri (or framework_version), that it is "
        "in the job's region and built for its instance type, and that the role may read it from ECR "
        "(ecr:BatchGetImage, ecr:GetDownloadUrlForLayer, ecr:GetAuthorizationToken)",
    ),
    _Rule(
        "access_denied",
        r"AccessDenied|[Aa]ccess [Dd]enied|not authorized|[Uu]nauthorized|KMS\.\w+Exception|\b403\b.{0,80}"
        r"Forbidden|explicit deny",
        "the execution role, or this identity, lacks the permission named above: the bucket's policy, and "
        "that of a KMS key where one is used, must grant it too; session.preflight() tells what is missing",
    ),
    _Rule(
        "bad_channel",
        r"[Dd]ata download failed|No S3 objects|[Cc]ould not find (?:model )?data|NoSuchKey|NoSuchBucket"
        r"|input channel|S3 (?:prefix|object|URI).{0,200}(?:not found|not exist|invalid)|does not match any"
        r"|[Cc]heckpoint download failed|no such object",
        "nothing can be read at an S3 URI: check that the data set (of an endpoint: the model artifact) is "
        "still there and in the same region, and upload it again with session.upload() or train again",
    ),
    _Rule(
        "health_check",
        r"ping health check|health check",
        "the container did not answer /ping: its log says why; a model trained elsewhere, a wrong "
        "endpoint.image_uri, or too little memory (endpoint.instance_type) are the usual causes",
    ),
    _Rule("timeout", r"MaxRuntime|runtime exceeded|exceeded.{0,40}MaxRuntimeInSeconds", _TIMEOUT),
    _Rule(
        "internal_error",
        r"InternalServerError|InternalFailure|InternalError|[Ii]nternal (?:server )?error",
        "SageMaker itself failed: train again, with resume_from= and the job's name to go on from its "
        "checkpoints; training.compute.max_retries has SageMaker do it by itself",
    ),
)

# What a script or its container died of, told by the reason or by the log.
_DEATHS = (
    _Rule(
        "out_of_memory",
        r"CUDA out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|\bMemoryError\b"
        r"|DefaultCPUAllocator|[Cc]annot allocate memory|[Oo]ut[ -]of[ -]memory|OOM.?[Kk]ill"
        r"|[Ee]xit ?[Cc]ode:? ?(?:137|247|-9)\b|bus error|shared memory \(shm\)",
        _OUT_OF_MEMORY,
    ),
    _Rule(
        "disk_full",
        r"No space left on device|Disk quota exceeded|disk is full",
        "raise training.compute.volume_size_gb, or read the data with training.input_mode: FastFile",
    ),
    _Rule(
        "bad_channel",
        r"DataError: |input channels? ",
        "the data set's channels do not hold what training needs: prepare and upload it again with "
        "session.upload()",
    ),
)
_SCRIPT = r"AlgorithmError|ExecuteUserScriptError|ExitCode|[Ee]xit [Cc]ode|InstallRequirements"
_TOOLKIT = r"[Ff]ramework [Ee]rror|CannotStartContainer"
_SCRIPT_STEP = (
    "the training script failed: the traceback and the last log lines say where; after mending the cause "
    "train again; a job that had checkpoints can be gone on from with resume_from= and its name"
)
_UNKNOWN_STEP = "see the reason above, and the whole log (of a job: job.logs())"


def diagnose(
    failure_reason: str | None, secondary_status: str | None = None, log_lines: Iterable[str] = ()
) -> Diagnosis:
    """Return what a failure is, from what SageMaker and the log say.

    Args:
        failure_reason: FailureReason of a job or an endpoint, or code and message of a refused request.
        secondary_status: SecondaryStatus of a job.
        log_lines: The end of the log, oldest line first; lines of several hosts may be mixed.

    >>> diagnose("CapacityError: Unable to provision requested ML compute capacity.").kind
    'capacity'
    """
    reason = (failure_reason or "")[:_TAIL_CHARACTERS]
    lines = list(log_lines)
    traceback = last_traceback(lines)
    if secondary_status in _STATUSES:
        kind, next_step = _STATUSES[secondary_status]
        return Diagnosis(kind=kind, next_step=next_step, traceback=traceback)
    is_script = re.search(_SCRIPT, reason) is not None
    # A script may say "access denied" or "not found" of things of its own; what SageMaker or the toolkit that
    # fetches the script says is meant as it stands.
    if not is_script or re.search(_TOOLKIT, reason):
        for rule in _REASONS:
            if re.search(rule.pattern, reason):
                return Diagnosis(kind=rule.kind, next_step=rule.next_step, traceback=traceback)
    said = "\n".join([reason, *lines[-_TAIL_LINES:]])[-_TAIL_CHARACTERS:]
    for rule in _DEATHS:
        if re.search(rule.pattern, said):
            return Diagnosis(kind=rule.kind, next_step=rule.next_step, traceback=traceback)
    if is_script or traceback is not None:
        return Diagnosis(kind="script_error", next_step=_SCRIPT_STEP, traceback=traceback)
    return Diagnosis(kind="unknown", next_step=_UNKNOWN_STEP)
