"""A tuning whose trials all run in one training job: watched, stopped, and its results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sagemaker_dogbreed.container.hparams import TUNING, read_tuning
from sagemaker_dogbreed.errors import JobError, SpecError
from sagemaker_dogbreed.jobs.calls import reported, with_fresh_credentials
from sagemaker_dogbreed.jobs.logs import LogReader
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.training_job import ModelArtifact, TrainingJob
from sagemaker_dogbreed.jobs.trials import objective_of
from sagemaker_dogbreed.jobs.trouble import kind_of
from sagemaker_dogbreed.jobs.tuning_job import TuningJob
from sagemaker_dogbreed.jobs.tuning_progress import Progress, TuningBar, trials_at_most
from sagemaker_dogbreed.jobs.tuning_results import Trial, TuningResults, Value
from sagemaker_dogbreed.store.interface import Store

_TRIAL = re.compile(r"(?:\[[^\]]*\] )?Trial (\{.*\})")


class SingleJobTuning:
    """A handle on a tuning in one training job; made by ``Session.tune`` and ``Session.tuning_job``.

    It has what the handle of a tuning job has, and ``job``, the training job's own.
    """

    def __init__(self, name: str, clients: Any, poller: Poller, store: Store | None = None) -> None:
        self.name = name
        self.job = TrainingJob(name, clients, poller, store)
        self._clients = clients

    def __repr__(self) -> str:
        return f"SingleJobTuning({self.name!r})"

    def _repr_html_(self) -> str:
        from sagemaker_dogbreed.analysis.report.job_card import tuning_card

        return tuning_card(self.name, self.status, self.results)

    def describe(self) -> dict[str, Any]:
        """Return DescribeTrainingJob's answer, with what native rules have found.

        Raises:
            JobError: There is no training job of this name, or SageMaker refuses to tell.
        """
        return self.job.describe()

    @property
    def status(self) -> str:
        """InProgress, Completed, Failed, Stopping or Stopped."""
        return self.job.status

    def wait(self, timeout_seconds: float | None = None, *, progress: bool = True) -> SingleJobTuning:
        """Wait until the search has ended well, and return the handle.

        Args:
            timeout_seconds: How long to wait; None waits as long as it takes.
            progress: Show on one line the trials done, the best so far and the time left.

        Raises:
            JobFailedError: The job failed; with its reason, traceback, last log lines and next step.
            JobStoppedError: It was stopped before a trial had ended.
            WaitTimeoutError: The time passed, or AWS refused the credentials for too long; the job goes on.
            JobError: A permission is missing, or there is no such job.
        """
        trials: dict[str, Trial] = {}
        with TuningBar(self.name, show=progress) as bar:
            for answer, lines in self.job.watch(timeout_seconds, logs=True):
                trials |= _told(lines)
                config = _config(answer, self.name)
                results = TuningResults(objective_of(self.name, _as_tuning(config)), trials.values())
                bar.show(_progress(config, results))
        self.job.result()
        return self

    def stop(self) -> SingleJobTuning:
        """Ask the job to stop; the best of the trials that have ended becomes its model.

        Raises:
            JobError: There is no such job, or SageMaker refuses.
        """
        self.job.stop()
        return self

    @property
    def results(self) -> TuningResults:
        """The trials that have ended so far, whether the search has ended or not.

        Raises:
            JobError: There is no such job, it is no tuning, or its log cannot be read.
        """
        objective = objective_of(self.name, _as_tuning(_config(self.describe(), self.name)))
        reader = LogReader.of_job(self._clients, self.name)
        with reported(
            JobError, f"tuning {self.name!r} has a log that cannot be read", missing="it has no log"
        ):
            lines = with_fresh_credentials(self._clients, reader.new_lines)
        return TuningResults(objective, _told(lines).values())

    @property
    def best_hyperparameters(self) -> Mapping[str, Value]:
        """What the best trial so far was given; for ``TrainingSpec.with_hyperparameters``.

        Raises:
            JobError: No trial has completed, or SageMaker refuses to tell.
        """
        return self.results.best_hyperparameters

    @property
    def best_training_job_name(self) -> str:
        """The name of the training job, whose model is the best trial's."""
        return self.name

    @property
    def best_model(self) -> ModelArtifact:
        """The model of the best trial; raises like ``TrainingJob.result``."""
        return self.job.model


Tuning = TuningJob | SingleJobTuning
"""A handle on a search, however it is run."""


def attach_tuning(name: str, clients: Any, poller: Poller, store: Store | None = None) -> Tuning:
    """Return the handle of a search, a tuning job's where there is one of this name.

    Raises:
        JobError: There is no search of this name, or SageMaker refuses to tell.
    """
    handle = TuningJob(name, clients, poller)
    try:
        handle.describe()
    except JobError as error:
        if error.__cause__ is None or kind_of(error.__cause__) != "missing":
            raise
        single = SingleJobTuning(name, clients, poller, store)
        try:
            _config(single.describe(), name)
        except JobError as other:
            raise error from other
        return single
    return handle


def _config(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    try:
        return read_tuning((answer.get("HyperParameters") or {}).get(TUNING, ""))
    except ValueError as error:
        raise JobError(
            f"training job {name!r} runs no tuning; session.training_job({name!r}) is its handle"
        ) from error


def _as_tuning(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"HyperParameterTuningJobConfig": config}


def _told(lines: Iterable[str]) -> dict[str, Trial]:
    """Return the trials that a log tells of, by name; of one told twice, after a restart, the later."""
    found = {}
    for line in lines:
        match = _TRIAL.fullmatch(line.strip())
        if match is None:
            continue
        try:
            trial = Trial(**json.loads(match.group(1)))
        except (ValueError, TypeError, SpecError, RecursionError):
            continue  # a line that only looks like one
        found[trial.name] = trial
    return found


def _progress(config: Mapping[str, Any], results: TuningResults) -> Progress:
    done, total = len(results), trials_at_most(config)
    seconds_left = None
    if done and total is not None:
        # The first trial waits for the pass over the data; what is left goes at the pace of the later ones.
        later = [trial.seconds or 0 for trial in results.trials[1:]] or [results.trials[0].seconds or 0]
        seconds_left = sum(later) / len(later) * max(0, total - done)
    return Progress(
        done=done,
        running=0 if done == total else 1,
        total=total,
        metric=results.objective.metric,
        best=results.best.value if results.best else None,
        seconds_left=seconds_left,
    )
