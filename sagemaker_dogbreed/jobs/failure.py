"""Gathers what explains the end of a job or an endpoint that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagemaker_dogbreed.errors import EndpointFailedError, JobFailedError, JobStoppedError
from sagemaker_dogbreed.jobs.calls import cause_of
from sagemaker_dogbreed.jobs.diagnosis import diagnose
from sagemaker_dogbreed.jobs.logs import LogReader
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS

LOG_TAIL_LINES = 20
_READ_LINES = 1000  # searched for the traceback: the toolkit writes after it, and so do other hosts
_SETTLING_READS = 3


def job_failure(
    name: str, answer: Mapping[str, Any], reader: LogReader, poller: Poller, *, just_ended: bool
) -> JobFailedError:
    """Return the error of a failed job, from DescribeTrainingJob's answer and the log.

    Args:
        name: The job's.
        answer: DescribeTrainingJob's.
        reader: Of the job's log.
        poller: Whose ``settle_seconds`` the last lines of a job that has just ended are waited for.
        just_ended: Whether it has.
    """
    reason = str(answer.get("FailureReason") or "no reason given")
    lines = _last_lines(reader, poller, just_ended=just_ended)
    diagnosis = diagnose(reason, answer.get("SecondaryStatus"), lines)
    return JobFailedError(
        name,
        reason,
        lines[-LOG_TAIL_LINES:],
        kind=diagnosis.kind,
        next_step=diagnosis.next_step,
        traceback=diagnosis.traceback,
    )


def tuning_failure(
    name: str, reason: str, trial_reason: str, reader: LogReader | None, poller: Poller
) -> JobFailedError:
    """Return the error of a failed tuning job, explained by one of its failed trials.

    Args:
        name: The tuning job's.
        reason: What SageMaker says, and how the trials ended.
        trial_reason: FailureReason of the trial.
        reader: Of the trial's log; None where there is no such trial.
        poller: Whose ``settle_seconds`` the last lines are waited for.
    """
    lines = [] if reader is None else _last_lines(reader, poller, just_ended=False)
    diagnosis = diagnose(trial_reason or reason, None, lines)
    return JobFailedError(
        name,
        reason,
        lines[-LOG_TAIL_LINES:],
        kind=diagnosis.kind,
        next_step=diagnosis.next_step,
        traceback=diagnosis.traceback,
        what="tuning job",
    )


def endpoint_failure(name: str, answer: Mapping[str, Any], reader: LogReader) -> EndpointFailedError:
    """Return the error of an endpoint that did not come into service, from DescribeEndpoint's answer."""
    reason = str(answer.get("FailureReason") or "no reason given")
    lines = _last_lines(reader, Poller(), just_ended=False)
    diagnosis = diagnose(reason, None, lines)
    return EndpointFailedError(
        f"endpoint {name!r} is {answer.get('EndpointStatus')}: {reason}",
        reason=reason,
        log_tail=lines[-LOG_TAIL_LINES:],
        kind=diagnosis.kind,
        next_step=diagnosis.next_step,
    )


def stopped_job(name: str, answer: Mapping[str, Any]) -> JobStoppedError:
    """Return the error of a job that was stopped and left no model."""
    diagnosis = diagnose(None, answer.get("SecondaryStatus"))
    if diagnosis.kind == "unknown":
        return JobStoppedError(f"training job {name!r} was stopped before it had a model; train again")
    what = "ran out of time" if diagnosis.kind == "timeout" else "waited too long for spot instances"
    return JobStoppedError(
        f"training job {name!r} {what} before it had a model. Next step: {diagnosis.next_step} "
        f"(resume_from={name!r})"
    )


def _last_lines(reader: LogReader, poller: Poller, *, just_ended: bool) -> list[str]:
    """Return the end of the log; where it cannot be read, a line that says so: the failure comes first."""
    try:
        lines = reader.tail(_READ_LINES)
        for _ in range(_SETTLING_READS if just_ended and poller.settle_seconds else 0):
            poller.sleep(poller.settle_seconds)
            before, lines = lines, reader.tail(_READ_LINES)
            if lines == before:
                break
    except AWS_ERRORS as error:
        return [f"(the log cannot be read: {cause_of(error)})"]
    return lines
