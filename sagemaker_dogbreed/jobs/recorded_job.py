"""What a training job recorded of itself: read back, judged again, diagnosed, reported."""

from __future__ import annotations

import abc
import datetime as dt
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.container.debugging import settings
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.record_files import read_records
from sagemaker_dogbreed.container.debugging.records import EVALUATION_FILE, FOLDER, SMDEBUG_FOLDER, Record
from sagemaker_dogbreed.container.debugging.rules import Rule, RuleError
from sagemaker_dogbreed.container.debugging.statuses import MEMBERS, STATUS_FILE, from_file
from sagemaker_dogbreed.container.debugging.watch import RuleStatus, RuleWatch
from sagemaker_dogbreed.container.environment import CHECKPOINTS_BY_JOB
from sagemaker_dogbreed.errors import JobError, SpecError, StoreError
from sagemaker_dogbreed.specs.debugger import RuleSpec
from sagemaker_dogbreed.store.interface import Store

if TYPE_CHECKING:
    from sagemaker_dogbreed.analysis.diagnosis import Diagnosis
    from sagemaker_dogbreed.analysis.evaluation import Evaluation
    from sagemaker_dogbreed.analysis.profile import Profile

_LARGEST_FILE = 20_000_000  # bytes of a file that is read whole; of 1,000 classes it has one or two million
_LARGEST = 2_000_000_000  # bytes of all records


class RecordedJob(abc.ABC):
    """The part of a training job's handle that reads what the job recorded, while it runs or afterwards."""

    name: str
    _store: Store | None

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return DescribeTrainingJob's answer."""

    def history(self) -> History:
        """Return what was recorded so far: steps, tensors, epochs, the machine, where the time went.

        Raises:
            JobError: There is no such job, or it has recorded nothing.
            StoreError: The records cannot be read.
        """
        return History.of(self._records(self.describe()))

    def rules(self, rules: Sequence[str | RuleSpec] | None = None) -> list[RuleStatus]:
        """Return what rules find in the records.

        Args:
            rules: Names, or with parameters; default: the job's own. Rules that are defined here with the
                decorator ``rule`` may be among them. Of the job's own whose code is not here, and of those
                that failed in it, what the job has told is returned.

        Raises:
            JobError: There is no such job, or it has recorded nothing.
            SpecError: There is no such rule, or a parameter is not acceptable.
            StoreError: The records cannot be read.
        """
        answer = self.describe()
        watch = RuleWatch.replayed(_rules(answer, rules), self._records(answer))
        return _judged(watch, answer if rules is None else {})

    def profile(self) -> Profile:
        """Return where the time went and what the machine did, in numbers.

        Raises:
            JobError: There is no such job, or it has recorded nothing.
            StoreError: The records cannot be read.
        """
        from sagemaker_dogbreed.analysis.profile import profile_of

        return profile_of(self.history())

    def diagnosis(self) -> Diagnosis:
        """Return what is wrong with the training, most important first, and what to change.

        Raises:
            JobError: There is no such job, or it has recorded nothing.
            StoreError: The records cannot be read.
        """
        return self._diagnosed(self.describe())[1]

    def report(self, path: str | Path | None = None) -> Path:
        """Write an HTML report, one file that needs no network, and return its path.

        Args:
            path: Where to; default: the job's name with ``.html``, in the working directory.

        Raises:
            JobError: There is no such job, or it has recorded nothing.
            StoreError: The records cannot be read.
            MissingExtraError: matplotlib or Jinja is not installed.
            OSError: The file cannot be written.
        """
        from sagemaker_dogbreed.analysis.report.content import ReportContent
        from sagemaker_dogbreed.analysis.report.document import write_report

        answer = self.describe()
        watch, diagnosis = self._diagnosed(answer)
        content = ReportContent(
            job_name=self.name,
            describe=answer,
            history=watch.history,
            rules=_judged(watch, answer),
            parameters={rule.name: rule.parameters for rule in _rules(answer, None)},
            diagnosis=diagnosis,
            evaluation=self._evaluated(),
            settings=watch.history.settings,
        )
        return write_report(Path(path or f"{self.name}.html"), content)

    def evaluation(self) -> Evaluation | None:
        """Return what the model gets right and wrong on the test split; None where it was not measured.

        Raises:
            JobError: There is no such job, or what it left is damaged.
            StoreError: It cannot be read.
        """
        from sagemaker_dogbreed.analysis.evaluation import read_evaluation

        found = self._evaluated()
        return None if found is None else read_evaluation(found)

    def _evaluated(self) -> dict[str, Any] | None:
        uri = f"{_records_uri(self.describe())}/{EVALUATION_FILE}"
        store = self._readable_store()
        if not store.exists(uri):
            return None
        try:
            found = json.loads(store.read(uri, _LARGEST_FILE))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            return {}  # of which its reader says what it lacks
        # Beside the records of a job that was resumed may be what the earlier job's model got right.
        return found if found.pop("job_name", self.name) == self.name else None

    def download_smdebug(self, folder: str | Path) -> Path:
        """Download what smdebug's hook recorded (``hook: smdebug``), for ``smdebug.trials.create_trial``.

        Args:
            folder: Where to; it must not exist.

        Returns:
            The folder that ``create_trial`` takes.

        Raises:
            JobError: There is no such job, or its hook has recorded nothing.
            StoreError: The job's output cannot be read.
            ArchiveError: It is damaged.
        """
        from sagemaker_dogbreed.data.job_archive import get_unpacked

        answer = self.describe()
        output = (answer.get("OutputDataConfig") or {}).get("S3OutputPath", "").rstrip("/")
        uri = f"{output}/{self.name}/output/output.tar.gz"
        store = self._readable_store()
        if not output or not store.exists(uri):
            raise JobError(f"training job {self.name!r} has no output yet at {uri}: wait for its end")
        found = get_unpacked(store, uri, Path(folder)) / SMDEBUG_FOLDER
        if not found.is_dir():
            raise JobError(f"training job {self.name!r} recorded nothing with smdebug; use hook: smdebug")
        return found

    def _diagnosed(self, answer: Mapping[str, Any]) -> tuple[RuleWatch, Diagnosis]:
        from sagemaker_dogbreed.analysis.diagnosis import diagnose
        from sagemaker_dogbreed.analysis.profile import profile_of

        watch = RuleWatch.replayed(_rules(answer, None), self._records(answer))
        profile = profile_of(watch.history, watch.statuses(profiles=True))
        told = {
            **(answer.get("HyperParameters") or {}),
            "input_mode": (answer.get("AlgorithmSpecification") or {}).get("TrainingInputMode"),
            "compute.instance_type": (answer.get("ResourceConfig") or {}).get("InstanceType"),
            "local": _image(answer).startswith("local/"),
            "status": answer.get("TrainingJobStatus"),
            **watch.history.settings,
        }
        return watch, diagnose(profile, _judged(watch, answer), watch.history, told)

    def _records(self, answer: Mapping[str, Any]) -> Iterator[Record]:
        uri = _records_uri(answer)
        store = self._readable_store()
        size = sum(size for _, size in store.list(f"{uri}/"))
        if not size:
            told = answer.get("HyperParameters") or {}
            off = all(told.get(name) == settings.OFF for name in (settings.DEBUGGER, settings.PROFILER))
            why = (
                "debugger and profiler were off" if off else "it has hardly begun, or failed before it could"
            )
            raise JobError(f"training job {self.name!r} has recorded nothing at {uri}: {why}")
        if size > _LARGEST:
            raise JobError(f"the records at {uri} are {size} bytes, which is too much to be a training's")
        with tempfile.TemporaryDirectory(prefix="dogbreed-records-") as folder:
            store.get_tree(uri, Path(folder))
            yield from read_records(Path(folder))

    def _readable_store(self) -> Store:
        if self._store is None:
            raise JobError(f"use session.training_job({self.name!r}), whose records can be read")
        return self._store

    def _with_statuses(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Add what native rules have found to an answer of AWS's, which knows its own rules only."""
        native = settings.DEBUGGER in (answer.get("HyperParameters") or {})
        if self._store is None or not native or any(answer.get(member) for member in MEMBERS):
            return answer
        try:
            uri = f"{_records_uri(answer)}/{STATUS_FILE}"
            found = from_file(self._store.read(uri, _LARGEST_FILE)) if self._store.exists(uri) else {}
        except (StoreError, JobError):  # what AWS says of the job is worth having without
            return answer
        for each in (status for statuses in found.values() for status in statuses):
            each["LastModifiedTime"] = dt.datetime.fromtimestamp(each["LastModifiedTime"], dt.UTC)
        return answer | found


def _judged(watch: RuleWatch, answer: Mapping[str, Any]) -> list[RuleStatus]:
    """Return what a replay found, and what the job itself told of rules that cannot be asked here."""
    found = [*watch.statuses(profiles=False), *watch.statuses(profiles=True)]
    names = {status.name for status in found}
    failed = {told.name: told for told in told_statuses(answer) if told.status == "Error"}
    others = [told for told in told_statuses(answer) if told.name not in names]
    return [*(failed.get(status.name, status) for status in found), *others]


def _image(answer: Mapping[str, Any]) -> str:
    return str((answer.get("AlgorithmSpecification") or {}).get("TrainingImage") or "")


def told_statuses(answer: Mapping[str, Any]) -> list[RuleStatus]:
    """Return what rules have found, as DescribeTrainingJob answers it."""
    return [
        RuleStatus(
            name=str(each.get("RuleConfigurationName")),
            status=str(each.get("RuleEvaluationStatus")),
            details=str(each.get("StatusDetails") or ""),
        )
        for member in MEMBERS
        for each in answer.get(member) or ()
    ]


def _records_uri(answer: Mapping[str, Any]) -> str:
    uri = (answer.get("CheckpointConfig") or {}).get("S3Uri")
    name = answer.get("TrainingJobName")
    if not uri:
        raise JobError(
            f"training job {name!r} has no CheckpointConfig, which the library's jobs have, and no records"
        )
    own = f"/{name}" if CHECKPOINTS_BY_JOB in (answer.get("Environment") or {}) else ""
    return f"{uri.removesuffix('/')}{own}/{FOLDER}"


def _rules(answer: Mapping[str, Any], asked: Sequence[str | RuleSpec] | None) -> list[Rule]:
    """Return the rules that are asked for, or those of the job; its own are known only to itself."""
    try:
        if asked is not None:
            specs = [RuleSpec(name=each) if isinstance(each, str) else each for each in asked]
            return settings.rules_by_name({each.name: each.parameters for each in specs})
        told = answer.get("HyperParameters") or {}
        debugger = settings.read_settings(settings.DebuggerSettings, told.get(settings.DEBUGGER))
        profiler = settings.read_settings(settings.ProfilerSettings, told.get(settings.PROFILER))
        return settings.wanted_rules(debugger, profiler, own=False)
    except RuleError as error:
        raise SpecError(str(error)) from None
    except ValueError as error:
        name = answer.get("TrainingJobName")
        raise JobError(f"training job {name!r} was not made by this library: {error}") from error
