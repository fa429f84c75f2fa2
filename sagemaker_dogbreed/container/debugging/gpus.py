"""What the machine's GPUs do, by NVIDIA's management library; standard library only where there are none.

https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

import os
import warnings
from typing import Any


class Gpus:
    """The GPUs that this process may use; none where there are none, or where pynvml is not installed."""

    def __init__(self) -> None:
        """Find them."""
        self._nvml: Any = None
        self._handles: list[Any] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a package of this name says that another one is newer
                import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]  # optional
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            self._handles = _visible(pynvml)
        except Exception:  # it has errors of its own: there is no driver, or no GPU
            return
        self._nvml = pynvml

    def measure(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return how busy each one is, and how much of its memory is in use (%)."""
        busy, memory = [], []
        try:
            for handle in self._handles:
                busy.append(float(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
                used = self._nvml.nvmlDeviceGetMemoryInfo(handle)
                memory.append(100 * used.used / used.total)
        except Exception:  # one fell off the bus, or is a part of one, which has no utilization
            return (), ()
        return tuple(busy), tuple(memory)


def _visible(nvml: Any) -> list[Any]:
    """Return handles of those that CUDA_VISIBLE_DEVICES names, or of all."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
    handles = []
    for name in map(str.strip, names.split(",")):
        if name.isdecimal():
            handles.append(nvml.nvmlDeviceGetHandleByIndex(int(name)))
        elif name.startswith("GPU-"):
            handles.append(nvml.nvmlDeviceGetHandleByUUID(name))
        else:
            break  # CUDA takes no more after a name it does not know
    return handles
