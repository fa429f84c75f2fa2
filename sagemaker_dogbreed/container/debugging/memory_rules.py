"""The profiler rule that finds memory that is never given back.

https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-profiler-rules.html
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.measured_time import mean, settled
from sagemaker_dogbreed.container.debugging.rules import rule

_STRETCHES = 5  # memory that leaks grows in each; what is needed once grows in one


@rule("GPUMemoryIncrease", on="profile")
def gpu_memory_increase(
    history: History, *, increase: int = 5, patience: int = 1000, window: int = 10
) -> str | None:
    """Find a leak: GPU memory in use grows by more than ``increase`` points, and keeps growing.

    The time is cut in five stretches; of each the lowest mean of ``window`` samples counts. It must grow from
    each to the next, for what is allocated once and kept is no leak. Without a GPU, the memory of the job's
    processes must grow so, by ``increase`` percent of what it was.
    """
    for node, samples in settled(history, ("train", "evaluate"), patience).items():
        gpus = len(samples[-1].gpu_memory)
        for number in range(gpus):
            grown = _growth(
                [each.gpu_memory[number] for each in samples if len(each.gpu_memory) == gpus], window
            )
            if grown is not None and grown[1] - grown[0] > increase:
                return (
                    f"memory in use of GPU {number} of {node} has kept growing, "
                    f"from {grown[0]:.1f} % to {grown[1]:.1f} %"
                )
        grown = None if gpus else _growth([each.own_memory for each in samples], window)
        if grown is not None and grown[1] - grown[0] > grown[0] * increase / 100:
            return (
                f"the memory of the processes of {node} has kept growing, "
                f"from {grown[0] / 1e6:.0f} MB to {grown[1] / 1e6:.0f} MB"
            )
    return None


def _growth(values: Sequence[float], window: int) -> tuple[float, float] | None:
    """Return the lowest levels at the beginning and at the end, if it has grown all the time between."""
    length = len(values) // _STRETCHES
    if length < max(1, window):
        return None
    floors = [
        min(mean(values[at : at + window]) for at in range(start, start + length - window + 1, window))
        for start in range(0, length * _STRETCHES, length)
    ]
    steps = [later - earlier for earlier, later in itertools.pairwise(floors)]
    return (floors[0], floors[-1]) if min(steps) > (floors[-1] - floors[0]) / 10 > 0 else None
