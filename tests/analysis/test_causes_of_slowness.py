"""What makes a training slow, or a machine too large, and what to change then."""

from __future__ import annotations

import pytest
from diagnosed_cases import batches, diagnosis_of, found, machine, names, span, start

GPU = {"device": "cuda", "processors": 4}


def test_too_few_workers_come_first_and_explain_the_idle_gpu():
    """A loader without workers is the cause; the GPU's idleness and small batches are not causes then."""
    diagnosis = diagnosis_of(
        start(num_workers=0, pin_memory=False, **GPU),
        batches(50, data=0.3, forward=0.02, backward=0.02),
        machine(400, gpu=(3.0,), gpu_memory=(20.0,)),
        rules=found("LowGPUUtilization", "BatchSize", "Dataloader", "CPUBottleneck"),
        batch_size="64",
    )
    assert names(diagnosis) == ["data_loader"]
    cause = diagnosis.causes[0]
    assert dict(cause.change) == {"num_workers": (0, 4)}
    assert (
        "A batch is waited for 0.3 s, and computed in 40 ms: 88 % of the time is waiting." in cause.evidence
    )
    assert any("pin_memory: False → True" in advice for advice in cause.advice)
    assert sum("It accounts for this, too: Rule" in sentence for sentence in cause.evidence) == 4


def test_waits_in_bursts_are_seen():
    """Four workers bring four batches at once: most waits are none, and the loader is slow all the same."""
    bursts = [
        batch for number, batch in enumerate(batches(80, data=0.0, forward=0.03)) if number % 4
    ] + batches(20, data=1.0, forward=0.03)
    diagnosis = diagnosis_of(start(num_workers=4, **GPU), bursts)
    assert names(diagnosis) == ["decoding"]


def test_workers_that_suffice_leave_the_decoding():
    """With as many workers as cores, images are too large or cores too few."""
    diagnosis = diagnosis_of(
        start(num_workers=4, **GPU, finetune="head", feature_cache="off"),
        batches(50, data=0.3, forward=0.03),
        machine(100, cpu=(95.0,) * 4, gpu=(5.0,), gpu_memory=(5.0,)),
        **{"compute.instance_type": "ml.g4dn.xlarge"},
    )
    assert names(diagnosis) == ["decoding"]
    assert dict(diagnosis.causes[0].change) == {
        "feature_cache": ("off", "on"),
        "compute.instance_type": ("ml.g4dn.xlarge", "ml.g4dn.2xlarge"),
    }


def test_busy_cores_get_no_more_workers():
    """Two workers that keep four cores busy are not too few."""
    diagnosis = diagnosis_of(
        start(num_workers=2, **GPU), batches(50, data=0.3, forward=0.03), machine(100, cpu=(95.0,) * 4)
    )
    assert names(diagnosis) == ["decoding"]


def test_one_core_gets_no_workers():
    """On a single core the process that trains loads images as fast as another would."""
    diagnosis = diagnosis_of(start(num_workers=0, processors=1), batches(50, data=0.3, forward=0.03))
    assert names(diagnosis) == ["decoding"]


@pytest.mark.parametrize(
    ("count", "data"), [(50, 0.001), (3, 0.3)], ids=["fast enough", "too few batches to tell"]
)
def test_a_loader_without_workers_may_be_fast_enough(count, data):
    """Few images need no workers, and a few batches tell nothing."""
    diagnosis = diagnosis_of(start(num_workers=0, **GPU), batches(count, data=data, forward=0.03))
    assert diagnosis.causes == ()


def test_waiting_that_takes_little_of_the_job_is_no_cause():
    """Seconds of an hour are not worth a change."""
    diagnosis = diagnosis_of(
        start(num_workers=0, **GPU), batches(20, data=0.3, forward=0.03), span("train", 3600.0)
    )
    assert diagnosis.causes == ()


def test_too_many_workers():
    """More than two workers a core take time from each other."""
    diagnosis = diagnosis_of(start(num_workers=16, **GPU), rules=found("Dataloader"))
    assert names(diagnosis) == ["too_many_workers"]
    assert diagnosis.changes == {"num_workers": 4}


def test_waiting_for_disks_asks_for_another_input_mode():
    """Streaming that is too slow is copied before."""
    diagnosis = diagnosis_of(
        start(num_workers=4, **GPU),
        batches(50, data=0.3, forward=0.03),
        machine(100, io_wait=60.0, gpu=(5.0,)),
        rules=found("IOBottleneck"),
        input_mode="FastFile",
    )
    assert names(diagnosis) == ["io_bottleneck"]
    assert dict(diagnosis.causes[0].change) == {"input_mode": ("FastFile", "File")}


def test_a_head_on_features_needs_no_gpu():
    """A GPU without work, where a head is trained on kept features, is too much of a machine."""
    diagnosis = diagnosis_of(
        start(on_features=True, **GPU),
        machine(400, gpu=(1.0,), gpu_memory=(5.0,)),
        rules=found("LowGPUUtilization", "BatchSize"),
        **{"compute.instance_type": "ml.g5.xlarge"},
    )
    assert names(diagnosis) == ["oversized_instance"]
    assert dict(diagnosis.causes[0].change) == {"compute.instance_type": ("ml.g5.xlarge", "ml.m5.xlarge")}


def test_batches_are_too_small_where_nothing_else_is_slow():
    """A GPU with room, whose images come in time, gets larger batches."""
    diagnosis = diagnosis_of(
        start(num_workers=4, on_features=False, **GPU),
        batches(200, data=0.001, forward=0.02),
        machine(400, gpu=(40.0,), gpu_memory=(30.0,)),
        rules=found("BatchSize", "LowGPUUtilization"),
        batch_size=32,
    )
    assert names(diagnosis) == ["batch_size"]
    assert diagnosis.changes == {"batch_size": 64}


def test_small_batches_are_no_matter_without_a_gpu():
    """On a processor a rule that finds small batches leaves the diagnosis as it is: unknown."""
    diagnosis = diagnosis_of(start(device="cpu", processors=4), machine(400), rules=found("BatchSize"))
    assert names(diagnosis) == ["rule_BatchSize"]


def test_a_processor_that_is_full_holds_the_gpu_up():
    """Where images come in time, more cores are the change."""
    diagnosis = diagnosis_of(
        start(num_workers=4, **GPU),
        machine(400, cpu=(99.0,) * 4, gpu=(5.0,)),
        rules=found("CPUBottleneck", "LowGPUUtilization"),
        **{"compute.instance_type": "ml.g5.xlarge"},
    )
    assert names(diagnosis) == ["cpu_bottleneck"]
    assert diagnosis.causes[0].change["compute.instance_type"] == ("ml.g5.xlarge", "ml.g5.2xlarge")


def test_an_idle_gpu_without_a_reason_is_named_with_the_longest_parts():
    """Then it is told what takes the time."""
    diagnosis = diagnosis_of(
        start(**GPU), machine(50, gpu=(5.0,)), span("checkpoint", 20.0), rules=found("LowGPUUtilization")
    )
    assert names(diagnosis) == ["gpu_idle"]
    assert "checkpoint took 20 s of the job's time." in diagnosis.causes[0].evidence


@pytest.mark.parametrize("rules", [(), ("GPUMemoryIncrease",)])
def test_memory_that_grows_all_the_time(rules):
    """Growth over a long job is a leak; growth at its beginning, in a peak or of a short job is not."""
    leak = diagnosis_of(
        start(), machine(1000, own_memory=lambda share: 1e9 * (1 + 3 * share)), rules=found(*rules)
    )
    assert names(leak) == ["memory_growth"]
    assert not any("tensor" in advice and "loss" in advice for advice in leak.causes[0].advice)
    assert any("num_workers" in advice for advice in leak.causes[0].advice)
    short = diagnosis_of(
        start(), machine(30, own_memory=lambda share: 1e9 * (1.8 + share)), rules=found(*rules)
    )
    assert short.causes == ()
    assert len(short.harmless) == len(rules)


@pytest.mark.parametrize(
    "own_memory",
    [
        lambda share: 1e9 * min(3, 1 + 20 * share),
        lambda share: 1e9 * (4 if 0.5 <= share < 0.75 else 1 + share),
        lambda share: 1e9 * (1 if share < 0.5 else 2 + share / 100),
    ],
    ids=["at the beginning", "a peak", "once"],
)
def test_memory_that_warms_up_is_no_leak(own_memory):
    """Only steady growth after the first third is one."""
    assert diagnosis_of(start(), machine(1000, own_memory=own_memory)).causes == ()


def test_gpu_memory_that_fills_up():
    """Our own rule has looked at what memory falls back to already; a short job tells nothing."""
    for count, expected in ((1000, ["gpu_memory_growth"]), (50, [])):
        diagnosis = diagnosis_of(
            start(**GPU),
            machine(count, gpu=(90.0,), gpu_memory=(95.0,)),
            rules=found("GPUMemoryIncrease"),
        )
        assert names(diagnosis) == expected


@pytest.mark.parametrize(("count", "expected"), [(40, []), (400, ["decoding"])])
def test_images_that_pass_once_may_be_waited_for(count, expected):
    """Features are made once: some seconds of it are no cause, minutes of a job are one."""
    diagnosis = diagnosis_of(
        start(num_workers=4, on_features=True, **GPU),
        batches(count, data=0.2, forward=0.1, mode="extract"),
        batches(20, data=0.0, forward=0.01),
    )
    assert names(diagnosis) == expected


@pytest.mark.parametrize(("count", "data"), [(9000, 0.0008), (20, 0.2)], ids=["each short", "few"])
def test_waits_that_are_short_are_no_cause(count, data):
    """Less than a millisecond a batch, or a few seconds in all, are not worth a change."""
    diagnosis = diagnosis_of(start(num_workers=0, **GPU), batches(count, data=data, forward=data))
    assert diagnosis.causes == ()


@pytest.mark.parametrize(
    ("records", "rules"),
    [
        (batches(50, data=0.3, forward=0.03), ()),
        (machine(400, cpu=(99.0,) * 4, gpu=(5.0,)), ("CPUBottleneck",)),
        (machine(400, io_wait=60.0), ("IOBottleneck",)),
        (machine(400, gpu=(0.0,), gpu_memory=(5.0,)), ("LowGPUUtilization",)),
        ([span("initialization", 1500.0), span("train", 1600.0)], ()),
        (machine(1000, own_memory=lambda share: 1e9 * (1 + 3 * share)), ()),
    ],
    ids=["decoding", "cpu", "disk", "oversized", "initialization", "memory"],
)
def test_a_job_on_this_machine_has_no_instance_to_choose(records, rules):
    """It is advised in words only."""
    told = {"compute.instance_type": "ml.m5.xlarge", "input_mode": "File"}
    for local in (True, False):
        diagnosis = diagnosis_of(
            start(num_workers=4, on_features="LowGPUUtilization" in rules, **GPU),
            records, rules=found(*rules), local=local, **told,
        )  # fmt: skip
        assert len(diagnosis.causes) == 1
        assert ("instance_type" in str(diagnosis) or "FastFile" in str(diagnosis)) is not local


def test_a_long_initialization_streams_its_images():
    """What takes half of a job before its first step is a cause."""
    diagnosis = diagnosis_of(
        start(), span("initialization", 1500.0), span("train", 1600.0), input_mode="File"
    )
    assert names(diagnosis) == ["initialization"]
    assert dict(diagnosis.causes[0].change) == {"input_mode": ("File", "FastFile")}


@pytest.mark.parametrize(("whole", "expected"), [(1000.0, ["initialization"]), (3000.0, [])])
def test_ten_minutes_are_long_for_a_short_job_only(whole, expected):
    """What counts below AWS's twenty minutes is the share of the job."""
    assert names(diagnosis_of(start(), span("initialization", 600.0), span("train", whole))) == expected


def test_slow_steps_tell_what_they_wait_for():
    """Where the slow steps spend their time on data, images are what to look at."""
    diagnosis = diagnosis_of(
        start(num_workers=4, processors=4),
        batches(400, data=0.0, forward=0.1),
        batches(4, data=2.0, forward=0.1),
        rules=found("StepOutlier"),
    )
    assert names(diagnosis) == ["step_outliers"]
    assert "95 % of the slow steps' time is in data." in diagnosis.causes[0].evidence


def test_a_straggler_is_named():
    """Of processes that train together, the one whose batches are late is named."""
    diagnosis = diagnosis_of(
        start(num_workers=4, processors=4),
        batches(50, data=0.001, forward=0.1, backward=0.3, node="rank-0"),
        batches(50, data=0.001, forward=0.3, backward=0.1, node="rank-1"),
    )
    assert names(diagnosis) == ["load_imbalance"]
    assert diagnosis.causes[0].evidence[0].startswith("rank-1 has its batch ready to learn from after 0.3 s")
