"""Profiler rules that judge how busy the machine is.

``patience`` is how many samples of a node's training are not judged: at 500 ms, the first 500 seconds. Where
there is no GPU, a rule about GPUs looks at what computes instead, and says how.
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-profiler-rules.html
"""

from __future__ import annotations

from collections.abc import Sequence

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.measured_time import (
    image_modes,
    mean,
    quantile,
    settled,
    waited,
)
from sagemaker_dogbreed.container.debugging.records import System
from sagemaker_dogbreed.container.debugging.rules import rule

_WAITING = 0.5  # the share of time from which on a step waits for data, and nothing else is to blame
_WORTH_A_LOOK = 0.1  # the share of time below which data is no bottleneck


@rule("BatchSize", on="profile")
def batch_size(
    history: History,
    *,
    cpu_threshold_p95: int = 70,
    gpu_threshold_p95: int = 70,
    gpu_memory_threshold_p95: int = 70,
    patience: int = 1000,
    window: int = 500,
) -> str | None:
    """Find that a larger batch would fit, for CPU, GPU and its memory are all used little (95th percentile).

    Where steps wait for data most of the time, the batch is not to blame, nor where a head is trained on kept
    features. Without a GPU, CPU and main memory count.
    """
    if history.settings.get("on_features") is True:
        return None
    waits, total = waited(history, ("train",))
    if waits > _WAITING * total:
        return None
    for node, samples in settled(history, ("train", "evaluate"), patience).items():
        looked_at = samples[-window:]
        if len(looked_at) < window:
            continue
        cpu = quantile((mean(sample.cpu) for sample in looked_at), 0.95)
        memory = quantile((max(sample.gpu_memory, default=sample.memory) for sample in looked_at), 0.95)
        gpu = quantile((max(sample.gpu, default=0.0) for sample in looked_at), 0.95)
        if cpu < cpu_threshold_p95 and gpu < gpu_threshold_p95 and memory < gpu_memory_threshold_p95:
            measured = f"CPUs {cpu:.0f} %, GPUs {gpu:.0f} %, GPU memory {memory:.0f} %"
            if not looked_at[-1].gpu:
                measured = f"CPUs {cpu:.0f} %, main memory {memory:.0f} %"
            return f"{node} is used little (95th percentiles: {measured}): a larger batch would fit"
    return None


@rule("CPUBottleneck", on="profile")
def cpu_bottleneck(
    history: History,
    *,
    threshold: int = 50,
    gpu_threshold: int = 10,
    cpu_threshold: int = 90,
    patience: int = 1000,
) -> str | None:
    """Find that, most of the time (``threshold``, %), a GPU idles while a core is busy.

    Without a GPU nothing waits for the CPUs that is not computed there: never an issue.
    """
    for node, samples in settled(history, image_modes(history), patience).items():
        share = _share(
            samples,
            [
                min(sample.gpu, default=100.0) < gpu_threshold
                and max(sample.cpu, default=0.0) > cpu_threshold
                for sample in samples
            ],
        )
        if share > threshold:
            return (
                f"in {share:.0f} % of the time a GPU of {node} was less than {gpu_threshold} % busy while a "
                f"core was more than {cpu_threshold} % busy: the GPU waits for the CPUs"
            )
    return None


@rule("IOBottleneck", on="profile")
def io_bottleneck(
    history: History,
    *,
    threshold: int = 50,
    gpu_threshold: int = 10,
    io_threshold: int = 50,
    patience: int = 1000,
) -> str | None:
    """Find that, most of the time (``threshold``, %), a GPU idles while processors wait for input and output.

    They wait when what all cores wait adds up to ``io_threshold`` percent of one core: a process waits on
    one. Without a GPU their waiting alone counts. It is no bottleneck where batches are there in time.
    """
    modes = image_modes(history)
    waits, total = waited(history, modes)
    if total and waits < _WORTH_A_LOOK * total:
        return None
    for node, samples in settled(history, modes, patience).items():
        share = _share(
            samples,
            [
                min(sample.gpu, default=0.0) < gpu_threshold
                and sample.io_wait * len(sample.cpu) > io_threshold
                for sample in samples
            ],
        )
        if share > threshold:
            idle = f"a GPU was less than {gpu_threshold} % busy while " if samples[-1].gpu else ""
            return (
                f"in {share:.0f} % of the time {idle}processors of {node} waited for input and output: "
                "data is read too slowly"
            )
    return None


@rule("LowGPUUtilization", on="profile")
def low_gpu_utilization(
    history: History,
    *,
    threshold_p95: int = 70,
    threshold_p5: int = 10,
    window: int = 500,
    patience: int = 1000,
) -> str | None:
    """Find a GPU that is never busy (95th percentile), or busy and idle in turns (5th percentile).

    Without a GPU, the processors that the job may use are looked at as one device, which may idle in turns.
    """
    for node, samples in settled(history, image_modes(history), patience).items():
        looked_at = samples[-window:]
        if len(looked_at) < window:
            continue
        gpus = len(looked_at[-1].gpu)
        for number in range(gpus):
            busy = [sample.gpu[number] for sample in looked_at if len(sample.gpu) == gpus]
            high, low = quantile(busy, 0.95), quantile(busy, 0.05)
            if high < threshold_p95:
                return f"GPU {number} of {node} is used little: {high:.0f} % (95th percentile)"
            if low < threshold_p5:
                return (
                    f"GPU {number} of {node} is busy and idle in turns: {low:.0f} % (5th percentile) to "
                    f"{high:.0f} % (95th percentile)"
                )
        if not gpus:
            high = quantile((_processors_busy(history, sample) for sample in looked_at), 0.95)
            if high < threshold_p95:
                return f"the processors of {node} are used little: {high:.0f} % (95th percentile)"
    return None


@rule("OverallSystemUsage", on="profile")
def overall_system_usage(_history: History) -> str | None:
    """Find nothing: as AWS's rule, it stands for the quantiles in the profile, which always are there."""
    return None


def _share(samples: Sequence[System], found: Sequence[bool]) -> float:
    return 100 * sum(found) / len(samples)


def _processors_busy(history: History, sample: System) -> float:
    """Return how busy those cores are that the job may use (%), if it alone uses them."""
    told = history.settings.get("processors")
    cores = told if isinstance(told, int) and 0 < told < len(sample.cpu) else len(sample.cpu)
    return min(100.0, sum(sample.cpu) / cores) if cores else float("nan")
