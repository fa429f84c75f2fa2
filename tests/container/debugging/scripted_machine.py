"""A machine whose counters are what a test sets, behind psutil and pynvml."""

from __future__ import annotations

import sys
from types import SimpleNamespace

MEGABYTE = 1_000_000


class ScriptedMachine:
    """Two cores and some GPUs; percentages are 0 to 100."""

    def __init__(self, gpus: int = 0) -> None:
        self.cpu = [0.0, 0.0]
        self.io_wait = [0.0, 0.0]
        self.memory = 20.0
        self.own = 500 * MEGABYTE
        self.children = 0
        self.gone = False
        self.disk: tuple[int, int] | None = (0, 0)
        self.received = {"lo": 0, "eth0": 0}
        self.gpu = [0.0] * gpus
        self.gpu_memory = [10.0] * gpus
        self.lost = False

    def install(self, monkeypatch) -> ScriptedMachine:
        monkeypatch.setitem(sys.modules, "psutil", self._psutil())
        monkeypatch.setitem(sys.modules, "pynvml", self._pynvml() if self.gpu else None)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        return self

    def _psutil(self) -> SimpleNamespace:
        def core(busy: float, io_wait: float) -> SimpleNamespace:
            return SimpleNamespace(idle=100.0 - busy - io_wait, iowait=io_wait)

        class NoSuchProcessError(Exception):
            pass

        def own_memory() -> SimpleNamespace:
            return SimpleNamespace(rss=self.own)

        def childs_memory() -> SimpleNamespace:
            if self.gone:
                raise NoSuchProcessError
            return SimpleNamespace(rss=MEGABYTE)

        process = SimpleNamespace(
            memory_info=own_memory,
            children=lambda recursive: [SimpleNamespace(memory_info=childs_memory)] * self.children,
        )
        return SimpleNamespace(
            Error=NoSuchProcessError,
            Process=lambda: process,
            cpu_times_percent=lambda percpu: list(map(core, self.cpu, self.io_wait)),
            virtual_memory=lambda: SimpleNamespace(percent=self.memory),
            disk_io_counters=lambda: (
                self.disk and SimpleNamespace(read_bytes=self.disk[0], write_bytes=self.disk[1])
            ),
            net_io_counters=lambda pernic: {
                name: SimpleNamespace(bytes_recv=count, bytes_sent=0) for name, count in self.received.items()
            },
        )

    def _pynvml(self) -> SimpleNamespace:
        def utilization(number: int) -> SimpleNamespace:
            if self.lost:
                raise RuntimeError("GPU is lost")
            return SimpleNamespace(gpu=self.gpu[number])

        return SimpleNamespace(
            nvmlInit=lambda: None,
            nvmlDeviceGetCount=lambda: len(self.gpu),
            nvmlDeviceGetHandleByIndex=lambda number: number,
            nvmlDeviceGetHandleByUUID=lambda name: int(name.removeprefix("GPU-")),
            nvmlDeviceGetUtilizationRates=utilization,
            nvmlDeviceGetMemoryInfo=lambda number: SimpleNamespace(used=self.gpu_memory[number], total=100),
        )
