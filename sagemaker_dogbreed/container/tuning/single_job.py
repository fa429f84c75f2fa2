"""All trials of a tuning in one training job: one start, one pass over the data."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagemaker_dogbreed.container import log, metrics
from sagemaker_dogbreed.container.debugging.watcher import Watcher
from sagemaker_dogbreed.container.environment import FailedElsewhere
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.loop import StopRequested
from sagemaker_dogbreed.container.preparation import HEAD_ONLY, Job, Prepared, Trained, prepare
from sagemaker_dogbreed.container.tuning.study import Study, Trial

STUDY_FILE = "study.json"
_FOLDER = "trials"  # among the checkpoints


class SingleJob:
    """The trials of one tuning, one after the other.

    Where several processes train together the first one asks the search, and all run its trials.
    """

    def __init__(self, job: Job, base: Hyperparameters, config: Mapping[str, Any]) -> None:
        """Prepare the tuning; see ``Study`` for the configuration and the errors."""
        self._job, self._base = job, base
        self._folder = job.environment.checkpoint_dir / _FOLDER
        self._study = Study(self._folder, job.environment.job_name, config, base.epochs)
        self._metric: str = config["HyperParameterTuningJobObjective"]["MetricName"]
        self._prepared: Prepared | None = None
        self._fell_behind = False

    def run(self) -> Trained | None:
        """Run trials until the search ends or the job is asked to stop; return the best, if there is one.

        Raises:
            TuningFailed: Trials fail, and none has succeeded.
        """
        leader = self._job.ranks.from_leader
        for kept in leader(lambda: self._study.trials):  # of before an interruption
            log.line(f"Trial {json.dumps(kept)}")
        try:
            while (trial := leader(self._study.begin)) is not None:
                trial = self._run_trial(trial)
                leader(functools.partial(self._ended, trial))
            log.line(
                f"The search has ended: {leader(lambda: self._study.ended_by) or 'all values are tried'}"
            )
        except StopRequested:
            log.line("Stop requested: trials that have ended are kept")
        return self._best()

    def _run_trial(self, trial: Trial) -> Trial:
        """Run a trial and return it as it has ended.

        Raises:
            StopRequested: The job was asked to stop meanwhile.
        """
        begun = time.monotonic()
        number = int(trial["name"].rpartition("-")[2])
        ended = {**trial, "status": "Completed"}
        try:
            wanted = dataclasses.replace(self._base, **trial["hyperparameters"])
            prepared = self._prepare(wanted)
            trainer = dataclasses.replace(
                prepared.trainer(self._checkpoints(number)),
                epoch_ended=self._falls_behind,
                watcher=Watcher.idle(),  # of hundreds of trials a record each would be too much
            )
            self._fell_behind = False
            # What an epoch tells is of interest where an epoch takes its time.
            with log.muted(prepared.on_features):
                state = trainer.fit()
                self._job.raise_if_stopped()
                measured = {**state.history[state.best_epoch - 1], **trainer.test()}
            if self._fell_behind:
                ended["status"] = "Stopped"
            ended["metrics"] = {
                name: measured[metrics.key(name)] for name in metrics.NAMES if metrics.key(name) in measured
            }
            ended["value"] = ended["metrics"][self._metric]
        except (StopRequested, FailedElsewhere):
            raise
        except Exception as error:  # one of many trials; whether too many fail is the study's to say
            ended |= {"status": "Failed", "failure_reason": f"{type(error).__name__}: {error}"[:1024]}
        return {**ended, "seconds": round(time.monotonic() - begun, 1)}

    def _prepare(self, wanted: Hyperparameters) -> Prepared:
        """Return data and network of a trial: those of the one before, as far as they are the same."""
        before = self._prepared
        if before is None or not before.on_features or _data_of(before.hyperparameters) != _data_of(wanted):
            self._prepared = None  # one network at a time
            self._prepared = prepare(self._job, wanted)
        else:
            self._prepared = before.with_hyperparameters(wanted)
        return self._prepared

    def _falls_behind(self, epoch: Mapping[str, float]) -> bool:
        """Return whether an epoch's measures are a reason to end the trial."""
        value = epoch.get(metrics.key(self._metric))
        if value is None:  # of the test split, which is measured at the end
            return False
        number = int(epoch["epoch"])
        self._fell_behind = self._job.ranks.from_leader(lambda: self._study.falls_behind(number, value))
        return self._fell_behind

    def _ended(self, trial: Trial) -> None:
        """Keep a trial, say so, and drop the checkpoints of all but the best."""
        self._study.end(trial)
        log.line(f"Trial {json.dumps(trial)}")
        best = self._study.best
        for number in range(len(self._study.trials)):
            if number != best:
                shutil.rmtree(self._checkpoints(number + 1), ignore_errors=True)

    def _best(self) -> Trained | None:
        best = self._job.ranks.from_leader(lambda: self._study.best)
        if best is None:
            return None
        trial = self._job.ranks.from_leader(lambda: self._study.trials[best])
        wanted = dataclasses.replace(self._base, **trial["hyperparameters"])
        prepared = self._prepare(wanted)
        state = self._job.ranks.from_leader(prepared.trainer(self._checkpoints(best + 1)).checkpoints.load)
        if state is None:
            raise FileNotFoundError(f"the checkpoint of the best trial, {trial['name']}, is gone")
        prepared.classifier.load_trained_state(state.best_model)
        for name, value in trial["hyperparameters"].items():
            log.line(f"Best {name}: {value}")
        for split in metrics.SPLITS:
            # Last in the log, so that SageMaker takes them for the job's own.
            measures = {
                measure: trial["metrics"][f"{split.title()} {measure}"]
                for measure in metrics.MEASURES
                if f"{split.title()} {measure}" in trial["metrics"]
            }
            log.line(metrics.format_line(split, measures))
        measured = {metrics.key(name): value for name, value in trial["metrics"].items()}
        study = self._job.ranks.from_leader(self._study.to_json)
        return Trained(prepared=prepared, state=state, metrics=measured, study=study)

    def _checkpoints(self, number: int) -> Path:
        return self._folder / f"checkpoints-{number:03}"


def _data_of(wanted: Hyperparameters) -> dict[str, str]:
    return {name: value for name, value in wanted.to_strings().items() if name not in HEAD_ONLY}
