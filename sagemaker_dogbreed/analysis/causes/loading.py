"""Causes in what is waited for before a batch can be computed."""

from __future__ import annotations

from typing import NamedTuple

from sagemaker_dogbreed.analysis.causes.amounts import percent, points, seconds
from sagemaker_dogbreed.analysis.causes.case import FEW_BATCHES, Case
from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.causes.instances import choose, larger

_SLOW_SHARE = 0.2  # of a batch's time, as our rule Dataloader has it
_LEAST_LOSS = 0.05  # of a job's time
_LEAST_WAIT, _LEAST_SECONDS = 0.001, 5.0  # of a batch, and in all: what is less is not worth a change
_LEAST_ONCE = 60.0  # seconds of waiting while each image's features are made, which is done once
_FEW_PER_CORE, _MANY_PER_CORE = 0.7, 2.0  # workers a core, as AWS's rule Dataloader has it
_MOST_WORKERS = 8  # more hardly load faster
_BUSY, _ROOM = 90, 70  # %; processors that are busier have no time for more workers, and have some
_WAITING = 50  # %, as AWS's rule IOBottleneck has it
_IDLE_EFFECTS = ("LowGPUUtilization", "BatchSize", "batch_size", "gpu_idle", "oversized_instance")
_EFFECTS = (
    *_IDLE_EFFECTS,
    "CPUBottleneck",
    "cpu_bottleneck",
    "Dataloader",
    "StepOutlier",
    "step_outliers",
)


class Loading(NamedTuple):
    """How long a batch is waited for (seconds), how long it is computed, and the share of the time lost."""

    wait: float
    computing: float
    lost: float

    @property
    def share(self) -> float:
        """The share of a batch's time that it is waited for."""
        return self.wait / (self.wait + self.computing) if self.wait > 0 else 0.0


def slow_loading(case: Case) -> Loading | None:
    """Return the times where loading takes a large part of them, else None."""
    profile = case.profile
    if profile.loading is None or (profile.loading.count or 0) < FEW_BATCHES:
        return None
    if profile.slowest is None:
        # AWS measures loading and steps apart: a step begins when its batch is there.
        steps = profile.batches.get("train") or next(iter(profile.batches.values()), None)
        if steps is None:
            return None
        found = Loading(profile.loading.median, steps.seconds.median, 0.0)
        found = found._replace(lost=found.share)
        waits = found.wait * max(profile.loading.count or 0, steps.count)
        least = _LEAST_SECONDS
    else:
        # Several workers bring their batches in bursts, so that a median of waits would hide them.
        mode, batches = profile.slowest
        total, waits = batches.sums["total"], batches.sums["data"]
        whole = max((profile.seconds or 0.0) * max(1, len(profile.nodes)), total, 1e-9)
        lost = min(1.0, waits / whole)
        found = Loading(waits / batches.count, max(total - waits, 0.0) / batches.count, lost)
        least = _LEAST_ONCE if mode == "extract" else _LEAST_SECONDS
    if found.wait < _LEAST_WAIT or waits < least:
        return None
    return found if found.share >= _SLOW_SHARE and found.lost >= _LEAST_LOSS else None


def data_loader(case: Case) -> Cause | None:
    """Find that too few processes load images."""
    times, profile = slow_loading(case), case.profile
    cores, workers = profile.processors, profile.num_workers
    if times is None or workers is None or cores == 1:
        return None
    wanted = min(cores or 4, _MOST_WORKERS)
    busy = profile.cpu is not None and profile.cpu.median >= _BUSY
    if workers >= wanted or workers >= _FEW_PER_CORE * (cores or 4) or (busy and workers > 0):
        return None
    evidence = [*_evidence(case, times), _workers(workers, cores)]
    if profile.cpu is not None and profile.cpu.median < _ROOM:
        evidence.append(f"The cores were busy for {points(profile.cpu.median)} at the median: there is room.")
    advice = []
    if profile.pin_memory is False and case.gpu_works():
        evidence.append("pin_memory was false: the GPU's copies had to wait for the processor, too.")
        advice.append(
            "pin_memory: False → True of the DataLoader; this library's script has it so with a GPU."
        )
    then = times.wait / wanted
    if then > times.computing:
        advice.append(
            f"Look again afterwards: {wanted} workers need some {seconds(then)} a batch, which is still more "
            f"than the {seconds(times.computing)} of a step. More cores, or smaller images, are next."
        )
    explains = [*_EFFECTS, "decoding"]
    if not waits_for_disks(case):
        explains.append("IOBottleneck")
    return Cause(
        name="data_loader",
        title="Too few processes load images",
        explanation="Steps wait for their images. Worker processes load the next ones while one is computed.",
        evidence=tuple(evidence),
        change={"num_workers": (workers, wanted)},
        advice=tuple(advice),
        severity=times.lost,
        explains=tuple(explains),
    )


def decoding(case: Case) -> Cause | None:
    """Find that images come too slowly although as many processes load them as can."""
    times, profile = slow_loading(case), case.profile
    if times is None or waits_for_disks(case):
        return None
    evidence = list(_evidence(case, times))
    if profile.num_workers is not None:
        evidence.append(_workers(profile.num_workers, profile.processors))
    if profile.cpu is not None:
        evidence.append(f"The cores were busy for {points(profile.cpu.median)} at the median.")
    change = case.change(feature_cache="on") if case.setting("finetune") == "head" else {}
    change |= larger(case)
    advice = ["Store the images smaller: hardly larger than the image_size that they are trained at."]
    if not larger(case):
        advice.append(choose(case, "with more cores"))
    return Cause(
        name="decoding",
        title="Images are decoded too slowly",
        explanation="Reading, decoding and resizing images takes longer than computing them, with all the "
        "workers there is room for. Less work an image, or more cores, is what helps.",
        evidence=tuple(evidence),
        change=change,
        advice=tuple(advice),
        severity=times.lost,
        explains=_EFFECTS,
    )


def too_many_workers(case: Case) -> Cause | None:
    """Find that more processes load images than cores have time for."""
    cores, workers = case.profile.processors, case.profile.num_workers
    if cores is None or workers is None or workers <= _MANY_PER_CORE * cores or workers <= 1:
        return None
    return Cause(
        name="too_many_workers",
        title="More processes load images than there are cores for",
        explanation="They take time and memory from each other, and from the training itself.",
        evidence=(_workers(workers, cores), *case.quotes("Dataloader")),
        change={"num_workers": (workers, cores)},
        severity=0.15,
        explains=("Dataloader",),
    )


def io_bottleneck(case: Case) -> Cause | None:
    """Find that the job waits for disks or the network."""
    if not waits_for_disks(case):
        return None
    waits = case.profile.io_wait
    evidence = list(case.quotes("IOBottleneck"))
    if waits is not None:
        evidence.append(
            f"Processors waited for input and output {points(waits.median)} of the time at the median, "
            f"{points(waits.high)} at the 95th percentile."
        )
    times = slow_loading(case)
    change, advice = {}, []
    if case.settings.get("input_mode") == "FastFile" and not case.local:
        change["input_mode"] = ("FastFile", "File")
        explanation = "Images are streamed while they are needed. File mode copies them to the disk before."
    else:
        explanation = "Images come from the disk more slowly than they are needed."
        disk = "with a faster disk" if case.local else "with a disk of its own (g4dn, g5)"
        advice.append(choose(case, f"{disk}, or with more memory"))
    return Cause(
        name="io_bottleneck",
        title="The job waits for input and output",
        explanation=explanation,
        evidence=(*evidence, *(_evidence(case, times) if times else ())),
        change=change,
        advice=tuple(advice),
        severity=times.lost if times else 0.3,
        explains=("IOBottleneck", *(_IDLE_EFFECTS if times else ())),
    )


def waits_for_disks(case: Case) -> bool:
    """Return whether input and output is what processors wait for."""
    waits = case.profile.io_wait
    return case.found("IOBottleneck") or (waits is not None and waits.median > _WAITING / 2)


def _evidence(case: Case, times: Loading) -> tuple[str, ...]:
    needed = (
        f"A batch is waited for {seconds(times.wait)}, and computed in {seconds(times.computing)}: "
        f"{percent(times.share)} of the time is waiting."
    )
    gpu = case.profile.gpu
    if gpu is None:
        return (needed,)
    return (
        needed,
        f"The GPU was busy for {points(gpu.median)} at the median, and up to {points(gpu.high)}: it can.",
    )


def _workers(workers: int, cores: int | None) -> str:
    there = (
        "" if cores is None else f", and there were {cores} cores" if cores > 1 else ", and there was 1 core"
    )
    if workers == 0:
        return f"num_workers was 0: the process that trains loaded its images itself{there}."
    return f"num_workers was {workers}{there}."
