"""A program that a supervisor runs: it, everything it starts, and what all of them print."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sagemaker_dogbreed.local import locks

_READ = 65_536
_LONGEST_LINE = 1_048_576  # bytes kept while a line's end has not come
_POLL = 0.1


class Program:
    """A running process group; standard output and error arrive as lines.

    The group holds a lock for as long as any process of it lives, and the lock's file names the
    group. So whoever finds the supervisor gone can tell whether something is left over, and end it.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        lock: Path,
        on_line: Callable[[str], object],
    ) -> None:
        """Start the program in ``folder``.

        Raises:
            OSError: It cannot be started.
            ValueError: An argument or a variable is not acceptable to the operating system.
        """
        lock.unlink(missing_ok=True)  # of an earlier program; a process that left its group may hold it
        descriptor = locks.acquire(lock)
        try:
            self._process = subprocess.Popen(
                arguments,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
                pass_fds=(descriptor,),
                # Written by the new process itself, before it becomes the program: there is no moment
                # at which a process lives that the file does not name. Supervisors have one thread.
                preexec_fn=lambda: locks.write_holder(lock, os.getpid()),
            )
        finally:
            os.close(descriptor)
        self._on_line = on_line
        self._pending = b""
        self._ended = False  # no more output will come

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the program runs."""
        return self._process.poll()

    def pump(self, seconds: float = _POLL) -> None:
        """Take output in, waiting at most this long for it."""
        if self._ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        output = self._process.stdout.fileno()
        if not select.select([output], [], [], seconds)[0]:
            return
        chunk = os.read(output, _READ)
        self._ended = not chunk
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        if self._pending and (self._ended or len(self._pending) > _LONGEST_LINE):
            lines.append(self._pending)
            self._pending = b""
        for line in lines:
            self._on_line(line.decode("utf-8", "replace").rstrip("\r"))

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM, wait the grace period, send SIGKILL; returns when the program has ended."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while self.exit_code is None and time.monotonic() < deadline:
            self.pump()
        self.close()

    def close(self) -> None:
        """End whatever of the group still lives, as a container does, and take the last output in."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + 2  # a process that left the group may hold the pipe open
        while not self._ended and time.monotonic() < deadline:
            self.pump()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._ended = True

    def _signal(self, number: signal.Signals) -> None:
        # The group's number is not given to others while any of its processes lives; the first of
        # them is ours to reap, and where it is reaped already the rest may be gone.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def end_left_over(lock: Path, patience_seconds: float = 5.0) -> None:
    """Kill the processes of a group whose supervisor is gone, and wait until they are."""
    deadline = time.monotonic() + patience_seconds
    while locks.is_held(lock) and time.monotonic() < deadline:
        group = locks.read_holder(lock)
        if group is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        time.sleep(0.02)
