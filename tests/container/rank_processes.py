"""Processes that train together, started as torchrun does but forked from one that has torch loaded."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore

from sagemaker_dogbreed.container import train

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [f"sagemaker_dogbreed.container.{room}" for room in ("artifact", "distributed", "loop", "weights")]
)


class RankProcesses:
    """Several ranks that run one function; each one's output is a pair of files."""

    def __init__(
        self,
        folder: Path,
        function: Callable[..., int],
        *arguments: Any,
        environ: Mapping[str, str] | None = None,
        count: int = 2,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        # Kept here, as by torchrun, so that it outlives the ranks.
        self._store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        shared = {
            **(environ or {}),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(self._store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
        }
        self.processes = []
        for rank in range(count):
            (folder / f"{rank}.out").touch()
            (folder / f"{rank}.err").touch()
            variables = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = _CONTEXT.Process(target=_run, args=(folder / str(rank), variables, function, arguments))
            process.start()
            self.processes.append(process)

    def wait(self) -> list[int | None]:
        """Return each rank's exit status; one that does not end is killed, and its status None."""
        for process in self.processes:
            process.join(60)
        statuses = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
            process.join()
        return statuses

    def log(self, rank: int) -> str:
        """What a rank wrote to standard output so far."""
        return self.folder.joinpath(f"{rank}.out").read_text()

    def errors(self, rank: int) -> str:
        """What a rank wrote to standard error so far."""
        return self.folder.joinpath(f"{rank}.err").read_text()


def run_training(argv: list[str]) -> int:
    """Run the training script's entry point."""
    return train.main(argv)


def _run(output: Path, variables: dict[str, str], function: Callable[..., int], arguments: Any) -> None:
    for number, suffix in ((1, ".out"), (2, ".err")):
        descriptor = os.open(output.with_suffix(suffix), os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, number)
    os.environ.update(variables)
    torch.set_num_threads(1)
    status = function(*arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
