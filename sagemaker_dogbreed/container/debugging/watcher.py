"""What watches a training: it records, measures, asks the rules, and says what they find."""

from __future__ import annotations

import contextlib
import math
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.debugging.clock import StepClock, now
from sagemaker_dogbreed.container.debugging.record_files import RecordFile, read_records
from sagemaker_dogbreed.container.debugging.recorder import Recorder
from sagemaker_dogbreed.container.debugging.records import FOLDER, Epoch, Record, Resume, Span, Start, Step
from sagemaker_dogbreed.container.debugging.settings import (
    SAVE_INTERVAL,
    DebuggerSettings,
    ProfilerSettings,
    wanted_rules,
)
from sagemaker_dogbreed.container.debugging.smdebug_checks import check_installed
from sagemaker_dogbreed.container.debugging.smdebug_hook import SmdebugHook
from sagemaker_dogbreed.container.debugging.statuses import STATUS_FILE, to_answer
from sagemaker_dogbreed.container.debugging.system import SystemSampler
from sagemaker_dogbreed.container.debugging.watch import RuleStatus, RuleWatch
from sagemaker_dogbreed.container.files import write_json

# A record of a step takes some 0.0002 seconds, one of tensors 0.003 and more: of quick steps the first are
# recorded, and then no more than one in so many seconds.
# Of slow ones all are recorded up to _MOST, then ever fewer: a ResNet's tensors take 0.3 MB each time.
_FIRST_STEPS, _STEP_SECONDS, _MOST_STEPS = 100, 0.05, 20_000
_FIRST_SAMPLES, _SAMPLE_SECONDS, _MOST_SAMPLES = 5, 0.5, 1_000


class Watcher:
    """Watches one process's part of a training; of several processes the first one judges.

    Records go to files in a folder, where those of before an interruption may be: the training they
    tell of goes on. A disk that is full ends the recording, not the training.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rank: int,
        device: torch.device,
        debugger: DebuggerSettings | None,
        profiler: ProfilerSettings | None,
        smdebug_folder: Path | None = None,
    ) -> None:
        """Prepare to watch, with what is asked for; smdebug's hook has a folder of its own.

        Raises:
            SmdebugError: smdebug's hook is asked for, and smdebug does not work here.
            RuleError: There is no such rule, or a parameter is not acceptable.
            OSError: The folder cannot be written.
        """
        self._folder, self._node, self._leads = folder, f"rank-{rank}", rank == 0
        self._watch = RuleWatch(wanted_rules(debugger, profiler) if self._leads else [])
        self._files: dict[str, RecordFile] = {}
        self._lock = threading.Lock()  # the system is measured in a thread of its own
        self._mode, self._begun, self._timed, self._batch_began = "", now(), True, 0.0
        self._last = {"step": 0.0, "batch": 0.0, "sample": 0.0}  # when one was recorded
        if self._leads and (debugger or profiler) and folder.is_dir():
            self._watch.go_on(read_records(folder))
        if debugger is not None and self._leads:
            self._files["training"] = RecordFile(folder / "training.jsonl")
        if profiler is not None:
            self._files["profile"] = RecordFile(folder / f"profile-{rank}.jsonl")
        self._recorder: Recorder | None = None
        self._smdebug_folder = smdebug_folder
        self._smdebug = debugger if debugger is not None and debugger.hook == "smdebug" else None
        self._hook: SmdebugHook | None = None
        if self._smdebug:
            check_installed()
        wanted = debugger.save_interval if debugger else None
        self._interval, self._exact = wanted or SAVE_INTERVAL, wanted is not None
        self._training, self._profile = self._sink("training"), self._sink("profile")
        self._clock: StepClock | None = None
        self._sampler: SystemSampler | None = None
        if profiler is not None:
            self._clock = StepClock(self._profile, node=self._node, device=device, exact_every=self._interval)
            pause = profiler.interval_milliseconds / 1000  # seconds
            self._sampler = SystemSampler(self._profile, node=self._node, interval=pause)

    @classmethod
    def idle(cls) -> Watcher:
        """Return one that does nothing."""
        return cls(Path(), rank=0, device=torch.device("cpu"), debugger=None, profiler=None)

    @property
    def stopped_by(self) -> RuleStatus | None:
        """The status of the rule that ends the training, if one does."""
        return self._watch.stopped_by

    def start(self, settings: Mapping[str, Any]) -> None:
        """Begin; ``settings`` are what the process was told and found."""
        for name in tuple(self._files):
            self._sink(name)(Start(time=now(), node=self._node, settings=settings))
        if self._files and self._leads:
            self._tell(())  # what an earlier job left is of an earlier job
        if self._sampler:
            self._sampler.start()

    def training_begins(self, *, epoch: int, step: int) -> None:
        """Say after which epoch, with which step, training begins.

        What earlier records tell of beyond that will be repeated.
        """
        if self._watch.history.steps or self._watch.history.epochs:
            self._training(Resume(time=now(), epoch=epoch, step=step))

    def record(self, network: nn.Module, called: nn.Module) -> None:
        """Record the tensors of a network from now on; ``called`` is the part of it that batches pass."""
        if "training" in self._files:
            self._recorder = Recorder(network, self._training, save_interval=self._interval)
        if self._smdebug and self._leads and self._smdebug_folder:
            folder, collections = self._smdebug_folder, self._smdebug.collections
            self._hook = SmdebugHook(called, folder, save_interval=self._interval, collections=collections)

    def passes(self, mode: str) -> None:
        """Say that a pass over batches begins: ``train``, ``evaluate`` or ``extract``."""
        if not self._mode:
            first = now()
            seconds = first - self._begun
            self._profile(Span(time=first, node=self._node, name="initialization", seconds=seconds))
        self._mode = mode
        if self._hook:
            (self._hook.train_mode if mode == "train" else self._hook.evaluate_mode)()
        self._timed, self._batch_began = True, now()
        if self._clock:
            self._clock.begin(mode)

    def lap(self, phase: str) -> None:
        """Say that a phase of a batch has ended: ``data``, ``copy``, ``forward`` and so on."""
        if self._clock and (self._timed or phase == "data"):
            self._clock.lap(phase)

    def step_begins(self, step: int) -> None:
        """Say that a training step's batch is there."""
        if self._recorder and step % self._interval == 0 and (self._exact or self._sampled(step)):
            self._recorder.step_begins(step)

    def backward_done(self) -> None:
        """Say that a step's gradients are there."""
        if self._recorder:
            self._recorder.backward_done()
        self.lap("backward")

    def updated(self) -> None:
        """Say that a step has changed the weights."""
        self.lap("optimizer")
        if self._recorder:
            self._recorder.updated()

    def loss(self, value: float) -> None:
        """Tell smdebug's hook a batch's mean loss."""
        if self._hook:
            self._hook.loss(torch.tensor(value))

    def batch_ended(self, number: int) -> None:
        """Say that a batch has been dealt with; one that was slow is recorded in any case."""
        if not self._clock:
            return
        slow = now() - self._batch_began >= _STEP_SECONDS
        if (self._timed or slow) and number % (number // _MOST_STEPS + 1) == 0:
            self._clock.batch_ended(number)
        else:
            self._clock.begin(self._mode)
        self._timed = number < _FIRST_STEPS or self._passed("batch", _STEP_SECONDS)
        self._batch_began = now()

    def step_ended(
        self, *, step: int, epoch: int, loss: float, top_1: float, learning_rate: float, images: int
    ) -> None:
        """Record a training step; of very many only some, and of quick ones fewer."""
        kept = self._kept(step) or not math.isfinite(loss)
        if kept and "training" in self._files:
            self._training(
                Step(
                    time=now(),
                    step=step,
                    epoch=epoch,
                    loss=loss,
                    top_1=top_1,
                    learning_rate=learning_rate,
                    images=images,
                )
            )

    def epoch_ended(
        self,
        *,
        epoch: int,
        step: int,
        measures: Mapping[str, float],
        labels: tuple[int, ...],
        errors: tuple[int, ...],
    ) -> None:
        """Record an epoch."""
        if "training" in self._files:
            self._training(
                Epoch(time=now(), epoch=epoch, step=step, measures=measures, labels=labels, errors=errors)
            )

    @contextlib.contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Record how long the block takes."""
        with self._clock.span(name) if self._clock else contextlib.nullcontext():
            yield

    def keep(self, file: Path) -> None:
        """Put a copy of a file beside the records, where there are any and the disk has room."""
        if self._files and self._leads:
            _copied([file], self._folder)

    def release(self) -> None:
        """Take everything off the module: training is over."""
        if self._recorder:
            self._recorder.close()
            self._recorder = None
        if self._hook:
            self._hook.close()
            self._hook = None

    def finish(self, output: Path | None = None) -> None:
        """End: the rules have their last say, and the records are copied to a folder of the job's output."""
        self.release()
        if self._sampler:
            self._sampler.stop()
        if self._files and self._leads:
            self._tell(self._watch.finish())
        with self._lock:  # the sampler's thread may be late
            files, self._files = self._files, {}
            for file in files.values():
                file.close()
        if files and self._leads and output is not None:
            _copied(self._folder.glob("*"), output / FOLDER)

    def _kept(self, step: int) -> bool:
        enough = step < _FIRST_STEPS or self._passed("step", _STEP_SECONDS)
        return enough and step % (step // _MOST_STEPS + 1) == 0

    def _sampled(self, step: int) -> bool:
        number = step // self._interval
        enough = number < _FIRST_SAMPLES or self._passed("sample", _SAMPLE_SECONDS)
        return enough and number % (number // _MOST_SAMPLES + 1) == 0

    def _passed(self, what: str, seconds: float) -> bool:
        """Return whether so many seconds have passed since this was last said."""
        time = now()
        if time - self._last[what] < seconds:
            return False
        self._last[what] = time
        return True

    def _sink(self, name: str) -> Callable[[Record], None]:
        def take(record: Record) -> None:
            with self._lock:
                file = self._files.get(name)
                if file is None:
                    return
                try:
                    file.write(record)
                except OSError as error:
                    log.line(f"Nothing more is recorded: {error}")
                    self._files.pop(name).close()
                    return
                if self._leads and (changed := self._watch.see(record)):
                    self._tell(changed)

        return take

    def _tell(self, changed: Sequence[RuleStatus]) -> None:
        """Write what the rules have found, and say what is new."""
        for status in changed:
            if status.details:
                log.line(f"Rule {status.name}: {status.status}: {status.details}")
        with contextlib.suppress(OSError):  # the disk is full, which the next record says
            write_json(self._folder / STATUS_FILE, to_answer(self._watch))


def _copied(paths: Iterable[Path], target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.is_file():  # nothing that has no end
                shutil.copyfile(path, target / path.name)
    except OSError as error:
        log.line(f"What was recorded is not copied to {target}: {error}")
