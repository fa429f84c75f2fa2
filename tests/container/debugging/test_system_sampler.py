"""The sampler of the machine: what it measures, and that nothing it meets stops a job."""

from __future__ import annotations

import os
import sys
import threading
from types import SimpleNamespace

import psutil
import pytest
import torch
from scripted_machine import MEGABYTE, ScriptedMachine
from timed_training import Examples

from sagemaker_dogbreed.container.debugging.gpus import Gpus
from sagemaker_dogbreed.container.debugging.records import System, from_line, to_line
from sagemaker_dogbreed.container.debugging.system import Machine, SystemSampler

PATIENCE = 30.0  # seconds until a test gives up


class Sink:
    """Keeps records, and says when there are so many."""

    def __init__(self, wanted: int) -> None:
        self.records, self.wanted, self.full = [], wanted, threading.Event()

    def __call__(self, record) -> None:
        self.records.append(record)
        if len(self.records) >= self.wanted:
            self.full.set()


def test_this_machine_is_measured_until_it_is_told_to_stop():
    """Real records come at intervals, in order, and none after the stop."""
    sink = Sink(3)
    sampler = SystemSampler(sink, node="rank-0", interval=0.01)
    sampler.start()
    assert sink.full.wait(PATIENCE)
    sampler.stop()
    count = len(sink.records)
    assert "system-sampler" not in [thread.name for thread in threading.enumerate()]
    for record in sink.records:
        assert isinstance(record, System)
        assert len(record.cpu) == psutil.cpu_count()
        assert all(0 <= busy <= 100 for busy in record.cpu)
        assert 0 < record.memory < 100
        assert record.own_memory > 10 * MEGABYTE
        assert from_line(to_line(record)) == record
    times = [record.time for record in sink.records]
    assert times == sorted(times)
    assert len(sink.records) == count


def test_stop_ends_a_long_wait_and_may_be_repeated():
    """A sampler between two measurements that are an hour apart ends at once; stopping twice is fine."""
    sampler = SystemSampler(lambda _: None, node="rank-0", interval=3600)
    sampler.stop()
    sampler = SystemSampler(lambda _: None, node="rank-0", interval=3600)
    sampler.start()
    sampler.stop()
    assert "system-sampler" not in [thread.name for thread in threading.enumerate()]
    sampler.stop()


def test_without_psutil_one_line_says_so(monkeypatch, capsys):
    """A job on a machine without psutil goes on, unmeasured."""
    monkeypatch.setitem(sys.modules, "psutil", None)
    sampler = SystemSampler(pytest.fail, node="rank-0", interval=0.001)
    sampler.start()
    sampler.stop()
    assert capsys.readouterr().out == (
        "The machine is not measured: the package psutil is not installed here\n"
    )


def test_a_machine_that_cannot_be_measured_is_tried_again(monkeypatch, capsys):
    """What fails is said once, and measured again as soon as it can be."""
    machine, sink, failures = ScriptedMachine().install(monkeypatch), Sink(1), []

    def fails_at_first():
        if len(failures) < 3:
            failures.append(1)
            raise OSError("no such file: /proc/meminfo")
        return SimpleNamespace(percent=machine.memory)

    monkeypatch.setattr(sys.modules["psutil"], "virtual_memory", fails_at_first)
    sampler = SystemSampler(sink, node="rank-0", interval=0.001)
    sampler.start()
    assert sink.full.wait(PATIENCE)
    sampler.stop()
    assert capsys.readouterr().out == (
        "The machine cannot be measured (OSError: no such file: /proc/meminfo)\n"
    )


def test_workers_that_are_forked_off_load_and_do_not_measure():
    """A data loader's processes work while the machine is measured, and the records are this process's."""
    pids = []
    sink = Sink(1)
    sampler = SystemSampler(
        lambda record: (pids.append(os.getpid()), sink(record)), node="rank-0", interval=0.001
    )
    sampler.start()
    loader = torch.utils.data.DataLoader(Examples(32), batch_size=4, num_workers=2)
    for _ in range(2):
        assert sum(len(labels) for _, labels in loader) == 32
    assert sink.full.wait(PATIENCE)
    sampler.stop()
    assert set(pids) == {os.getpid()}


def test_what_is_measured(monkeypatch):
    """Percentages are as the machine has them; of io wait the mean over cores counts."""
    machine = ScriptedMachine(gpus=2).install(monkeypatch)
    machine.cpu, machine.io_wait, machine.memory = [80.0, 10.0], [0.0, 50.0], 33.0
    machine.gpu, machine.gpu_memory, machine.children = [91.0, 3.0], [40.0, 20.0], 2
    record = Machine().measure("rank-0")
    assert record.cpu == (80.0, 10.0)
    assert record.io_wait == 25.0
    assert record.memory == 33.0
    assert record.own_memory == machine.own + 2 * MEGABYTE
    assert (record.gpu, record.gpu_memory) == ((91.0, 3.0), (40.0, 20.0))


def test_rates_are_of_the_time_between_and_never_negative(monkeypatch):
    """Counters that grow are rates, those that begin again are none; the loopback device is no network."""
    scripted = ScriptedMachine().install(monkeypatch)
    machine = Machine()
    scripted.disk, scripted.received = (5 * MEGABYTE, 0), {"lo": 7 * MEGABYTE, "eth0": 0}
    record = machine.measure("rank-0")
    assert record.disk_read > 0
    assert (record.disk_write, record.network_in, record.network_out) == (0.0, 0.0, 0.0)
    scripted.disk, scripted.received = (0, 0), {"eth0": 7}
    record = machine.measure("rank-0")
    assert record.disk_read == 0.0
    assert record.network_in > 0


def test_processes_that_vanish_and_counters_that_are_missing(monkeypatch):
    """A child that ends while one looks has no memory; without disks nothing is read."""
    scripted = ScriptedMachine().install(monkeypatch)
    scripted.children, scripted.gone, scripted.disk = 3, True, None
    record = Machine().measure("rank-0")
    assert record.own_memory == scripted.own
    assert record.disk_read == 0.0


def test_a_gpu_that_is_lost_is_no_longer_measured(monkeypatch):
    """The rest of the machine still is."""
    scripted = ScriptedMachine(gpus=1).install(monkeypatch)
    machine = Machine()
    scripted.lost, scripted.memory = True, 44.0
    record = machine.measure("rank-0")
    assert (record.memory, record.gpu, record.gpu_memory) == (44.0, (), ())


@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, (1.0, 2.0, 3.0)), ("2,0", (3.0, 1.0)), ("GPU-1", (2.0,)), ("0,-1,2", (1.0,)), ("", ())],
)
def test_gpus_are_those_that_cuda_sees(monkeypatch, visible, expected):
    """CUDA_VISIBLE_DEVICES says which GPUs are this job's; after a name that is none it has no more."""
    scripted = ScriptedMachine(gpus=3).install(monkeypatch)
    scripted.gpu = [1.0, 2.0, 3.0]
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert Gpus().measure()[0] == expected


def test_without_a_driver_there_are_no_gpus(monkeypatch):
    """The package pynvml may be installed where there is no GPU."""
    ScriptedMachine(gpus=1).install(monkeypatch)

    def no_driver():
        raise RuntimeError("NVML Shared Library Not Found")

    monkeypatch.setattr(sys.modules["pynvml"], "nvmlInit", no_driver)
    assert Gpus().measure() == ((), ())
