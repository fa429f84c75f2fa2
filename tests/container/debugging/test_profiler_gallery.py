"""Rules about the time of batches: for each a real training that triggers it, and one that does not.

Most measure the time that the training itself computes: what else the machine does makes no difference.
"""

from __future__ import annotations

import threading
import time

import pytest
import torch
from scripted_machine import ScriptedMachine
from timed_training import Examples, begun, busy, found, train

from sagemaker_dogbreed.container.debugging.system import Machine

PATIENCE = 30.0  # seconds until a test gives up
SOON = {"min_seconds": 0.02}
"""A test has no ten seconds to lose."""


@pytest.fixture(autouse=True)
def _alone(one_thread):
    """Steps compute in the thread whose time is measured."""


def trained(load, *, steps=20, settings=None, step_done=lambda _: None, timer=time.thread_time):
    """Return the records of a training whose loader needs ``load`` for each of a batch's four examples."""
    records = [begun(settings)]
    loader = torch.utils.data.DataLoader(Examples(4 * steps, load), batch_size=4)
    train(loader, records.append, step_done=step_done, timer=timer)
    return records


def test_a_loader_that_loads_nothing_beside_the_steps():
    """Dataloader: no processes load data on four cores, and the steps wait for it."""
    settings = {"num_workers": 0, "processors": 4}
    records = trained(lambda: busy(0.001), settings=settings)
    assert "0 processes load them, on 4 cores, less than 70 %" in found("Dataloader", records, **SOON)


def test_a_loader_without_processes_that_nothing_waits_for():
    """Dataloader: where data is there at once, processes that load it would not help."""
    settings = {"num_workers": 0, "processors": 4}
    records = trained(lambda: None, settings=settings, step_done=lambda _: busy(0.01))
    assert found("Dataloader", records, min_waiting=20, min_seconds=0.0) is None


def test_a_loader_that_is_slow_with_enough_processes():
    """Dataloader: batches that are waited for most of the time are an issue with any number of processes."""
    records = trained(lambda: busy(0.002), settings={"num_workers": 2, "processors": 2})
    assert "batches are waited for in" in found("Dataloader", records, **SOON)


def test_a_loader_that_takes_a_third_of_the_time_with_enough_processes():
    """Dataloader: on two cores two processes are what there can be; that some time is waited is no issue."""
    settings = {"num_workers": 2, "processors": 2}
    records = trained(lambda: busy(0.001), settings=settings, step_done=lambda _: busy(0.008))
    assert found("Dataloader", records, **SOON) is None
    assert found("Dataloader", records, max_waiting=20, **SOON) is not None


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # torch says so, too
def test_more_processes_than_cores_can_run():
    """Dataloader: three processes on one core are in each other's way."""
    records = [begun({"num_workers": 3, "processors": 1})]
    train(torch.utils.data.DataLoader(Examples(32), batch_size=4, num_workers=3), records.append)
    assert "3 processes load data on 1 cores" in found("Dataloader", records, min_seconds=0.0)


def test_every_twentieth_step_takes_longer():
    """StepOutlier: steps with twenty times the work cost half of the time."""

    def step_done(step):
        busy(0.02 if step % 20 == 19 else 0.001)

    records = trained(lambda: None, steps=240, step_done=step_done)
    assert "of 239 train steps of rank-0 took up to" in found("StepOutlier", records, **SOON)


def test_all_steps_take_the_same():
    """StepOutlier: steps of one kind have no outliers that matter."""
    records = trained(lambda: None, steps=240, step_done=lambda _: busy(0.001))
    assert found("StepOutlier", records, min_seconds=0.0) is None


def two_ranks(slow):
    """Return the records of two ranks that meet at each step; the second needs ``slow`` seconds a batch more.

    Time is scripted: it passes as they load and compute, and when they meet it is as late for both.
    """
    records, times = [begun(), begun(node="rank-1")], [0.0, 0.0]
    together = threading.Barrier(2, action=lambda: times.__setitem__(slice(None), [max(times)] * 2))

    def run(rank):
        def takes(seconds):
            times[rank] += seconds

        loader = torch.utils.data.DataLoader(
            Examples(80, lambda: takes(0.002 + rank * slow / 4)), batch_size=4
        )
        train(
            loader,
            records.append,
            node=f"rank-{rank}",
            step_done=lambda step: takes(0.002 * (step % 2 == rank)),
            meet=lambda: together.wait(PATIENCE),
            timer=lambda: times[rank],
        )

    ranks = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    return records


def test_a_straggler():
    """LoadBalancing: the rank that is through with its share waits for the one that loads slower."""
    said = found("LoadBalancing", two_ranks(slow=0.05), **SOON)
    assert said.startswith("rank-0 waits for the others")
    assert "rank-1 for" in said


def test_ranks_that_are_equally_fast():
    """LoadBalancing: ranks with the same work wait for each other a little, now one and now the other."""
    assert found("LoadBalancing", two_ranks(slow=0.0), min_seconds=0.0) is None


def test_a_straggler_that_only_its_waiting_tells_of():
    """LoadBalancing: live, the first rank knows its own waiting alone, and that is enough."""
    own = [record for record in two_ranks(slow=0.05) if record.node == "rank-0"]
    assert "another process never does" in found("LoadBalancing", own, **SOON)


@pytest.mark.parametrize(("second", "fires"), [(4.0, True), (88.0, False)])
def test_a_gpu_that_has_little_to_do(monkeypatch, second, fires):
    """LoadBalancing: of two GPUs one computes and one idles, or both compute (the GPUs are scripted)."""
    scripted = ScriptedMachine(gpus=2).install(monkeypatch)
    machine, records = Machine(), []

    def step_done(step):
        scripted.gpu = [90.0 + step % 5, second + step % 5]
        records.append(machine.measure("rank-0"))

    records += trained(lambda: None, step_done=step_done, timer=time.perf_counter)
    assert (found("LoadBalancing", records, patience=5) is not None) == fires
    assert found("LoadBalancing", records) is None  # by default, it is too early to say


@pytest.mark.parametrize(("seconds", "fires"), [(0.4, True), (0.0, False)])
def test_a_slow_start(seconds, fires):
    """MaxInitializationTime: a process prepares for long before its first batch, or hardly."""
    records = [begun()]
    busy(seconds)
    train(torch.utils.data.DataLoader(Examples(8), batch_size=4), records.append)
    assert (found("MaxInitializationTime", records, threshold=0.3 / 60) is not None) == fires


def test_a_rule_for_each_of_awss_names():
    """The overall rules report and never find anything, in a training that triggers others neither."""
    records = trained(lambda: None, step_done=lambda _: busy(0.01), settings={"num_workers": 0})
    assert found("OverallFrameworkMetrics", records) is None
    assert found("OverallSystemUsage", records) is None
