"""A training job: submitted, watched, stopped, and its result."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from botocore.exceptions import ClientError, ParamValidationError

from sagemaker_dogbreed.container import metrics
from sagemaker_dogbreed.errors import JobError, JobFailedError, JobStoppedError
from sagemaker_dogbreed.jobs.logs import LogReader
from sagemaker_dogbreed.jobs.missing import is_missing
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.requests.names import NAME_RULE, is_resource_name

FINAL_STATUSES = ("Completed", "Failed", "Stopped")
LOG_TAIL_LINES = 20


@attrs.frozen(kw_only=True)
class ModelArtifact:
    """A trained model: the ``s3://`` URI of its model.tar.gz, and the job that made it, if known."""

    uri: str
    job_name: str | None = None


@attrs.frozen(kw_only=True)
class TrainingResult:
    """What a training job delivered.

    ``metrics`` maps the names in ``sagemaker_dogbreed.container.metrics.NAMES`` (``"Test Loss"``,
    ``"Test Top-1"``, ...) to their last value; ``seconds`` is the time SageMaker bills.
    """

    job_name: str
    status: str
    model: ModelArtifact
    metrics: Mapping[str, float]
    seconds: int | None

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"{self.job_name}: {self.status}; {values or 'no metrics'}"


def submit(sagemaker: Any, request: Mapping[str, Any]) -> None:
    """Send a CreateTrainingJob request.

    Raises:
        JobError: SageMaker refused it; with its reason.
    """
    try:
        sagemaker.create_training_job(**request)
    except (ClientError, ParamValidationError) as error:
        raise JobError(f"training job {request['TrainingJobName']!r} was not created: {error}") from error


class TrainingJob:
    """A handle on a training job; made by ``Session.train`` and ``Session.training_job``."""

    def __init__(self, name: str, clients: Any, poller: Poller) -> None:
        if not is_resource_name(name):
            raise JobError(f"{name!r} is not the name of a training job: {NAME_RULE}")
        self.name = name
        self._clients = clients
        self._poller = poller

    def __repr__(self) -> str:
        return f"TrainingJob({self.name!r})"

    def describe(self) -> dict[str, Any]:
        """Return DescribeTrainingJob's answer as it is.

        Raises:
            JobError: There is no training job of this name, or SageMaker refuses to tell.
        """
        try:
            answer: dict[str, Any] = self._clients.sagemaker.describe_training_job(TrainingJobName=self.name)
        except ClientError as error:
            if is_missing(error):
                raise JobError(
                    f"there is no training job {self.name!r}; is this the right session?"
                ) from error
            raise JobError(f"training job {self.name!r} cannot be described: {error}") from error
        return answer

    @property
    def status(self) -> str:
        """InProgress, Completed, Failed, Stopping or Stopped."""
        return str(self.describe()["TrainingJobStatus"])

    def wait(self, timeout_seconds: float | None = None, *, logs: bool = False) -> TrainingJob:
        """Wait until the job has ended well, and return the handle.

        Args:
            timeout_seconds: How long to wait; None waits as long as it takes.
            logs: Print the job's log lines as they come.

        Raises:
            JobFailedError: The job failed; with its reason and last log lines.
            JobStoppedError: The job was stopped and left no model.
            WaitTimeoutError: The time passed; the job goes on.
        """
        reader = LogReader(self._clients.logs, self.name) if logs else None

        def ended() -> bool:
            # The status is read before the log, so that no line is missed at the end.
            is_final = self.status in FINAL_STATUSES
            if reader is not None:
                for line in reader.new_lines():
                    print(line, flush=True)  # noqa: T201 - the caller asked for it
            return is_final

        self._poller.wait(f"training job {self.name!r}", ended, timeout_seconds)
        self.result()
        return self

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """Yield the log lines so far; with ``follow``, go on until the job has ended."""
        reader = LogReader(self._clients.logs, self.name)
        while True:
            is_final = self.status in FINAL_STATUSES or not follow
            yield from reader.new_lines()
            if is_final:
                return
            self._poller.sleep(self._poller.interval_seconds)

    def stop(self) -> TrainingJob:
        """Ask the job to stop (SIGTERM, then a grace period); a job that has ended is left as it is."""
        try:
            self._clients.sagemaker.stop_training_job(TrainingJobName=self.name)
        except ClientError as error:
            if self.status not in FINAL_STATUSES:
                raise JobError(f"training job {self.name!r} cannot be stopped: {error}") from error
        return self

    def result(self) -> TrainingResult:
        """Return what the job delivered; a stopped job that left a model has a result too.

        Raises:
            JobFailedError: The job failed.
            JobStoppedError: The job was stopped and left no model.
            JobError: The job has not ended yet.
        """
        answer = self.describe()
        status = answer["TrainingJobStatus"]
        if status == "Failed":
            tail = collections.deque(self.logs(), maxlen=LOG_TAIL_LINES)
            raise JobFailedError(self.name, answer.get("FailureReason", "no reason given"), tail)
        if status not in FINAL_STATUSES:
            raise JobError(f"training job {self.name!r} is still {status}; call wait() first")
        uri = answer.get("ModelArtifacts", {}).get("S3ModelArtifacts")
        if not uri:
            if answer.get("SecondaryStatus") == "MaxRuntimeExceeded":
                raise JobStoppedError(
                    f"training job {self.name!r} ran out of time before it had a model: raise "
                    "training.compute.max_runtime_seconds, and go on from its checkpoints with "
                    f"train(..., resume_from={self.name!r})"
                )
            raise JobStoppedError(
                f"training job {self.name!r} was stopped before it had a model; train again"
            )
        final = {metric["MetricName"]: metric["Value"] for metric in answer.get("FinalMetricDataList", ())}
        return TrainingResult(
            job_name=self.name,
            status=status,
            model=ModelArtifact(uri=uri, job_name=self.name),
            metrics={name: final[name] for name in metrics.NAMES if name in final},
            seconds=answer.get("BillableTimeInSeconds"),
        )

    @property
    def model(self) -> ModelArtifact:
        """The trained model; raises like ``result``."""
        return self.result().model
