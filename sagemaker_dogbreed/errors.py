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
    ├── StoreError                      an S3 location cannot be read or written
    ├── JobError
    │   ├── JobFailedError              the job ended as Failed; carries reason and last log lines
    │   ├── JobStoppedError             the job was stopped before it had a result
    │   └── WaitTimeoutError            the caller's patience ended; the job goes on
    └── EndpointError
        ├── EndpointFailedError         the endpoint did not come into service
        └── InvocationError             the endpoint refused or failed to answer a request
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
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


class StoreError(DogbreedError):
    """An S3 location cannot be read or written."""


class JobError(DogbreedError):
    """A job did not deliver."""


class JobFailedError(JobError):
    """The job ended as Failed.

    ``reason`` is SageMaker's FailureReason; ``log_tail`` the last log lines, oldest first.
    """

    def __init__(self, job_name: str, reason: str, log_tail: Sequence[str] = ()) -> None:
        self.job_name, self.reason, self.log_tail = job_name, reason, tuple(log_tail)
        tail = "".join(f"\n  | {line}" for line in self.log_tail)
        last_lines = f"\nLast log lines:{tail}" if tail else ""
        super().__init__(f"training job {job_name!r} failed: {reason}{last_lines}")


class JobStoppedError(JobError):
    """The job was stopped before it had a result."""


class WaitTimeoutError(JobError):
    """The wait ended before the job did; the job itself goes on."""


class EndpointError(DogbreedError):
    """An endpoint did not deliver."""


class EndpointFailedError(EndpointError):
    """The endpoint did not come into service; the message carries SageMaker's FailureReason."""


class InvocationError(EndpointError):
    """The endpoint refused a request or failed to answer it.

    ``status`` is the HTTP status the model container answered with (400 unreadable request, 413 too
    large, 415 wrong content type, 422 not usable as an image, 5xx container trouble), or None where
    no answer came; ``code`` is its machine-readable reason, such as ``"url_blocked"``.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code
