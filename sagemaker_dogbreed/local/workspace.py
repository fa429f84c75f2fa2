"""One local SageMaker: where its state is, and the processes it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from sagemaker_dogbreed.local.records import Records
from sagemaker_dogbreed.store.local import LocalStore

Parameters = dict[str, Any]
_OUTPUT = "supervisor.out"


@attrs.frozen
class Workspace:
    """What every operation works on.

    Attributes:
        root: Folder of the state; all processes with the same root share everything.
        grace_seconds: Between SIGTERM and SIGKILL when a training job is stopped.
        startup_seconds: An endpoint's time to answer ``/ping``, unless its config says otherwise.
    """

    root: Path
    grace_seconds: float
    startup_seconds: float

    @property
    def store(self) -> LocalStore:
        """The S3 of this root."""
        return LocalStore(self.root)

    def records(self, kind: str) -> Records:
        """Return the resources of one kind."""
        return Records(self.root, kind)

    def start(self, module: str, folder: Path, lock: int) -> None:
        """Start a supervisor, a process that outlives this one, and hand its lock over to it.

        Args:
            module: Run as ``python -m``.
            folder: The resource's folder, its only argument.
            lock: Descriptor of the supervisor lock; this process's copy stays open.
        """
        package_root = Path(__file__).resolve().parents[2]
        environment = dict(os.environ)
        if package_root.name not in {"site-packages", "dist-packages"}:  # run from its sources
            paths = [str(package_root), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        with (folder / _OUTPUT).open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(folder)],
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(lock,),
            )
        # Collects the exit code should this process live longer, so that no zombie stays.
        threading.Thread(target=process.wait, name=f"wait for {folder.name}", daemon=True).start()


def abandoned_reason(folder: Path) -> str:
    """Return the FailureReason of a resource whose supervisor is gone, with its last words if any."""
    try:
        words = (folder / _OUTPUT).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        words = ""
    said = f"; it said last: {words.splitlines()[-1][:500]}" if words else ""
    return (
        "InternalServerError: the process ended without reporting, "
        f"e.g. it was killed or the machine restarted{said}"
    )


Handler = Callable[[Workspace, Parameters], Parameters]
"""One operation: parameters in, answer out."""
