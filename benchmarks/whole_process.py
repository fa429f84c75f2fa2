"""Runs a program from its start to its end and tells what that cost."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Run(NamedTuple):
    """A process and its children: duration and processor time in seconds, and what it printed."""

    seconds: float
    core_seconds: float
    output: str

    @property
    def told(self) -> dict[str, Any]:
        """The JSON object that the program printed as its last line."""
        told: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return told


class RunFailed(SystemExit):
    """A program failed; the message has what it wrote on stderr last."""


def run(
    command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Run:
    """Run a command; what it prints on stderr is shown where it fails.

    Raises:
        RunFailed: It failed.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment and {**environment}, cwd=folder, stdout=output, stderr=errors
        )
        _pid, status, usage = os.wait4(process.pid, 0)  # of the process and of the children it waited for
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RunFailed(f"{' '.join(command)} failed:\n{errors.read().decode(errors='replace')[-4000:]}")
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Run(seconds, usage.ru_utime + usage.ru_stime, text)
