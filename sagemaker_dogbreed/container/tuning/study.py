"""The trials of a tuning that one training job runs: on disk as they begin and end, so that none is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagemaker_dogbreed.container.files import write_json
from sagemaker_dogbreed.container.hparams import parse
from sagemaker_dogbreed.container.tuning.completion import FUTILE, criterion
from sagemaker_dogbreed.container.tuning.configuration import is_minimized, most_trials, new_search
from sagemaker_dogbreed.container.tuning.search import Search, Suggestion

Trial = dict[str, Any]
"""A trial: ``name``, ``status``, ``hyperparameters`` (those searched), ``value``, ``seconds``,
``failure_reason``, ``metrics`` by name."""


class TuningFailed(Exception):  # noqa: N818 - SageMaker's word
    """No trial has an objective; the message says why."""


class Study:
    """The trials so far, and the search that says what comes next.

    A trial that was cut off is tried again with the values it had.
    """

    def __init__(self, folder: Path, job_name: str, config: Mapping[str, Any], epochs: int) -> None:
        """Read the trials that ended before an interruption.

        Args:
            folder: Where each trial has a file.
            job_name: Trials' names begin with it.
            config: SageMaker's HyperParameterTuningJobConfig.
            epochs: Of a trial that is not stopped.

        Raises:
            ValueError: The search cannot be as it is described.
        """
        self.config = config
        self.minimize = is_minimized(config)
        self.trials: list[Trial] = []
        self._folder, self._job_name = folder, job_name
        self._search: Search = new_search(config, epochs)
        self._most = most_trials(config)
        self._begun = time.monotonic()
        self._cut_off: Trial | None = None
        for path in sorted(folder.glob("trial-*.json")) if folder.is_dir() else ():
            trial: Trial = json.loads(path.read_text(encoding="utf-8"))
            if trial["status"] == "InProgress":
                self._cut_off = trial
                break
            self.trials.append(trial)
            self._search.add(_texts(trial), trial["value"])

    @property
    def ended_by(self) -> str | None:
        """The completion criterion that is met, or None."""
        if len(self.trials) >= self._most:
            return "MaxNumberOfTrainingJobs"
        earlier = sum(trial["seconds"] for trial in self.trials)
        seconds = max(time.monotonic() - self._begun, earlier)
        values = [trial["value"] for trial in self.trials if trial["value"] is not None]
        return criterion(self.config, values, seconds)

    @property
    def best(self) -> int | None:
        """The number of the best trial that completed, or None."""
        known = [
            (trial["value"] if self.minimize else -trial["value"], number)
            for number, trial in enumerate(self.trials)
            if trial["status"] == "Completed"
        ]
        return min(known)[1] if known else None

    def begin(self) -> Trial | None:
        """Return the next trial, or None where a criterion is met or a Grid is used up.

        Raises:
            TuningFailed: Trials fail, and none has succeeded.
        """
        suggestion = None if self.ended_by else self._search.ask()
        if self.best is None and (len(self.trials) >= FUTILE or (self.trials and suggestion is None)):
            raise TuningFailed(
                f"no trial succeeded after {len(self.trials)} attempts; the last one: "
                f"{self.trials[-1]['failure_reason']}"
            )
        if suggestion is None:
            return None
        values = _typed(suggestion)
        if self._cut_off is not None:
            values, self._cut_off = self._cut_off["hyperparameters"], None
        trial = {
            "name": f"{self._job_name}-{len(self.trials) + 1:03}",
            "status": "InProgress",
            "hyperparameters": values,
            "value": None,
            "seconds": 0,
            "failure_reason": None,
            "metrics": {},
        }
        self._number = suggestion.number
        self._write(trial)
        return trial

    def falls_behind(self, epoch: int, value: float) -> bool:
        """Take in the running trial's objective after an epoch; return whether to stop it."""
        return self._search.report(self._number, epoch, value)

    def end(self, trial: Trial) -> None:
        """Take in how the trial that runs has ended, and keep it."""
        self._search.tell(self._number, trial["value"])
        self._write(trial)
        self.trials.append(trial)

    def to_json(self) -> dict[str, Any]:
        """Return what the model artifact holds of the study."""
        return {"config": dict(self.config), "trials": self.trials}

    def _write(self, trial: Trial) -> None:
        write_json(self._folder / f"trial-{len(self.trials) + 1:03}.json", trial)


def _typed(suggestion: Suggestion) -> dict[str, Any]:
    return {name: parse(name, text) for name, text in suggestion.values.items()}


def _texts(trial: Trial) -> dict[str, str]:
    return {name: str(value) for name, value in trial["hyperparameters"].items()}
