"""Causes in the machine: too much of it, too little of it, or ever less of it."""

from __future__ import annotations

import itertools

from sagemaker_dogbreed.analysis.causes.amounts import percent, points, seconds, size
from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.causes.instances import WITHOUT_GPU, choose, instance_type, larger
from sagemaker_dogbreed.analysis.quantiles import Quantiles
from sagemaker_dogbreed.container import hparams

_IDLE = 10  # %, as AWS's rule LowGPUUtilization has it
_ROOM = 70  # %, as AWS's rule BatchSize has it
_FEW_SAMPLES = 100  # some 50 seconds
_GROWTH, _GROWN_BYTES = 1.2, 200_000_000
_STEADY = 0.15  # of the growth, in each of three equal times; memory that warms up grows less and less
_LONG_SECONDS = 5 * 60  # before, libraries and workers fill memory for the first time
_OWN_CODE = "Own transforms and rules must not keep images, tensors or records from one call to the next."


def oversized_instance(case: Case) -> Cause | None:
    """Find that a GPU has next to nothing to do, for a head is trained on kept features."""
    gpu = case.profile.gpu
    if not case.gpu_works() or gpu is None or gpu.median >= _IDLE or not _on_features(case):
        return None
    old = instance_type(case)
    return Cause(
        name="oversized_instance",
        title="The instance's GPU is hardly used",
        explanation="Only the head is trained, on features that each image yields once. That is work for a "
        "processor; an instance without a GPU does it at a fraction of the price.",
        evidence=(
            f"The GPU was busy for {points(gpu.median)} at the median.",
            "finetune is head and features are kept: images pass the backbone once.",
            *case.quotes("LowGPUUtilization"),
        ),
        change={"compute.instance_type": (old, WITHOUT_GPU)} if old else {},
        advice=()
        if old
        else (choose(case, "without a GPU" if case.local else f"without a GPU, such as {WITHOUT_GPU}"),),
        severity=0.3,
        explains=("LowGPUUtilization", "BatchSize", "batch_size", "gpu_idle"),
    )


def batch_size(case: Case) -> Cause | None:
    """Find that batches are too small to keep a GPU busy."""
    profile = case.profile
    if not case.gpu_works() or _on_features(case):
        return None
    measured = (profile.gpu, profile.gpu_memory, profile.cpu)
    roomy = profile.samples >= _FEW_SAMPLES and all(
        each is not None and each.high < _ROOM for each in measured
    )
    if not case.found("BatchSize") and not roomy:
        return None
    evidence = [
        f"{name} was at {points(each.high)} at the 95th percentile."
        for name, each in zip(("The GPU", "The GPU's memory", "The processor"), measured, strict=True)
        if each is not None
    ]
    old = case.setting("batch_size")
    change = {}
    if old is not None:
        change["batch_size"] = (old, min(2 * old, hparams.rules("batch_size")["maximum"]))
    return Cause(
        name="batch_size",
        title="Batches are too small for the GPU",
        explanation="Neither the GPU nor its memory nor the processor is busy, and images do not come too "
        "slowly: larger batches give the GPU more to do at a time.",
        evidence=(*evidence, *case.quotes("BatchSize")),
        change=change,
        advice=("Raise learning_rate with it, and look at the validation loss.",),
        severity=_lost(profile.gpu, 0.4),
        explains=("BatchSize", "LowGPUUtilization", "gpu_idle"),
    )


def gpu_idle(case: Case) -> Cause | None:
    """Find that a GPU is idle for a reason that is none of the others."""
    gpu = case.profile.gpu
    if not case.found("LowGPUUtilization"):
        return None
    evidence = list(case.quotes("LowGPUUtilization"))
    if gpu is not None:
        evidence.append(f"The GPU was busy for {points(gpu.median)} at the median.")
    longest = sorted(case.profile.spans.items(), key=lambda pair: -pair[1])[:3]
    evidence += [f"{name} took {seconds(length)} of the job's time." for name, length in longest]
    return Cause(
        name="gpu_idle",
        title="The GPU is idle much of the time",
        explanation="What it waits for is none of the usual: neither images nor small batches.",
        evidence=tuple(evidence),
        advice=("Look at what the job does when the GPU is idle: initialization, evaluation, checkpoints.",),
        severity=_lost(gpu, 0.3),
        explains=("LowGPUUtilization",),
    )


def cpu_bottleneck(case: Case) -> Cause | None:
    """Find that the GPU waits for the processor."""
    if not case.found("CPUBottleneck"):
        return None
    cpu = case.profile.cpu
    change = larger(case)
    busy = () if cpu is None else (f"The cores were busy for {points(cpu.high)} at the 95th percentile.",)
    return Cause(
        name="cpu_bottleneck",
        title="The GPU waits for the processor",
        explanation="All cores are busy while the GPU has nothing to do.",
        evidence=(*case.quotes("CPUBottleneck"), *busy),
        change=change,
        advice=() if change else (choose(case, "with more cores for its GPU"),),
        severity=0.4,
        explains=("CPUBottleneck", "LowGPUUtilization", "BatchSize", "gpu_idle", "batch_size"),
    )


def memory_growth(case: Case) -> Cause | None:
    """Find that the job's processes take ever more memory."""
    if not long_enough(case):
        return None
    found = case.profile.gpus == 0 and case.found("GPUMemoryIncrease")  # it judges main memory then
    evidence = list(case.quotes("GPUMemoryIncrease")) if found else []
    if len(case.profile.own_memory) == 6:
        values = case.profile.own_memory[2:]  # after the first third
        growth = values[-1] - values[0]
        steady = all(after - before > _STEADY * growth for before, after in itertools.pairwise(values))
        if steady and growth >= max(_GROWN_BYTES, (_GROWTH - 1) * values[0]):
            evidence.append(
                f"After a third of the time the job's processes had {size(values[0])}, and in the end "
                f"{size(values[-1])}: {percent(values[-1] / values[0] - 1)} more, and it grew all the time."
            )
    if not evidence:
        return None
    memory = case.profile.memory
    full = memory is not None and memory.high > 85
    return Cause(
        name="memory_growth",
        title="Memory grows all the time",
        explanation="Something is kept that is no longer needed. A longer job would end for want of memory.",
        evidence=tuple(evidence),
        change=larger(case) if full else {},
        advice=(
            "Lower num_workers: each process that loads images has memory of its own.",
            "Lower batch_size, which makes all batches that wait smaller.",
            choose(case, "with more memory"),
            _OWN_CODE,
        ),
        severity=0.8 if full else 0.4,
        explains=("GPUMemoryIncrease", "gpu_memory_growth") if found else (),
    )


def gpu_memory_growth(case: Case) -> Cause | None:
    """Find that a GPU's memory fills up and does not empty again."""
    memory = case.profile.gpu_memory
    if not case.found("GPUMemoryIncrease") or falls_back(case) or not long_enough(case):
        return None
    usage = () if memory is None else (f"At most {points(memory.high)} of the GPU's memory was in use.",)
    return Cause(
        name="gpu_memory_growth",
        title="The GPU's memory fills up",
        explanation="Something on the GPU is kept by the step. A longer job would end for want of memory.",
        evidence=(*case.quotes("GPUMemoryIncrease"), *usage),
        advice=("Lower batch_size.", choose(case, "with more GPU memory"), _OWN_CODE),
        severity=0.7 if memory is not None and memory.high > 85 else 0.35,
        explains=("GPUMemoryIncrease",),
    )


def long_enough(case: Case) -> bool:
    """Return whether a job ran so long that memory which still grows is no warming up."""
    return case.profile.seconds is None or case.profile.seconds >= _LONG_SECONDS


def falls_back(case: Case) -> bool:
    """Return whether a GPU's memory is little used half of the time, which no leak lets it be.

    AWS's rule finds growth in a few measurements; ours looks at what memory falls back to, itself.
    """
    memory = case.profile.gpu_memory
    if case.profile.origin == "records":
        return False
    return memory is not None and memory.median < memory.high / 2


def _on_features(case: Case) -> bool:
    if case.profile.on_features is not None:
        return case.profile.on_features
    return bool(case.setting("finetune") == "head" and case.setting("feature_cache") == "on")


def _lost(gpu: Quantiles | None, otherwise: float) -> float:
    """Return the share of the time in which a GPU had nothing to do, or a guess; half of it can be won."""
    return otherwise if gpu is None else max(0.1, (1 - gpu.median / 100) / 2)
