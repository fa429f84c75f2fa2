"""Measures the machine while a job runs, in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.debugging.clock import now
from sagemaker_dogbreed.container.debugging.gpus import Gpus
from sagemaker_dogbreed.container.debugging.records import Record, System

_FAMILY_SECONDS = 5.0  # to look for new child processes means to look at all of the machine's
_LONGEST_GOODBYE = 5.0  # seconds; a disk may hang


class Machine:
    """The machine's counters, by psutil: each measurement tells of the time since the one before."""

    def __init__(self) -> None:
        """Begin to count.

        Raises:
            ImportError: psutil is not installed.
        """
        import psutil  # type: ignore[import-untyped, unused-ignore]  # optional

        self._psutil: Any = psutil
        self._self = psutil.Process()
        self._family: list[Any] = []
        self._next_look = 0.0
        self._gpus = Gpus()
        self._counted, self._counted_at = self._counters(), time.monotonic()
        psutil.cpu_times_percent(percpu=True)  # it, too, counts from the call before

    def measure(self, node: str) -> System:
        """Return what the machine has done since the last time."""
        cores = self._psutil.cpu_times_percent(percpu=True)
        waits = [float(getattr(core, "iowait", 0.0)) for core in cores]  # Linux alone counts them
        counted, moment = self._counters(), time.monotonic()
        passed = max(moment - self._counted_at, 1e-6)
        # Counters begin again where a device goes and comes.
        rates = [max(0.0, (new - old) / passed) for new, old in zip(counted, self._counted, strict=True)]
        self._counted, self._counted_at = counted, moment
        gpu, gpu_memory = self._gpus.measure()
        return System(
            time=now(),
            node=node,
            cpu=tuple(
                round(max(0.0, 100.0 - core.idle - wait), 1) for core, wait in zip(cores, waits, strict=True)
            ),
            io_wait=round(sum(waits) / len(waits), 2),
            memory=float(self._psutil.virtual_memory().percent),
            own_memory=self._own_memory(moment),
            disk_read=rates[0],
            disk_write=rates[1],
            network_in=rates[2],
            network_out=rates[3],
            gpu=gpu,
            gpu_memory=gpu_memory,
        )

    def _counters(self) -> tuple[float, float, float, float]:
        """Return bytes read from disks, written to them, received and sent; zeros where none are counted."""
        disk, network = (0.0, 0.0), (0.0, 0.0)
        with contextlib.suppress(OSError, RuntimeError, NotImplementedError):
            if (total := self._psutil.disk_io_counters()) is not None:
                disk = float(total.read_bytes), float(total.write_bytes)
        with contextlib.suppress(OSError, RuntimeError):
            cards = self._psutil.net_io_counters(pernic=True)
            real = [card for name, card in cards.items() if not name.startswith("lo")]
            network = (
                float(sum(card.bytes_recv for card in real)),
                float(sum(card.bytes_sent for card in real)),
            )
        return *disk, *network

    def _own_memory(self, moment: float) -> float:
        """Return the bytes that this process and those it started have; what they share counts for each."""
        gone = (self._psutil.Error, OSError)  # processes end while one looks at them
        if moment >= self._next_look:
            self._next_look = moment + _FAMILY_SECONDS
            self._family = [self._self]
            with contextlib.suppress(*gone):
                self._family += self._self.children(recursive=True)
        total = 0
        for process in self._family:
            with contextlib.suppress(*gone):
                total += process.memory_info().rss
        return float(total)


class SystemSampler:
    """Measures every so many seconds, from ``start`` to ``stop``; whatever goes wrong, the job goes on.

    A process that is forked off meanwhile (a data loader's worker) does not measure. psutil is optional, and
    so is pynvml for the GPUs.
    """

    def __init__(self, sink: Callable[[Record], object], *, node: str, interval: float) -> None:
        """Prepare to measure.

        Args:
            sink: Takes each record, in the thread that measures.
            node: Names this process in them.
            interval: Seconds from one measurement to the next.
        """
        self._sink, self._node, self._interval = sink, node, interval
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to measure; without psutil, say once that nothing is measured."""
        try:
            import psutil  # noqa: F401 - the import itself is the question
        except ImportError:
            log.line("The machine is not measured: the package psutil is not installed here")
            return
        self._thread = threading.Thread(target=self._run, name="system-sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Measure no more; it ends at once, and may be called without ``start``."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(_LONGEST_GOODBYE)
            self._thread = None

    def _run(self) -> None:
        machine, told, begun = None, False, time.monotonic()
        while not self._ending.is_set():
            try:
                if machine is None:
                    machine = Machine()
                else:
                    self._sink(machine.measure(self._node))
            except Exception as error:  # a machine that cannot be measured is no reason to fail
                if not told:
                    log.line(f"The machine cannot be measured ({type(error).__name__}: {error})")
                told = True
            # To the next whole number of intervals: nothing adds up, and what was missed is left out.
            passed = time.monotonic() - begun
            self._ending.wait(self._interval - passed % self._interval)
