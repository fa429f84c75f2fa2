"""What SageMaker says of a failure, and what we make of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_aws import DENIED, Clock, ScriptedAws, log_page, log_streams, training_job

from sagemaker_dogbreed import EndpointFailedError, JobFailedError, TrainingJob
from sagemaker_dogbreed.jobs.diagnosis import diagnose
from sagemaker_dogbreed.jobs.tracebacks import last_traceback
from sagemaker_dogbreed.predictor import Predictor

ROLE = "arn:aws:iam::123456789012:role/r"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/dogs:latest"
REASONS = [
    (
        (
            "CapacityError: Unable to provision requested ML compute capacity. Please retry u"
            "sing a different ML instance type."
        ),
        "capacity",
        "training.compute.instance_type",
    ),
    (
        (
            "ResourceLimitExceeded: The account-level service limit 'ml.p3.2xlarge for traini"
            "ng job usage' is 0 Instances, with current utilization of 0 Instances and a requ"
            "est delta of 1 Instances."
        ),
        "quota",
        "Service Quotas",
    ),
    (
        "ClientError: Data download failed:Could not find S3 object/folder",
        "bad_channel",
        "session.upload()",
    ),
    (
        (
            'ClientError: Data download failed:No S3 objects found under S3 URL "s3://bucket/'
            'train" given in input data source.'
        ),
        "bad_channel",
        "session.upload()",
    ),
    (
        (
            "ClientError: Data download failed:AccessDenied (403): Access Denied. Please ensu"
            f're that the role "{ROLE}" exists'
        ),
        "access_denied",
        "bucket",
    ),
    (
        (
            "ClientError: Data download failed:KMS.AccessDeniedException: not authorized to p"
            "erform: kms:Decrypt"
        ),
        "access_denied",
        "KMS",
    ),
    (
        (
            f"ClientError: Cannot pull image {IMAGE}: the repository does not grant ecr:BatchG"
            "etImage to sagemaker"
        ),
        "no_image",
        "image_uri",
    ),
    (
        f"ClientError: The image '{IMAGE}' does not exist.",
        "no_image",
        "image_uri",
    ),
    (
        ("AlgorithmError: CannotStartContainerError. Please ensure the model container for variant starts"),
        "no_image",
        "image_uri",
    ),
    (
        (
            f"ValidationException: Could not assume role {ROLE}. Please ensure that the role e"
            "xists and allows principal 'sagemaker.amazonaws.com' to assume the role."
        ),
        "access_denied",
        "trust policy",
    ),
    (
        "InternalServerError: We encountered an internal error. Please try again.",
        "internal_error",
        "resume_from=",
    ),
    (
        (
            'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "ValueError: no"'
            '\nCommand "python train.py", exit code: 1'
        ),
        "script_error",
        "resume_from=",
    ),
    (
        "AlgorithmError: , exit code: 137",
        "out_of_memory",
        "batch_size",
    ),
    (
        "AlgorithmError: ExecuteUserScriptError:\nExitCode -9",
        "out_of_memory",
        "batch_size",
    ),
    (
        "AlgorithmError: OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "out_of_memory",
        "instance_type",
    ),
    (
        "AlgorithmError: OSError: [Errno 28] No space left on device",
        "disk_full",
        "volume_size_gb",
    ),
    (
        (
            "AlgorithmError: framework error: \nTraceback (most recent call last):\nbotocore.ex"
            "ceptions.ClientError: An error occurred (403) when calling the HeadObject operat"
            "ion: Forbidden"
        ),
        "access_denied",
        "bucket",
    ),
    (
        "AlgorithmError: PermissionError: Access denied: '/data/x'",
        "script_error",
        "traceback",
    ),
    (
        (
            "The primary container for production variant AllTraffic did not pass the ping he"
            "alth check. Please check CloudWatch logs for this endpoint."
        ),
        "health_check",
        "endpoint.instance_type",
    ),
    (
        ("Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."),
        "capacity",
        "instance_type",
    ),
    (
        "Something that nobody has seen before",
        "unknown",
        "job.logs()",
    ),
    (None, "unknown", "job.logs()"),
]
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "/opt/ml/code/train.py", line 3, in <module>',
    "    main()",
    "ValueError: no images",
]


@pytest.mark.parametrize(("reason", "kind", "words"), REASONS, ids=[str(row[0])[:40] for row in REASONS])
def test_each_reason_has_its_kind_and_next_step(reason, kind, words):
    """Reasons as SageMaker gives them, and the field or call that helps."""
    diagnosis = diagnose(reason)
    assert diagnosis.kind == kind
    assert words in diagnosis.next_step


@pytest.mark.parametrize(
    ("status", "kind"),
    [("MaxRuntimeExceeded", "timeout"), ("MaxWaitTimeExceeded", "spot"), ("Interrupted", "spot")],
)
def test_a_status_that_says_it_all_is_believed(status, kind):
    """The secondary status comes before any text."""
    assert diagnose("AlgorithmError: exit code: 1", status).kind == kind


def test_the_log_tells_what_the_reason_does_not():
    """An exit code alone is explained by what the script said last."""
    lines = [*TRACEBACK[:-1], "torch.OutOfMemoryError: CUDA out of memory.", "INFO reporting failure"]
    diagnosis = diagnose("AlgorithmError: ExecuteUserScriptError:\nExitCode 1", "Failed", lines)
    assert diagnosis.kind == "out_of_memory"
    assert diagnosis.traceback.endswith("torch.OutOfMemoryError: CUDA out of memory.")


def test_the_traceback_is_found_among_interleaved_hosts():
    """Lines of another host in between are left out, and so is what only reports the failure."""
    other = [f"[algo-1] epoch {number}" for number in range(4)]
    mixed = [
        line for pair in zip([f"[algo-2] {line}" for line in TRACEBACK], other, strict=True) for line in pair
    ]
    torchrun = ["[algo-2] Traceback (most recent call last):", '[algo-2]   File "/opt/conda/bin/torchrun"']
    torchrun += ["[algo-2] torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "]
    assert last_traceback([*mixed, *torchrun, "[algo-1] bye"]) == "\n".join(TRACEBACK)
    ranks = [f"[algo-1] [rank1]: {line}" for line in TRACEBACK]
    assert last_traceback(ranks) == "\n".join(TRACEBACK)


def test_a_traceback_that_is_cut_off_is_better_than_none():
    """A log may end in the middle."""
    assert last_traceback(["x", *TRACEBACK[:2]]) == "\n".join(TRACEBACK[:2])
    assert last_traceback(["nothing of that kind"]) is None


@given(st.none() | st.text(), st.none() | st.text(), st.lists(st.text() | st.sampled_from(TRACEBACK)))
def test_a_diagnosis_never_fails(reason, status, lines):
    """Any text, from any log, gets a kind and a next step."""
    diagnosis = diagnose(reason, status, lines)
    assert diagnosis.kind
    assert diagnosis.next_step


@given(st.lists(st.sampled_from([*(row[0] for row in REASONS if row[0]), "\n", "[a] "]), max_size=8))
def test_a_diagnosis_of_mixed_reasons_never_fails(parts):
    """Several reasons in one still make one diagnosis."""
    assert diagnose("".join(parts), None, parts).next_step


def _failed_job(clock=None, **changes):
    answers = {
        "DescribeTrainingJob": [training_job("Failed", FailureReason="AlgorithmError: exit code: 1")],
        "DescribeLogStreams": [log_streams("dogs/algo-1-1700000000")],
        "GetLogEvents": [log_page("t", *enumerate(TRACEBACK), *((9, f"line {i}") for i in range(30)))],
    }
    aws = ScriptedAws(**{**answers, **changes})
    return TrainingJob("dogs", aws.clients, (clock or Clock()).poller(settle_seconds=5 if clock else 0))


def test_a_failed_job_explains_itself():
    """The error has reason, kind, traceback, the last lines and the next step, and its text shows them."""
    with pytest.raises(JobFailedError) as caught:
        _failed_job().wait()
    error = caught.value
    assert (error.reason, error.kind) == ("AlgorithmError: exit code: 1", "script_error")
    assert error.traceback == "\n".join(TRACEBACK)
    assert error.log_tail[-1] == "line 29"
    assert len(error.log_tail) == 20
    for part in (error.reason, "  | ValueError: no images", "  | line 29", f"Next step: {error.next_step}"):
        assert part in str(error)


def test_the_last_lines_of_a_job_that_just_failed_are_waited_for():
    """The traceback comes some seconds after the status."""
    clock = Clock()
    pages = [{"events": [], "nextForwardToken": "t"}, log_page("t", *enumerate(TRACEBACK))]
    with pytest.raises(JobFailedError) as caught:
        _failed_job(clock, GetLogEvents=pages).wait()
    assert caught.value.traceback == "\n".join(TRACEBACK)
    assert clock.naps == [5, 5]
    with pytest.raises(JobFailedError):
        _failed_job(clock).result()
    assert clock.naps == [5, 5]


def test_a_failure_is_told_without_its_log_too():
    """No permission to read the log hides neither the reason nor the next step."""
    with pytest.raises(JobFailedError, match="exit code: 1") as caught:
        _failed_job(DescribeLogStreams=[DENIED]).wait()
    assert "cannot be read: the permission sagemaker:Frob is missing" in caught.value.log_tail[0]


def test_a_failed_endpoint_explains_itself():
    """Reason, last lines of its own log group, and what to do."""
    reason = "The primary container for production variant AllTraffic did not pass the ping health check."
    aws = ScriptedAws(
        DescribeEndpoint=[{"EndpointStatus": "Failed", "FailureReason": reason}],
        DescribeLogStreams=[log_streams("AllTraffic/i-0123")],
        GetLogEvents=[log_page("t", (1, "ImportError: no torch"))],
    )
    with pytest.raises(EndpointFailedError, match="Next step: the container did not answer") as caught:
        Predictor("dogs", aws.clients, Clock().poller()).wait()
    assert (caught.value.reason, caught.value.kind) == (reason, "health_check")
    assert caught.value.log_tail == ("ImportError: no torch",)
    assert aws.requests("DescribeLogStreams")[0] == {"logGroupName": "/aws/sagemaker/Endpoints/dogs"}
