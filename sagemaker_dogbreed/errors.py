"""Every error this library raises on purpose.

::

    DogbreedError
    ├── SpecError (ValueError)          a value in a spec is not acceptable
    ├── ConfigError                     a configuration file has problems; all of them are listed
    ├── DatasetError
    │   ├── DownloadError               the data set could not be fetched
    │   ├── ArchiveError                the archive is damaged or unsafe to unpack
    │   └── InspectionError             the images have problems of kind "error"; carries the report
    ├── MissingExtraError (ImportError) an optional dependency is not installed
    ├── UnsupportedError                the request is valid, but this service cannot carry it out
    ├── ImageUriError                   AWS has no container image as asked for
    ├── AccountError                    credentials, region, role or bucket cannot be had
    ├── PreflightError                  what was checked before spending is not in order; has the report
    ├── BudgetError                     what is asked may cost more than max_cost, or nobody can tell
    ├── StoreError                      an S3 location cannot be read or written
    ├── RecordingError                  what was recorded of a job cannot be read
    ├── JobError
    │   ├── JobFailedError              the job ended as Failed; carries reason and last log lines
    │   ├── JobStoppedError             the job was stopped before it had a result
    │   └── WaitTimeoutError            the caller's patience ended; the job goes on
    └── EndpointError
        ├── NameTakenError              there is an endpoint, config or model of the name already
        ├── EndpointFailedError         the endpoint did not come into service
        └── InvocationError             the endpoint refused or failed to answer a request

And one warning, ``ImagePatchWarning``: AWS no longer mends the security holes of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sagemaker_dogbreed.aws.preflight.report import PreflightReport
    from sagemaker_dogbreed.data.report import InspectionReport


class DogbreedError(Exception):
    """Base of all errors raised on purpose by this library; they survive pickling, as pools need."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[DogbreedError], arguments: tuple[Any, ...], state: dict[str, Any]) -> DogbreedError:
    # Not through __init__, which takes other arguments than the message.
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class SpecError(DogbreedError, ValueError):
    """A value in a spec is not acceptable; the message names the field and what is."""


class Problem(NamedTuple):
    """One thing wrong with a configuration file.

    ``path`` is the dotted place in the file (``training.epochs``); ``line`` is 1-based, or None
    where the value did not come from a file's line (a command-line override, say).
    """

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class ConfigError(DogbreedError):
    """A configuration has problems; all of them are in ``problems``."""

    def __init__(self, problems: Sequence[Problem], source: str = "configuration") -> None:
        self.problems = tuple(problems)
        self.source = source
        count = f"{len(self.problems)} problem" + ("s" if len(self.problems) != 1 else "")
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{source} has {count}:{lines}")


class DatasetError(DogbreedError):
    """A data set cannot be used as it is."""


class DownloadError(DatasetError):
    """The data set could not be fetched."""


class ArchiveError(DatasetError):
    """The archive is damaged, of an unknown kind, or unsafe to unpack."""


class InspectionError(DatasetError):
    """The inspection found problems of severity "error"; ``report`` holds all findings."""

    def __init__(self, message: str, report: InspectionReport) -> None:
        super().__init__(message)
        self.report = report


class MissingExtraError(DogbreedError, ImportError):
    """An optional dependency is missing; the message gives the command that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'sagemaker-dogbreed[{extra}]'"
        )


class UnsupportedError(DogbreedError):
    """The request is valid, but the service in use cannot carry it out."""


class ImageUriError(DogbreedError):
    """AWS has no container image as asked for; the message names what there is."""


class ImagePatchWarning(UserWarning):
    """AWS no longer mends the security holes of a container image."""


class AccountError(DogbreedError):
    """Something of the AWS account cannot be had: credentials, region, role or bucket."""


class PreflightError(DogbreedError):
    """Checks made before anything is spent found errors; ``report`` holds all checks."""

    def __init__(self, message: str, report: PreflightReport) -> None:
        super().__init__(message)
        self.report = report


class BudgetError(DogbreedError):
    """What is asked may cost more than the budget, or what it costs at most is not known."""


class StoreError(DogbreedError):
    """An S3 location cannot be read or written."""


class RecordingError(DogbreedError):
    """What was recorded of a job, here or by AWS, cannot be read; the message names the file."""


class JobError(DogbreedError):
    """A job did not deliver."""


class JobFailedError(JobError):
    """The training job, or tuning job, ended as Failed.

    ``reason`` is SageMaker's FailureReason; ``kind`` what that amounts to (``capacity``, ``quota``,
    ``access_denied``, ``out_of_memory``, ``script_error``, ...; see ``jobs.diagnosis``), ``next_step`` what
    to do about it; ``traceback`` the last Python traceback in the log, or None; ``log_tail`` the last log
    lines, oldest first.
    """

    def __init__(
        self,
        job_name: str,
        reason: str,
        log_tail: Sequence[str] = (),
        *,
        kind: str = "unknown",
        next_step: str = "",
        traceback: str | None = None,
        what: str = "training job",
    ) -> None:
        self.job_name, self.reason, self.log_tail = job_name, reason, tuple(log_tail)
        self.kind, self.next_step, self.traceback = kind, next_step, traceback
        parts = [f"{what} {job_name!r} failed: {reason}"]
        if traceback is not None and traceback not in "\n".join(self.log_tail):
            parts.append(f"Last traceback in the log:{_quoted(traceback.splitlines())}")
        super().__init__("\n".join([*parts, *_ending(self.log_tail, next_step)]))


class JobStoppedError(JobError):
    """The job was stopped before it had a result."""


class WaitTimeoutError(JobError):
    """The wait ended before the job did; the job itself goes on."""


class EndpointError(DogbreedError):
    """An endpoint did not deliver.

    ``remaining`` names what could not be deleted, as pairs of kind (``endpoint``, ``endpoint config``,
    ``model``) and name.
    """

    def __init__(self, message: str, *, remaining: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.remaining = tuple(remaining)


class NameTakenError(EndpointError):
    """There is an endpoint, an endpoint config or a model of the name already."""


class EndpointFailedError(EndpointError):
    """The endpoint did not come into service.

    ``reason`` is SageMaker's FailureReason; ``kind``, ``next_step`` and ``log_tail`` are as for a
    ``JobFailedError``.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        log_tail: Sequence[str] = (),
        kind: str = "unknown",
        next_step: str = "",
    ) -> None:
        self.reason, self.log_tail = reason, tuple(log_tail)
        self.kind, self.next_step = kind, next_step
        super().__init__("\n".join([message, *_ending(self.log_tail, next_step)]))


class InvocationError(EndpointError):
    """The endpoint refused a request or failed to answer it.

    ``status`` is the HTTP status the model container answered with (400 unreadable request, 413 too
    large, 415 wrong content type, 422 not usable as an image, 5xx container trouble), or None where
    no answer came; ``code`` is its machine-readable reason, such as ``"url_blocked"``.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def _ending(log_tail: Sequence[str], next_step: str) -> list[str]:
    tail = [f"Last log lines:{_quoted(log_tail)}"] if log_tail else []
    return [*tail, f"Next step: {next_step}"] if next_step else tail


def _quoted(lines: Sequence[str]) -> str:
    return "".join(f"\n  | {line}" for line in lines)
