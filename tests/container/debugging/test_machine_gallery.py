"""Rules about the machine: for each a real training that triggers it, and one that does not.

Memory of processes is real. GPUs, and how busy cores are, are scripted: a machine that follows what the
training does takes the place of psutil and pynvml, and is measured at each thing it does.
"""

from __future__ import annotations

import dataclasses
import mmap
import sys

import psutil
import pytest
import torch
from scripted_machine import ScriptedMachine
from timed_training import Examples, begun, found, train

from sagemaker_dogbreed.container.debugging.records import Phases
from sagemaker_dogbreed.container.debugging.system import Machine

SHORT = {"patience": 10, "window": 20}


@pytest.fixture(autouse=True)
def _alone(one_thread):
    """Leave torch's threads and random state as they were."""


def trained(scripted, *, loads=None, computes=None, settings=None, steps=20):
    """Return records of a training: a sample for each example that is loaded, and one for each step.

    ``loads`` and ``computes`` set the machine's counters; without ``loads`` no time passes in loading.
    """
    records, machine = [begun(settings)], Machine()

    def sampled(change):
        def sample(step=0):
            change(step)
            records.append(machine.measure("rank-0"))

        return sample

    load = (lambda: None) if loads is None else sampled(lambda _: loads())
    step_done = (lambda _: None) if computes is None else sampled(computes)
    loader = torch.utils.data.DataLoader(Examples(4 * steps, load), batch_size=4)
    train(loader, records.append, step_done=step_done)
    return records


def at_once(records, data=0.0):
    """Return records with a share of waiting for batches that a busy machine does not change."""
    return [
        dataclasses.replace(each, parts={**each.parts, "data": data * each.total})
        if isinstance(each, Phases)
        else each
        for each in records
    ]


@pytest.fixture
def gpu(monkeypatch):
    return ScriptedMachine(gpus=1).install(monkeypatch)


@pytest.fixture
def no_gpu(monkeypatch):
    return ScriptedMachine().install(monkeypatch)


def test_a_gpu_that_waits_for_a_core(gpu):
    """CPUBottleneck: one core is busy with loading while the GPU idles, most of the time."""

    def loads():
        gpu.cpu, gpu.gpu = [97.0, 5.0], [0.0]

    def computes(_):
        gpu.cpu, gpu.gpu = [30.0, 5.0], [95.0]

    assert "the GPU waits for the CPUs" in found(
        "CPUBottleneck", trained(gpu, loads=loads, computes=computes), patience=10
    )
    assert found("CPUBottleneck", trained(gpu, computes=computes), patience=10) is None


def test_cores_that_are_busy_without_a_gpu(no_gpu):
    """CPUBottleneck: where the processors compute, it is good that they are busy."""

    def computes(_):
        no_gpu.cpu = [99.0, 99.0]

    assert found("CPUBottleneck", trained(no_gpu, computes=computes), patience=5) is None


@pytest.mark.parametrize("gpus", [0, 1])
def test_data_that_is_read_too_slowly(monkeypatch, gpus):
    """IOBottleneck: a core waits for the disk while examples are loaded, and nothing computes."""
    scripted = ScriptedMachine(gpus=gpus).install(monkeypatch)

    def loads():
        scripted.io_wait, scripted.gpu = [80.0, 0.0], [0.0] * gpus

    def computes(_):
        scripted.io_wait, scripted.gpu = [0.0, 0.0], [90.0] * gpus

    slow = at_once(trained(scripted, loads=loads, computes=computes), data=0.8)
    assert "data is read too slowly" in found("IOBottleneck", slow, patience=10)
    assert found("IOBottleneck", trained(scripted, computes=computes), patience=5) is None


def test_another_process_that_waits_for_the_disk(no_gpu):
    """IOBottleneck: a disk that is busy is no matter to a training whose batches are there in time."""

    def computes(_):
        no_gpu.io_wait = [80.0, 80.0]

    records = trained(no_gpu, computes=computes)
    assert found("IOBottleneck", at_once(records, data=0.05), patience=5) is None
    assert found("IOBottleneck", at_once(records, data=0.5), patience=5) is not None


def test_a_gpu_that_is_used_little(gpu):
    """LowGPUUtilization, BatchSize: steps are so small that GPU, its memory and cores have little to do."""

    def computes(step):
        gpu.cpu, gpu.gpu, gpu.gpu_memory = [40.0, 20.0], [20.0 + step % 3], [12.0]

    records = trained(gpu, computes=computes, steps=40)
    assert "GPU 0 of rank-0 is used little: 22 %" in found("LowGPUUtilization", records, **SHORT)
    records = at_once(records)
    assert "a larger batch would fit" in found("BatchSize", records, **SHORT)


def test_a_gpu_that_is_used_well(gpu):
    """LowGPUUtilization, BatchSize: a GPU that is busy all the time could not do more."""

    def computes(step):
        gpu.gpu, gpu.gpu_memory = [92.0 + step % 3], [60.0]

    records = at_once(trained(gpu, computes=computes, steps=40))
    assert found("LowGPUUtilization", records, **SHORT) is None
    assert found("BatchSize", records, **SHORT) is None


def test_a_gpu_that_is_busy_and_idle_in_turns(gpu):
    """LowGPUUtilization: each batch is waited for, then computed at full speed."""

    def loads():
        gpu.gpu = [0.0]

    def computes(_):
        gpu.gpu = [98.0]

    records = trained(gpu, loads=loads, computes=computes)
    assert "busy and idle in turns" in found("LowGPUUtilization", records, **SHORT)


def test_a_batch_that_is_not_to_blame(gpu):
    """BatchSize: a GPU that waits for data would wait as long for a larger batch."""

    def loads():
        gpu.cpu, gpu.gpu = [50.0, 5.0], [0.0]

    def computes(_):
        gpu.gpu = [30.0]

    records = trained(gpu, loads=loads, computes=computes)
    assert found("LowGPUUtilization", records, **SHORT) is not None
    assert found("BatchSize", at_once(records, data=0.9), **SHORT) is None


def test_processors_that_are_used_little(no_gpu):
    """LowGPUUtilization, BatchSize: without a GPU the processors are looked at, and main memory."""

    def computes(_):
        no_gpu.cpu = [60.0, 10.0]

    records = at_once(trained(no_gpu, computes=computes, steps=40))
    assert "the processors of rank-0 are used little: 35 %" in found("LowGPUUtilization", records, **SHORT)
    assert "main memory 20 %" in found("BatchSize", records, **SHORT)


def test_a_job_that_may_use_one_processor(no_gpu):
    """LowGPUUtilization: of two cores one is busy, and the job may use one."""

    def computes(_):
        no_gpu.cpu = [97.0, 3.0]

    records = trained(no_gpu, computes=computes, settings={"processors": 1}, steps=40)
    assert found("LowGPUUtilization", records, **SHORT) is None
    assert found("LowGPUUtilization", records[1:], **SHORT) is not None


def test_gpu_memory_that_leaks(gpu):
    """GPUMemoryIncrease: what each step keeps is on the GPU and stays there."""
    kept = []

    def computes(_):
        kept.append(torch.ones(10))
        gpu.gpu_memory = [10.0 + len(kept) / 4]

    records = trained(gpu, computes=computes, steps=120)
    assert "memory in use of GPU 0 of rank-0 has kept growing" in found(
        "GPUMemoryIncrease", records, patience=10
    )


def test_gpu_memory_that_is_needed_once(gpu):
    """GPUMemoryIncrease: what is allocated in a step, even much of it, and kept for all others is no leak."""

    def computes(step):
        gpu.gpu_memory = [10.0 if step < 50 else 60.0]

    assert found("GPUMemoryIncrease", trained(gpu, computes=computes, steps=120), patience=10) is None


@pytest.mark.parametrize(("leaks", "fires"), [(True, True), (False, False)])
def test_memory_of_the_process(monkeypatch, leaks, fires):
    """GPUMemoryIncrease: a training without a GPU that keeps memory of each step (measured)."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    kept = []
    size = psutil.Process().memory_info().rss // 200  # of a test process that may have grown large

    def computes(_):
        held = mmap.mmap(-1, size)  # never what the process has had and given up
        held.write(b"1" * size)
        if leaks:
            kept.append(held)

    records = trained(None, computes=computes, steps=100)
    said = found("GPUMemoryIncrease", records, patience=10)
    assert (said is not None) == fires
    if fires:
        assert said.startswith("the memory of the processes of rank-0 has kept growing")
