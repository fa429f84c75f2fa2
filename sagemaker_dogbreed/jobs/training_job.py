"""A training job: submitted, watched, stopped, and its result."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from sagemaker_dogbreed.container import metrics
from sagemaker_dogbreed.errors import JobError
from sagemaker_dogbreed.jobs.calls import explain, reported, with_fresh_credentials
from sagemaker_dogbreed.jobs.failure import job_failure, stopped_job
from sagemaker_dogbreed.jobs.logs import LogReader
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.recorded_job import RecordedJob, told_statuses
from sagemaker_dogbreed.jobs.transitions import TransitionReader
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS
from sagemaker_dogbreed.requests.names import NAME_RULE, is_resource_name
from sagemaker_dogbreed.store.interface import Store

FINAL_STATUSES = ("Completed", "Failed", "Stopped")


@attrs.frozen(kw_only=True)
class ModelArtifact:
    """A trained model: the ``s3://`` URI of its model.tar.gz, and the job that made it, if known."""

    uri: str
    job_name: str | None = None


@attrs.frozen(kw_only=True)
class TrainingResult:
    """What a training job delivered.

    ``metrics`` maps the names in ``sagemaker_dogbreed.container.metrics.NAMES`` (``"Test Loss"``,
    ``"Test Top-1"``, ...) to their last value; ``seconds`` is the time SageMaker bills, of each
    instance, ``training_seconds`` the time the job ran; ``checkpoint_uri`` is where its checkpoints are.
    """

    job_name: str
    status: str
    model: ModelArtifact
    metrics: Mapping[str, float]
    seconds: int | None
    training_seconds: int | None = None
    checkpoint_uri: str | None = None

    @property
    def spot_savings(self) -> float | None:
        """The share of the time that was not billed, 0 to 1, as on spot instances; None if not known.

        >>> times = {"seconds": 30, "training_seconds": 120}
        >>> model = ModelArtifact(uri="s3://bucket/model.tar.gz")
        >>> TrainingResult(job_name="a", status="Completed", model=model, metrics={}, **times).spot_savings
        0.75
        """
        if self.seconds is None or not self.training_seconds:
            return None
        return max(0.0, 1 - self.seconds / self.training_seconds)

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"{self.job_name}: {self.status}; {values or 'no metrics'}"


class TrainingJob(RecordedJob):
    """A handle on a training job; made by ``Session.train`` and ``Session.training_job``."""

    def __init__(self, name: str, clients: Any, poller: Poller, store: Store | None = None) -> None:
        """Name the job; without a store its records cannot be read."""
        if not is_resource_name(name):
            handle = " (that is a handle, which has a name)" if isinstance(name, TrainingJob) else ""
            raise JobError(f"{name!r}{handle} is not the name of a training job: {NAME_RULE}")
        self.name = name
        self._clients = clients
        self._poller = poller
        self._store = store

    def __repr__(self) -> str:
        return f"TrainingJob({self.name!r})"

    def _repr_html_(self) -> str:
        from sagemaker_dogbreed.analysis.report.job_card import job_card

        answer = self.describe()
        return job_card(answer, _metrics(answer), told_statuses(answer))

    def describe(self) -> dict[str, Any]:
        """Return DescribeTrainingJob's answer, with what native rules have found.

        Raises:
            JobError: There is no training job of this name, or SageMaker refuses to tell.
        """
        with self._reported("cannot be described"):
            answer = with_fresh_credentials(self._clients, self._described)
        return self._with_statuses(answer)

    @property
    def status(self) -> str:
        """InProgress, Completed, Failed, Stopping or Stopped."""
        with self._reported("cannot be described"):
            return _status(with_fresh_credentials(self._clients, self._described))

    def wait(self, timeout_seconds: float | None = None, *, logs: bool = False) -> TrainingJob:
        """Wait until the job has ended well, and return the handle.

        Credentials that expire and connections that drop do not end the wait; see ``Poller``.

        Args:
            timeout_seconds: How long to wait; None waits as long as it takes.
            logs: Print the job's log lines and changes of its secondary status as they come.

        Raises:
            JobFailedError: The job failed; with its reason, traceback, last log lines and next step.
            JobStoppedError: The job was stopped and left no model.
            WaitTimeoutError: The time passed, or AWS refused the credentials for too long; the job goes on.
            JobError: A permission is missing, or there is no such job.
        """
        transitions = TransitionReader()
        last: dict[str, Any] = {}
        for last, lines in self.watch(timeout_seconds, logs=logs):
            for line in (*transitions.new_lines(last), *lines) if logs else ():
                print(line, flush=True)  # noqa: T201 - the caller asked for it
        self._result(last, just_ended=True)
        return self

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """Yield the log lines so far; with ``follow``, go on until the job has ended.

        Lines of several instances are merged by time, each behind its host: ``[algo-2] ...``.

        Raises:
            JobError: There is no such job, or its log cannot be read.
        """
        if follow:
            for _, lines in self.watch(None, logs=True):
                yield from lines
            return
        self.describe()
        reader = LogReader.of_job(self._clients, self.name)
        with self._reported("has a log that cannot be read"):
            lines = with_fresh_credentials(self._clients, reader.new_lines)
        yield from lines

    def stop(self) -> TrainingJob:
        """Ask the job to stop (SIGTERM, then a grace period); a job that has ended is left as it is.

        Raises:
            JobError: There is no such job, or SageMaker refuses.
        """
        try:
            with_fresh_credentials(
                self._clients, lambda: self._clients.sagemaker.stop_training_job(TrainingJobName=self.name)
            )
        except AWS_ERRORS as error:
            if self.status not in FINAL_STATUSES:
                raise JobError(f"training job {self.name!r} cannot be stopped: {explain(error)}") from error
        return self

    def result(self) -> TrainingResult:
        """Return what the job delivered; a stopped job that left a model has a result too.

        Raises:
            JobFailedError: The job failed.
            JobStoppedError: The job was stopped and left no model.
            JobError: The job has not ended yet.
        """
        return self._result(self.describe(), just_ended=False)

    @property
    def model(self) -> ModelArtifact:
        """The trained model; raises like ``result``."""
        return self.result().model

    def _described(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._clients.sagemaker.describe_training_job(TrainingJobName=self.name)
        return answer

    def _reported(self, what: str) -> contextlib.AbstractContextManager[None]:
        return reported(
            JobError,
            f"training job {self.name!r} {what}",
            missing=f"there is no training job {self.name!r}; is this the right session?",
        )

    def watch(
        self, timeout_seconds: float | None, *, logs: bool
    ) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Yield the job's description and its new log lines, until both have come to their end.

        Raises:
            WaitTimeoutError: The time passed, or AWS refused the credentials for too long; the job goes on.
            JobError: A permission is missing, or there is no such job.
        """
        what = f"training job {self.name!r}"
        reader = LogReader.of_job(self._clients, self.name)

        def look() -> tuple[dict[str, Any], list[str]]:
            # The status is read before the log, so that no line is missed at the end.
            return self._described(), reader.new_lines() if logs else []

        with self._reported("cannot be watched"):
            for answer, lines in self._poller.watch(
                what,
                look,
                timeout_seconds,
                reconnect=self._clients.reconnect,
                again=f"session.training_job({self.name!r}).wait()",
            ):
                yield answer, lines
                if _status(answer) in FINAL_STATUSES:
                    break
            if logs:
                yield from ((answer, [line]) for line in reader.late_lines(what, self._poller))

    def _result(self, answer: Mapping[str, Any], *, just_ended: bool) -> TrainingResult:
        status = _status(answer)
        if status == "Failed":
            reader = LogReader.of_job(self._clients, self.name)
            raise job_failure(self.name, answer, reader, self._poller, just_ended=just_ended)
        if status not in FINAL_STATUSES:
            raise JobError(f"training job {self.name!r} is still {status}; call wait() first")
        uri = (answer.get("ModelArtifacts") or {}).get("S3ModelArtifacts")
        if not uri:
            raise stopped_job(self.name, answer)
        return TrainingResult(
            job_name=self.name,
            status=status,
            model=ModelArtifact(uri=uri, job_name=self.name),
            metrics=_metrics(answer),
            seconds=answer.get("BillableTimeInSeconds"),
            training_seconds=answer.get("TrainingTimeInSeconds"),
            checkpoint_uri=(answer.get("CheckpointConfig") or {}).get("S3Uri"),
        )


def _metrics(answer: Mapping[str, Any]) -> dict[str, float]:
    final = {
        metric.get("MetricName"): metric.get("Value") for metric in answer.get("FinalMetricDataList", ())
    }
    return {name: final[name] for name in metrics.NAMES if final.get(name) is not None}


def _status(answer: Mapping[str, Any]) -> str:
    # An answer without a status, from a proxy's login page say, is no answer.
    return str(answer.get("TrainingJobStatus") or "Unknown")
