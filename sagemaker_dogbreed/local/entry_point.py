"""How a job's script is started: one process, or several under torchrun, as the training toolkit does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DISTRIBUTED = "sagemaker_torch_distributed_enabled"
PROCESSES_PER_HOST = "sagemaker_mpi_num_of_processes_per_host"
MOST_PROCESSES = 64

# Not with the script's folder on torchrun's own path (-P). It finds a free port of its own, and stays
# on this machine's own address.
_TORCHRUN = (
    "-P",
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--local_addr",
    "127.0.0.1",
    "--nnodes",
    "1",
)


def gpu_count() -> int:
    """Return how many GPUs this machine's driver knows."""
    driver = Path("/proc/driver/nvidia/gpus")
    return len(list(driver.iterdir())) if driver.is_dir() else 0


def is_distributed(hyperparameters: Mapping[str, Any]) -> bool:
    """Return whether the (decoded) hyperparameters ask for torchrun."""
    return str(hyperparameters.get(DISTRIBUTED, "")).lower() == "true"


def process_count(hyperparameters: Mapping[str, Any]) -> int:
    """Return how many processes torchrun starts: as many as asked, else one a GPU, else one.

    Raises:
        ValueError: What is asked for is no number of processes.
    """
    asked = hyperparameters.get(PROCESSES_PER_HOST)
    if asked is None:
        return max(1, gpu_count())
    text = str(asked)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_PROCESSES:
        raise ValueError(
            f"{PROCESSES_PER_HOST} must be a whole number from 1 to {MOST_PROCESSES}, got {text[:100]!r}"
        )
    return int(text)


def command(hyperparameters: Mapping[str, Any], program: str, arguments: list[str]) -> list[str]:
    """Return the command that runs a script in the container's code folder."""
    if not is_distributed(hyperparameters):
        return [sys.executable, "--", program, *arguments]
    processes = str(process_count(hyperparameters))
    return [sys.executable, *_TORCHRUN, "--nproc_per_node", processes, program, *arguments]


def environment(hyperparameters: Mapping[str, Any], grace_seconds: float) -> dict[str, str]:
    """Return the variables that torchrun needs besides the container's."""
    if not is_distributed(hyperparameters):
        return {}
    return {
        # Between its own SIGTERM and SIGKILL for the script's processes; before torch 2.15 it is 30 s.
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(max(1, round(grace_seconds))),
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
    }
