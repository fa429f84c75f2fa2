"""A hyperparameter tuning job: submitted, watched, stopped, and its results."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sagemaker_dogbreed.errors import JobError, JobFailedError, JobStoppedError
from sagemaker_dogbreed.jobs.calls import explain, reported, with_fresh_credentials
from sagemaker_dogbreed.jobs.failure import tuning_failure
from sagemaker_dogbreed.jobs.logs import LogReader
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.training_job import FINAL_STATUSES, ModelArtifact, TrainingJob
from sagemaker_dogbreed.jobs.trials import list_trials, objective_of, with_metrics
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS
from sagemaker_dogbreed.jobs.tuning_progress import TuningBar, progress_of
from sagemaker_dogbreed.jobs.tuning_results import FAILED, Trial, TuningResults, Value
from sagemaker_dogbreed.requests.names import MAX_TUNING_NAME_LENGTH, NAME_RULE, is_tuning_job_name

_MOST_REASONS = 3


class TuningJob:
    """A handle on a tuning job; made by ``Session.tune`` and ``Session.tuning_job``."""

    def __init__(self, name: str, clients: Any, poller: Poller) -> None:
        if not is_tuning_job_name(name):
            raise JobError(
                f"{name!r} is not the name of a tuning job: {NAME_RULE}, {MAX_TUNING_NAME_LENGTH} at most"
            )
        self.name = name
        self._clients = clients
        self._poller = poller

    def __repr__(self) -> str:
        return f"TuningJob({self.name!r})"

    def _repr_html_(self) -> str:
        from sagemaker_dogbreed.analysis.report.job_card import tuning_card

        return tuning_card(self.name, self.status, self.results)

    def describe(self) -> dict[str, Any]:
        """Return DescribeHyperParameterTuningJob's answer as it is.

        Raises:
            JobError: There is no tuning job of this name, or SageMaker refuses to tell.
        """
        with self._reported("cannot be described"):
            return with_fresh_credentials(self._clients, self._described)

    @property
    def status(self) -> str:
        """InProgress, Completed, Failed, Stopping or Stopped."""
        return _status(self.describe())

    def wait(self, timeout_seconds: float | None = None, *, progress: bool = True) -> TuningJob:
        """Wait until the search has ended well, and return the handle.

        Credentials that expire and connections that drop do not end the wait; see ``Poller``. Nor does
        the search end with the wait, whatever ends that.

        Args:
            timeout_seconds: How long to wait; None waits as long as it takes.
            progress: Show on one line the trials done, the best so far and the time left.

        Raises:
            JobFailedError: The tuning job failed; with the reasons and a failed trial's log and next step.
            JobStoppedError: It was stopped before a trial had completed.
            WaitTimeoutError: The time passed, or AWS refused the credentials for too long; the job goes on.
            JobError: A permission is missing, or there is no such job.
        """
        answer: dict[str, Any] = {}
        with self._reported("cannot be watched"), TuningBar(self.name, show=progress) as bar:
            for answer in self._poller.watch(
                f"tuning job {self.name!r}",
                self._described,
                timeout_seconds,
                reconnect=self._clients.reconnect,
                again=f"session.tuning_job({self.name!r}).wait()",
            ):
                bar.show(progress_of(answer, dt.datetime.now(dt.UTC)))
                if _status(answer) in FINAL_STATUSES:
                    break
        self._check_end(answer)
        return self

    def stop(self) -> TuningJob:
        """Ask the search to stop, its running trials too; one that has ended is left as it is.

        Raises:
            JobError: There is no such tuning job, or SageMaker refuses.
        """
        try:
            with_fresh_credentials(self._clients, self._stop)
        except AWS_ERRORS as error:
            if self.status not in FINAL_STATUSES:
                raise JobError(f"tuning job {self.name!r} cannot be stopped: {explain(error)}") from error
        return self

    @property
    def results(self) -> TuningResults:
        """The trials as they are now, whether the search has ended or not, with all their metrics.

        Raises:
            JobError: There is no such tuning job, or SageMaker refuses to tell.
        """
        with self._reported("has trials that cannot be listed"):
            return with_fresh_credentials(self._clients, lambda: self._listed(metrics=True))

    @property
    def best_hyperparameters(self) -> Mapping[str, Value]:
        """What the best trial so far was given; for ``TrainingSpec.with_hyperparameters``.

        Raises:
            JobError: No trial has completed, or SageMaker refuses to tell.
        """
        return self._best.hyperparameters

    @property
    def best_training_job_name(self) -> str:
        """The name of the best trial's training job; raises like ``best_hyperparameters``."""
        return self._best.name

    @property
    def best_model(self) -> ModelArtifact:
        """The model that the best trial so far has trained; raises like ``best_hyperparameters``."""
        return TrainingJob(self.best_training_job_name, self._clients, self._poller).model

    @property
    def _best(self) -> Trial:
        with self._reported("has trials that cannot be listed"):
            best = with_fresh_credentials(self._clients, self._listed).best
        if best is None:
            raise JobError(
                f"tuning job {self.name!r} has no trial that completed; while it runs, wait() for it, and "
                "afterwards see why in its results"
            )
        return best

    def _named(self) -> dict[str, str]:
        return {"HyperParameterTuningJobName": self.name}

    def _described(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._clients.sagemaker.describe_hyper_parameter_tuning_job(**self._named())
        return answer

    def _stop(self) -> None:
        self._clients.sagemaker.stop_hyper_parameter_tuning_job(**self._named())

    def _listed(self, *, metrics: bool = False) -> TuningResults:
        objective = objective_of(self.name, self._described())
        trials = list_trials(self._clients, self.name)
        return TuningResults(objective, with_metrics(self._clients, trials) if metrics else trials)

    def _reported(self, what: str) -> contextlib.AbstractContextManager[None]:
        return reported(
            JobError,
            f"tuning job {self.name!r} {what}",
            missing=f"there is no tuning job {self.name!r}; is this the right session?",
        )

    def _check_end(self, answer: Mapping[str, Any]) -> None:
        status = _status(answer)
        if status == "Failed":
            raise self._failure(answer)
        if status == "Stopped" and not (answer.get("TrainingJobStatusCounters") or {}).get("Completed"):
            raise JobStoppedError(
                f"tuning job {self.name!r} was stopped before a trial had completed; tune again"
            )

    def _failure(self, answer: Mapping[str, Any]) -> JobFailedError:
        reason = str(answer.get("FailureReason") or "no reason given")
        try:
            trials = with_fresh_credentials(self._clients, lambda: list_trials(self._clients, self.name))
        except AWS_ERRORS as error:
            reason = f"{reason} (its trials cannot be listed: {explain(error)})"
            trials = ()
        failed = [trial for trial in trials if trial.status == FAILED]
        reasons = Counter(trial.failure_reason or "no reason given" for trial in failed).most_common()
        lines = [f"\n  {count} of {len(trials)} trials: {why}" for why, count in reasons[:_MOST_REASONS]]
        common = reasons[0][0] if reasons else ""
        typical = [trial for trial in failed if trial.failure_reason == common] or failed
        reader = LogReader.of_job(self._clients, typical[0].name) if typical else None
        return tuning_failure(self.name, "".join([reason, *lines]), common, reader, self._poller)


def _status(answer: Mapping[str, Any]) -> str:
    # An answer without a status, from a proxy's login page say, is no answer.
    return str(answer.get("HyperParameterTuningJobStatus") or "Unknown")
