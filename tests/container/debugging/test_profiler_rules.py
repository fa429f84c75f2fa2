"""Profiler rules: AWS's names, parameters and defaults, and the edges of what they judge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timed_training import found

from sagemaker_dogbreed.container.debugging.records import Phases, Start, System
from sagemaker_dogbreed.container.debugging.rules import REGISTRY
from sagemaker_dogbreed.container.debugging.watch import RuleWatch

DEFAULTS = {
    "BatchSize": {
        "cpu_threshold_p95": 70,
        "gpu_threshold_p95": 70,
        "gpu_memory_threshold_p95": 70,
        "patience": 1000,
        "window": 500,
    },
    "CPUBottleneck": {"threshold": 50, "gpu_threshold": 10, "cpu_threshold": 90, "patience": 1000},
    "Dataloader": {"min_threshold": 70, "max_threshold": 200},
    "GPUMemoryIncrease": {"increase": 5, "patience": 1000, "window": 10},
    "IOBottleneck": {"threshold": 50, "gpu_threshold": 10, "io_threshold": 50, "patience": 1000},
    "LoadBalancing": {"threshold": 0.5, "patience": 1000},
    "LowGPUUtilization": {"threshold_p95": 70, "threshold_p5": 10, "window": 500, "patience": 1000},
    "MaxInitializationTime": {"threshold": 20},
    "OverallFrameworkMetrics": {},
    "OverallSystemUsage": {},
    "StepOutlier": {"stddev": 3, "n_outliers": 10},
}


def sample(time, *, gpu=(), node="rank-0", **changed):
    values = {"cpu": (20.0, 20.0), "io_wait": 0.0, "memory": 20.0, "own_memory": 1e9}
    values |= {"disk_read": 0.0, "disk_write": 0.0, "network_in": 0.0, "network_out": 0.0}
    values |= {"gpu": gpu, "gpu_memory": tuple(10.0 for _ in gpu)}
    return System(time=float(time), node=node, **(values | changed))


def batch(time, *, total=1.0, mode="train", node="rank-0", **parts):
    return Phases(time=float(time), node=node, mode=mode, step=0, total=total, parts=parts)


@pytest.mark.parametrize("name", DEFAULTS)
def test_names_parameters_and_defaults_are_awss(name):
    """A rule is asked where AWS asks its own, and takes what that takes; some take more."""
    rule = REGISTRY[name]
    assert rule.on == "profile"
    assert rule.profiles
    assert {key: rule.parameters[key] for key in DEFAULTS[name]} == DEFAULTS[name]


def test_without_records_nothing_is_found():
    """A job that has hardly begun has no issues, and no rule fails."""
    for records in ([], [Start(time=0.0, node="rank-0", settings={})], [batch(1)], [sample(1)]):
        assert [found(name, records) for name in DEFAULTS] == [None] * len(DEFAULTS)


@pytest.mark.parametrize(("samples", "fires"), [(1000, False), (1499, False), (1500, True)])
def test_patience_and_window(samples, fires):
    """By default the first 1000 samples are not judged, and then 500 are needed."""
    records = [sample(time, gpu=(5.0,)) for time in range(samples)]
    assert (found("LowGPUUtilization", records) is not None) == fires
    assert (found("BatchSize", records) is not None) == fires


def test_only_the_time_of_training_is_judged():
    """A GPU idles before the first batch and after the last, and that is as it should be."""
    records = [sample(time, gpu=(95.0 if 100 <= time <= 200 else 0.0,)) for time in range(300)]
    parameters = {"patience": 0, "window": 50}
    assert found("LowGPUUtilization", records, **parameters) is not None
    assert found("LowGPUUtilization", [*records, batch(100), batch(200)], **parameters) is None


def test_a_head_on_kept_features_is_judged_by_how_they_were_made():
    """Where images pass the backbone once, that is when the machine should be busy."""
    start = Start(time=0.0, node="rank-0", settings={"on_features": True})
    records = [start, *(sample(time, gpu=(95.0 if time < 100 else 2.0,)) for time in range(300))]
    records += [batch(0, mode="extract"), batch(99, mode="extract"), batch(100), batch(299)]
    assert found("LowGPUUtilization", records, patience=0, window=50) is None
    assert found("BatchSize", records, patience=0, window=50) is None


def test_each_node_is_judged_by_itself():
    """One machine of several that is used little is found among others that are not."""
    records = [sample(time, gpu=(95.0,)) for time in range(50)]
    records += [sample(time, gpu=(95.0, 5.0), node="rank-8") for time in range(50)]
    assert "GPU 1 of rank-8" in found("LowGPUUtilization", records, patience=0, window=50)


def test_the_threshold_of_a_bottleneck_is_a_share_of_time():
    """Half of the time is not more than half of the time."""
    idle = [sample(time, gpu=(0.0,), cpu=(95.0, 0.0)) for time in range(10)]
    good = [sample(time, gpu=(90.0,), cpu=(95.0, 0.0)) for time in range(10, 20)]
    assert found("CPUBottleneck", [*idle, *good], patience=0) is None
    assert "in 53 % of the time" in found("CPUBottleneck", [*idle, *good[1:]], patience=0)
    waits_for_else = [sample(time, gpu=(0.0,), cpu=(80.0, 0.0)) for time in range(10)]
    assert found("CPUBottleneck", waits_for_else, patience=0) is None


def test_memory_that_grew_in_the_beginning():
    """What grew in the first stretches and then did not is no leak, nor what comes and goes."""
    levels = [min(time, 40) for time in range(100)]
    records = [sample(time, gpu=(90.0,), gpu_memory=(10.0 + level,)) for time, level in enumerate(levels)]
    assert found("GPUMemoryIncrease", records, patience=0) is None
    records = [sample(time, gpu=(90.0,), gpu_memory=(10.0 + time % 20,)) for time in range(100)]
    assert found("GPUMemoryIncrease", records, patience=0) is None
    records = [sample(time, gpu=(90.0,), gpu_memory=(10.0 + time / 10,)) for time in range(100)]
    assert "from 10.4 % to 18.4 %" in found("GPUMemoryIncrease", records, patience=0)


def test_waiting_that_costs_little_is_no_issue():
    """A short training that waits for its data all the time has not lost ten seconds yet."""
    start = Start(time=0.0, node="rank-0", settings={"num_workers": 0, "processors": 4})
    assert found("Dataloader", [start, *(batch(time, data=0.9) for time in range(11))]) is None
    assert found("Dataloader", [start, *(batch(time, data=0.9) for time in range(12))]) is not None


@pytest.mark.parametrize(
    ("workers", "cores", "waits", "fires"),
    [
        (2, 4, 0.3, True),
        (3, 4, 0.3, False),
        (2, 4, 0.1, False),
        (0, 1, 0.3, False),
        (None, 4, 0.3, False),
        (3, 4, 0.6, True),
        (0, 1, 0.6, True),
        (None, 4, 0.6, True),
        (8, 4, 0.0, False),
        (9, 4, 0.0, True),
    ],
)
def test_processes_that_load_data(workers, cores, waits, fires):
    """Too few matter where batches are waited for, too many always; what is not known is not judged."""
    start = Start(time=0.0, node="rank-0", settings={"num_workers": workers, "processors": cores})
    records = [start, *(batch(time, data=waits) for time in range(100))]
    assert (found("Dataloader", records) is not None) == fires


def test_the_first_batch_of_a_pass_is_no_outlier():
    """A loader starts its processes with each pass; that each pass begins slowly is not the steps' fault."""
    records, time = [], 0
    for _ in range(20):
        for step in range(10):
            time += 1
            records.append(batch(time, total=10.0 if step == 0 else 1.0))
        time += 1
        records.append(batch(time, mode="evaluate"))
    assert found("StepOutlier", records) is None
    slow = [batch(time, total=10.0 if time % 10 == 5 else 1.0) for time in range(200)]
    assert "20 of 199 train steps" in found("StepOutlier", slow)
    assert found("StepOutlier", slow, mode="evaluate") is None
    assert found("StepOutlier", slow, n_outliers=20) is None


def test_a_process_without_a_batch_yet():
    """While it waits for its first batch, a process is judged by how long it has waited so far."""
    start = Start(time=0.0, node="rank-0", settings={})
    assert found("MaxInitializationTime", [start, sample(1200)]) is None
    assert "spent 21.0 minutes before" in found("MaxInitializationTime", [start, sample(1260)])


def test_each_start_of_a_process_is_judged():
    """A job that was interrupted begins again; each time its first batch may come late."""
    starts = [Start(time=time, node="rank-0", settings={}) for time in (0.0, 600.0, 2000.0)]
    assert found("MaxInitializationTime", [*starts[:2], batch(1000)]) is None
    assert found("MaxInitializationTime", [*starts, batch(1000), batch(2100)]) is None
    assert "31.7 minutes" in found("MaxInitializationTime", [*starts, batch(1000), batch(3901)])


def test_without_starts_the_first_sample_is_the_beginning():
    """What AWS measured of a job tells no start."""
    assert found("MaxInitializationTime", [sample(0), batch(1500)]) is not None


numbers = st.floats(-1e9, 1e9) | st.just(float("nan"))


@given(
    st.lists(
        st.builds(
            sample,
            numbers,
            gpu=st.lists(numbers, max_size=2).map(tuple),
            cpu=st.lists(numbers, max_size=2).map(tuple),
            io_wait=numbers,
        )
        | st.builds(batch, numbers, total=numbers, data=numbers, forward=numbers),
        max_size=30,
    )
)
def test_no_record_makes_a_rule_fail(records):
    """Rules judge whatever is in the files of a job."""
    rules = [
        REGISTRY[name].with_parameters(
            {key: 0 for key in ("patience", "min_seconds") if key in REGISTRY[name].parameters}
            | {key: 1 for key in ("window",) if key in REGISTRY[name].parameters}
        )
        for name in DEFAULTS
    ]
    watch = RuleWatch.replayed(rules, records)
    assert [status.details for status in watch.statuses(profiles=True) if status.status == "Error"] == []
