"""The clock of batches: what it writes, and when it waits for a GPU."""

from __future__ import annotations

import itertools

import pytest
import torch

from sagemaker_dogbreed.container.debugging.clock import StepClock, now
from sagemaker_dogbreed.container.debugging.records import Phases, Span, from_line, to_line

CPU = torch.device("cpu")
PHASES = ("data", "copy", "forward", "backward", "optimizer")


def ticking():
    """A timer that is one second further whenever it is asked."""
    return itertools.count().__next__


@pytest.fixture
def records():
    return []


@pytest.fixture
def waits(monkeypatch):
    """How often the GPU is waited for."""
    calls = []
    monkeypatch.setattr(torch.cuda, "synchronize", calls.append)
    return calls


def test_a_batchs_phases_and_its_total(records):
    """Each phase has the time since the one before, and the total is from end to end."""
    clock = StepClock(records.append, node="rank-1", device=CPU, exact_every=1, timer=ticking())
    clock.begin("train")
    for phase in PHASES:
        clock.lap(phase)
    clock.batch_ended(7)
    (record,) = records
    assert (record.node, record.mode, record.step) == ("rank-1", "train", 7)
    assert record.parts == dict.fromkeys(PHASES, 1.0)
    assert record.total == 6.0


def test_a_phase_that_comes_twice_adds_up(records):
    """A phase that a batch goes through twice has both times."""
    clock = StepClock(records.append, node="rank-0", device=CPU, exact_every=1, timer=ticking())
    clock.begin("train")
    for phase in ("data", "copy", "data"):
        clock.lap(phase)
    clock.batch_ended(0)
    assert records[0].parts == {"data": 2.0, "copy": 1.0}


def test_writing_a_record_is_in_no_phase(records):
    """The next batch's first phase begins when the record is written, its total where the last one ended."""
    timer = ticking()
    clock = StepClock(
        lambda record: (records.append(record), timer(), timer()),
        node="rank-0",
        device=CPU,
        exact_every=1,
        timer=timer,
    )
    clock.begin("train")
    clock.batch_ended(0)
    clock.lap("data")
    clock.batch_ended(1)
    assert records[1].parts == {"data": 1.0}
    assert records[1].total == 5.0


def test_a_new_pass_forgets_what_came_between(records):
    """The time between two passes is no batch's, nor is a batch that was not there."""
    clock = StepClock(records.append, node="rank-0", device=CPU, exact_every=1, timer=ticking())
    clock.begin("train")
    clock.lap("data")
    clock.begin("evaluate")
    clock.lap("data")
    clock.batch_ended(0)
    assert [(record.mode, record.total, record.parts) for record in records] == [
        ("evaluate", 2.0, {"data": 1.0})
    ]


def test_the_times_of_records_never_go_backwards(records, monkeypatch):
    """Records are in order of time even where the machine's clock is set back meanwhile."""
    clock = StepClock(records.append, node="rank-0", device=CPU, exact_every=1)
    before = now()
    monkeypatch.setattr("time.time", lambda: 0.0)
    clock.begin("train")
    for step in range(3):
        clock.batch_ended(step)
    with clock.span("checkpoint"):
        clock.batch_ended(3)
    times = [before, *(record.time for record in records), now()]
    assert times == sorted(times)


def test_a_span_is_written_however_it_ends(records):
    """A part of the job that fails has taken its time, too."""
    clock = StepClock(records.append, node="rank-0", device=CPU, exact_every=1, timer=ticking())
    with clock.span("checkpoint"):
        pass
    with pytest.raises(RuntimeError), clock.span("test"):
        raise RuntimeError
    assert [(type(record), record.name, record.seconds) for record in records] == [
        (Span, "checkpoint", 1.0),
        (Span, "test", 1.0),
    ]


def test_records_can_be_written_and_read(records):
    """What the clock writes is a record, to the last digit."""
    clock = StepClock(records.append, node="rank-0", device=CPU, exact_every=1)
    clock.begin("extract")
    clock.lap("data")
    clock.batch_ended(0)
    assert from_line(to_line(records[0])) == records[0]
    assert isinstance(records[0], Phases)


def test_a_gpu_is_waited_for_in_one_batch_of_many(records, waits):
    """In an exact batch before it and in each phase but that of data; in the others never."""
    clock = StepClock(records.append, node="rank-0", device=torch.device("cuda"), exact_every=3)
    counts = []
    clock.begin("train")
    for step in range(4):
        for phase in PHASES:
            clock.lap(phase)
        counts.append(len(waits))
        clock.batch_ended(step)
    assert counts == [5, 5, 5, 10]
    assert [set(record.parts) for record in records] == [set(PHASES), {"data"}, {"data"}, set(PHASES)]


def test_each_modes_batches_are_counted_apart(records, waits):
    """The first batch of a mode is exact, however many of another there were."""
    clock = StepClock(records.append, node="rank-0", device=torch.device("cuda"), exact_every=100)
    for mode in ("train", "evaluate", "train"):
        clock.begin(mode)
        for step in range(2):
            for phase in ("data", "forward"):
                clock.lap(phase)
            clock.batch_ended(step)
    assert ["forward" in record.parts for record in records] == [True, False, True, False, False, False]


def test_a_processor_needs_no_waiting(records, waits):
    """Without a GPU every batch is exact, and none is waited for."""
    clock = StepClock(records.append, node="rank-0", device=CPU, exact_every=100)
    clock.begin("train")
    for step in range(3):
        clock.lap("forward")
        clock.batch_ended(step)
    assert waits == []
    assert all("forward" in record.parts for record in records)
