"""The process that runs one training job from its record to its end.

Started with the job's folder, in a session of its own, holding the job's supervisor lock. It has
one thread: it reads the job's output, and between lines looks at the clock, at the record (has
somebody asked to stop?) and at the checkpoints.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sagemaker_dogbreed.container.environment import FEATURES
from sagemaker_dogbreed.errors import ArchiveError, StoreError
from sagemaker_dogbreed.local import (
    archives,
    contract,
    entry_point,
    locks,
    manifest,
    training_request,
    training_status,
)
from sagemaker_dogbreed.local.checkpoints import CheckpointSync
from sagemaker_dogbreed.local.log_files import TRAINING_GROUP, LogWriter
from sagemaker_dogbreed.local.metric_reader import MetricReader
from sagemaker_dogbreed.local.program import Program
from sagemaker_dogbreed.local.records import Record, State
from sagemaker_dogbreed.local.rule_statuses import RuleStatuses
from sagemaker_dogbreed.store.local import LocalStore

_LOOK_INTERVAL = 0.2  # seconds between looks at the record
_REASON_LENGTH = 1024


class JobFailure(Exception):  # noqa: N818 - an outcome of the job, as Failed is
    """The job failed; the message is its FailureReason."""


class StopRequested(Exception):  # noqa: N818 - likewise, as Stopped is
    """Somebody stopped the job before its script ran."""


class TrainingRun:
    """One training job, from the folders it starts with to the archive it leaves."""

    def __init__(self, folder: Path) -> None:
        self._record = Record(folder)
        state = self._record.read()
        if state is None:
            raise FileNotFoundError(f"there is no training job in {folder}")
        self._description: dict[str, Any] = state["Description"]
        self._grace = float(state["Local"]["GraceSeconds"])
        self._store = LocalStore(folder.parent.parent)
        self._container = contract.Container(folder / "opt" / "ml", self._description)
        name = self._description["TrainingJobName"]
        self._log = LogWriter(self._store.root, TRAINING_GROUP, f"{name}/algo-1-{int(time.time())}")
        definitions = self._description["AlgorithmSpecification"].get("MetricDefinitions", [])
        self._metrics = MetricReader(definitions)
        self._rules = RuleStatuses(self._container.checkpoints, name)
        checkpoints = self._description.get("CheckpointConfig")
        self._checkpoints = (
            CheckpointSync(self._container.checkpoints, self._store, checkpoints["S3Uri"])
            if checkpoints
            else None
        )
        self._next_look = 0.0

    def run(self) -> None:
        """Run the job; its record says how it ended, whatever happens."""
        try:
            self._enter("Downloading")
            program = self._download()
            self._enter("Training")
            secondary_status = self._train(program)
            self._upload(stopped=secondary_status is not None)
        except StopRequested:
            self._end("Stopped")
        except JobFailure as failure:
            self._end("Failed", str(failure))
        except BaseException as error:
            self._end("Failed", f"InternalServerError: the local SageMaker failed: {error!r}")
            raise
        else:
            if secondary_status is None:
                # All that matters is in S3; of a job that did not complete there may be more to look at.
                shutil.rmtree(self._container.base, ignore_errors=True)
            self._end("Stopped" if secondary_status else "Completed", secondary_status=secondary_status)

    def _download(self) -> str:
        """Fill the container's folders and return the script's name."""
        self._container.create()
        for channel in self._description.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            folder = self._container.channel(channel["ChannelName"])
            try:
                if source["S3DataType"] == "ManifestFile":
                    manifest.get(self._store, source["S3Uri"], folder)
                else:
                    self._store.get_tree(source["S3Uri"], folder)
            except StoreError as error:
                raise JobFailure(f"ClientError: Data download failed: {error}") from error
        hyperparameters = self._container.hyperparameters
        code, program = hyperparameters["sagemaker_submit_directory"], hyperparameters["sagemaker_program"]
        archive = self._record.folder / "sourcedir.tar.gz"
        try:
            self._store.get_file(str(code), archive)
            archives.unpack(archive, self._container.code)
        except (StoreError, ArchiveError) as error:
            raise JobFailure(f"AlgorithmError: Framework Error: code archive {code}: {error}") from error
        script = self._container.code / str(program)
        if not script.is_file() or not script.resolve().is_relative_to(self._container.code.resolve()):
            raise JobFailure(f"AlgorithmError: Framework Error: there is no {program} in {code}")
        if self._checkpoints:
            try:
                self._checkpoints.restore()
            except (StoreError, OSError) as error:
                raise JobFailure(f"ClientError: Checkpoint download failed: {error}") from error
        return str(program)

    def _train(self, program: str) -> str | None:
        """Run the script; return the secondary status of a job that did not end by itself."""
        hyperparameters = self._container.hyperparameters
        arguments = contract.arguments(contract.script_hyperparameters(hyperparameters))
        try:
            process = Program(
                entry_point.command(hyperparameters, program, arguments),
                folder=self._container.code,
                environment={
                    **entry_point.environment(hyperparameters, self._grace),
                    FEATURES: str(self._store.root / "cache" / "features"),
                    **self._container.environment(program),
                },
                lock=self._record.folder / training_status.PROGRAM_LOCK,
                on_line=self._take,
            )
        except (OSError, ValueError) as error:
            raise JobFailure(f"AlgorithmError: the training script cannot be started: {error}") from error
        seconds = self._description["StoppingCondition"].get(
            "MaxRuntimeInSeconds", training_request.DEFAULT_MAX_RUNTIME
        )
        deadline = time.monotonic() + seconds
        ended_by = None
        try:
            while process.exit_code is None and ended_by is None:
                process.pump()
                if time.monotonic() >= deadline:
                    ended_by = "MaxRuntimeExceeded"
                elif self._look():
                    ended_by = "Stopped"
                self._sync_checkpoints()
            if ended_by:
                self._enter("Stopping")
                process.stop(self._grace)
        finally:
            process.close()
        self._rules.changed()
        self._sync_checkpoints(final=True)
        if ended_by is None and self._stopping():
            ended_by = "Stopped"
        if ended_by is None and process.exit_code != 0:
            raise JobFailure(f"AlgorithmError: {self._failure(process.exit_code or 0)}")
        return ended_by

    def _upload(self, *, stopped: bool) -> None:
        self._enter("Uploading")
        name = self._description["TrainingJobName"]
        output_path = self._description["OutputDataConfig"]["S3OutputPath"].removesuffix("/")
        destination = f"{output_path}/{name}/output"
        for folder, file in ((self._container.model, "model"), (self._container.output / "data", "output")):
            empty = not any(path.is_file() for path in folder.rglob("*"))
            if empty and (stopped or file == "output"):
                continue
            archive = self._record.folder / f"{file}.tar.gz"
            try:
                archives.pack(folder, archive)
                self._store.put_file(archive, f"{destination}/{file}.tar.gz")
            except (StoreError, OSError) as error:
                raise JobFailure(f"ClientError: Artifact upload failed: {error}") from error
            finally:
                archive.unlink(missing_ok=True)
            if file == "model":
                with self._record.update() as state:
                    if state is not None:
                        artifact = {"S3ModelArtifacts": f"{destination}/model.tar.gz"}
                        state["Description"]["ModelArtifacts"] = artifact

    def _sync_checkpoints(self, *, final: bool = False) -> None:
        if self._checkpoints:
            try:
                self._checkpoints.sync(final=final)
            except (StoreError, OSError) as error:
                raise JobFailure(f"ClientError: Checkpoint upload failed: {error}") from error

    def _take(self, line: str) -> None:
        self._log.write(line)
        for name in self._metrics.read(line):
            self._log.write(f"The expression of the metric {name!r} takes too long and is not used any more.")

    def _look(self) -> bool:
        """Write new metrics, now and then, and return whether somebody asked to stop the job."""
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + _LOOK_INTERVAL
        known = self._record.read()
        if known is None:
            return self._stopping()
        metrics = known["Description"].get("FinalMetricDataList", [])
        if self._rules.changed() or self._metrics.latest != metrics:
            with self._record.update() as state:
                self._put_findings(state)
        return self._stopping()

    def _put_findings(self, state: State | None) -> None:
        """Note the metrics and what rules have found."""
        if state is None:
            return
        state["Description"] |= self._rules.latest
        if self._metrics.latest:
            state["Description"]["FinalMetricDataList"] = self._metrics.latest

    def _stopping(self) -> bool:
        state = self._record.read()
        if state is None or state["Description"]["TrainingJobStatus"] == "Stopping":
            return True
        # A trial whose tuning job's process is gone is of no more use to anybody.
        tuning = state["Local"].get("TuningLock")
        return tuning is not None and not locks.is_held(Path(tuning))

    def _failure(self, exit_code: int) -> str:
        """Return the script's own words on its failure, or those that the exit code allows."""
        path = self._container.output / "failure"
        if path.is_file():
            with path.open("rb") as file:
                text = file.read(4 * _REASON_LENGTH).decode("utf-8", "replace")[:_REASON_LENGTH]
            if text.strip():
                return text
        if exit_code < 0:
            number = -exit_code
            names = {item.value: item.name for item in signal.Signals}
            hint = ", which often means out of memory" if number == signal.SIGKILL else ""
            return f"the training script was killed by signal {number} ({names.get(number, '?')}){hint}"
        last = next((line for line in reversed(self._log.tail) if line.strip()), "")
        said = f"; its last log line: {last[:500]}" if last else ""
        return f"the training script ended with exit code {exit_code}{said}"

    def _enter(self, secondary_status: str) -> None:
        with self._record.update() as state:
            stopping = state is None or state["Description"]["TrainingJobStatus"] == "Stopping"
            if state is None or (stopping and secondary_status in {"Downloading", "Training"}):
                raise StopRequested
            if secondary_status == "Stopping":
                if stopping:  # whoever asked has noted it
                    return
                state["Description"]["TrainingJobStatus"] = "Stopping"
            training_status.enter(state["Description"], secondary_status)

    def _end(self, status: str, reason: str | None = None, secondary_status: str | None = None) -> None:
        with self._record.update() as state:
            if state is not None:
                self._put_findings(state)
                if status == "Completed" and state["Description"]["TrainingJobStatus"] == "Stopping":
                    status = "Stopped"  # asked for while the model was uploaded
                training_status.end(state["Description"], status, reason, secondary_status)


def _told_to_end(_signal: int, _frame: object) -> None:
    raise SystemExit("its process was told to end (SIGTERM)")


def main(argv: Sequence[str]) -> int:
    """Run the training job of the folder ``argv[0]``; the caller has taken its supervisor lock."""
    folder = Path(argv[0])
    locks.write_holder(folder / training_status.SUPERVISOR_LOCK, os.getpid())
    signal.signal(signal.SIGTERM, _told_to_end)
    TrainingRun(folder).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
