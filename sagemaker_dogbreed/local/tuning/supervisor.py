"""The process that runs one tuning job from its record to its end.

Started with the job's folder, in a session of its own, holding the job's supervisor lock. It asks
the search for trials, starts each as an ordinary training job, which is a process of its own, and
tells the search how they end. Trials stop by themselves when this process is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from sagemaker_dogbreed.container.tuning.completion import criterion
from sagemaker_dogbreed.container.tuning.configuration import most_trials, new_search, stops_trials
from sagemaker_dogbreed.container.tuning.search import Search
from sagemaker_dogbreed.local import locks, training_jobs
from sagemaker_dogbreed.local.faults import ServiceFault
from sagemaker_dogbreed.local.records import Record, Records, State, now
from sagemaker_dogbreed.local.training_status import Tuning
from sagemaker_dogbreed.local.tuning import completion as tuning_completion
from sagemaker_dogbreed.local.tuning import request as tuning_request
from sagemaker_dogbreed.local.tuning import status as tuning_status
from sagemaker_dogbreed.local.tuning import trials
from sagemaker_dogbreed.local.tuning.trial_log import TrialLog
from sagemaker_dogbreed.local.workspace import Workspace

_LOOK_INTERVAL = 0.1  # seconds between looks at the trials and the record


@attrs.define
class _Running:
    """A trial that has not ended, by its number in the search."""

    number: int
    log: TrialLog
    is_stopping: bool = False


class TuningRun:
    """One tuning job."""

    def __init__(self, folder: Path) -> None:
        self._record = Record(folder)
        state = self._record.read()
        if state is None:
            raise FileNotFoundError(f"there is no tuning job in {folder}")
        description = state["Description"]
        self._name: str = description["HyperParameterTuningJobName"]
        self._config: dict[str, Any] = description["HyperParameterTuningJobConfig"]
        self._definition: dict[str, Any] = description["TrainingJobDefinition"]
        # Of the three only endpoints have a start-up time.
        self._workspace = Workspace(folder.parent.parent, float(state["Local"]["GraceSeconds"]), 0.0)
        self._stops_trials = stops_trials(self._config)
        metric = self._config["HyperParameterTuningJobObjective"]["MetricName"]
        definitions = self._definition["AlgorithmSpecification"]["MetricDefinitions"]
        self._metric = next(item for item in definitions if item["Name"] == metric)
        self._running: dict[str, _Running] = {}
        self._started = 0

    def run(self) -> None:
        """Run the job; its record says how it ended, whatever happens."""
        try:
            status, reason = self._tune(self._new_search())
        except BaseException as error:
            self._stop_trials()
            self._end("Failed", f"InternalServerError: the local SageMaker failed: {error!r}")
            raise
        self._end(status, reason)

    def _new_search(self) -> Search:
        epochs = 0  # of no use but to Hyperband
        if self._config["Strategy"] == "Hyperband":
            _, epochs = tuning_request.resources(self._config, self._definition)
        search = new_search(self._config, epochs)
        for trial in json.loads((self._record.folder / tuning_status.EARLIER).read_text(encoding="utf-8")):
            search.add(trial["TunedHyperParameters"], trials.objective(trial))
        return search

    def _tune(self, search: Search) -> tuple[str, str | None]:
        """Run trials until there is a reason to end, and return the status and what went wrong."""
        while True:
            state = self._look(search)
            ended = [trial for trial in state["Local"]["Trials"] if not trials.is_running(trial)]
            if state["Description"]["HyperParameterTuningJobStatus"] == "Stopping":
                return self._finish(search, "Stopped")
            if reason := tuning_completion.failure(ended, is_last=False):
                return self._finish(search, "Failed", reason)
            values = tuning_status.ended_values(state["Local"]["Trials"])
            met = criterion(self._config, values, tuning_status.runtime(state))
            if met:
                if met == "ConvergenceDetected":
                    self._note(ConvergenceDetectedTime=now())
                return self._finish(search, "Completed")
            self._start_trials(search, state)
            if not self._running:
                reason = tuning_completion.failure(ended, is_last=True)
                return ("Failed", reason) if reason else ("Completed", None)
            time.sleep(_LOOK_INTERVAL)

    def _finish(self, search: Search, status: str, reason: str | None = None) -> tuple[str, str | None]:
        """Stop what runs, wait until it has, and return how the tuning job ends."""
        self._stop_trials()
        while self._running:
            time.sleep(_LOOK_INTERVAL)
            self._look(search)
        return status, reason

    def _look(self, search: Search) -> State:
        """Tell the search what has come of the trials, and return the state with all of it."""
        for name in [name for name, running in self._running.items() if self._report(search, running)]:
            self._stop(name)
        state = self._record.read()
        if state is None:
            raise FileNotFoundError(f"the record of the tuning job {self._name} is gone")
        if tuning_status.refresh(self._workspace.root, state):
            with self._record.update() as state:
                assert state is not None  # noqa: S101 - nobody deletes a tuning job in progress
                tuning_status.refresh(self._workspace.root, state)
        for trial in trials.by_end(state["Local"]["Trials"]):
            running = self._running.pop(trial["TrainingJobName"], None)
            if running is not None:
                self._report(search, running)  # what came since; later trials are compared with it
                search.tell(running.number, trials.objective(trial))
        return state

    def _report(self, search: Search, running: _Running) -> bool:
        """Pass on what a trial has logged, and return whether it is to be stopped, and is not yet."""
        if not self._stops_trials:
            return False
        stop = [search.report(running.number, epoch, value) for epoch, value in running.log.news()]
        return any(stop) and not running.is_stopping

    def _start_trials(self, search: Search, state: State) -> None:
        limits = self._config["ResourceLimits"]
        most = most_trials(self._config)
        while self._started < most and len(self._running) < limits["MaxParallelTrainingJobs"]:
            suggestion = search.ask()
            if suggestion is None:
                return
            self._started += 1
            name = trials.job_name(self._name, self._started)
            self._running[name] = _Running(
                suggestion.number, TrialLog(self._workspace.root, name, self._metric)
            )
            self._start(name, dict(suggestion.values), state["Tags"])

    def _start(self, name: str, values: dict[str, str], tags: dict[str, str]) -> None:
        arn = Records(self._workspace.root, tuning_status.KIND).arn(self._name)
        tuning = Tuning(arn, values, self._record.folder / tuning_status.SUPERVISOR_LOCK)
        summary: trials.Summary = {
            "TrainingJobName": name,
            "TrainingJobArn": Records(self._workspace.root, training_jobs.KIND).arn(name),
            "CreationTime": now(),
            "TrainingJobStatus": "InProgress",
            "TunedHyperParameters": values,
            "ObjectiveStatus": "Pending",
        }
        request = trials.training_request(name, self._config, self._definition, values, tags)
        try:
            training_jobs.create(self._workspace, request, tuning=tuning)
        except ServiceFault as fault:  # its data are gone, say: this trial has failed, not the search
            summary = trials.failed(summary, f"ClientError: {fault.message}", now())
        with self._record.update() as state:
            assert state is not None  # noqa: S101 - nobody deletes a tuning job in progress
            state["Local"]["Trials"].append(summary)

    def _stop(self, name: str) -> None:
        self._running[name].is_stopping = True
        with contextlib.suppress(ServiceFault):  # it has just ended, or never began
            training_jobs.stop(self._workspace, {"TrainingJobName": name})

    def _stop_trials(self) -> None:
        for name in self._running:
            self._stop(name)

    def _note(self, **members: Any) -> None:
        with self._record.update() as state:
            if state is not None:
                state["Local"] |= members

    def _end(self, status: str, reason: str | None) -> None:
        with self._record.update() as state:
            if state is not None:
                stopping = state["Description"]["HyperParameterTuningJobStatus"] == "Stopping"
                asked = status == "Completed" and stopping  # while the last trials were stopped
                tuning_status.end(state["Description"], "Stopped" if asked else status, reason)


def _told_to_end(_signal: int, _frame: object) -> None:
    raise SystemExit("its process was told to end (SIGTERM)")


def main(argv: Sequence[str]) -> int:
    """Run the tuning job of the folder ``argv[0]``; the caller has taken its supervisor lock."""
    folder = Path(argv[0])
    locks.write_holder(folder / tuning_status.SUPERVISOR_LOCK, os.getpid())
    signal.signal(signal.SIGTERM, _told_to_end)
    TuningRun(folder).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
