"""The process that runs one endpoint: unpacks the model, keeps its server up, takes both away.

Started with the endpoint's folder, in a session of its own, holding the endpoint's supervisor lock.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sagemaker_dogbreed.errors import ArchiveError, StoreError
from sagemaker_dogbreed.local import archives, endpoint_status, locks
from sagemaker_dogbreed.local.contract import clean_environment
from sagemaker_dogbreed.local.log_files import LogWriter
from sagemaker_dogbreed.local.program import Program
from sagemaker_dogbreed.local.records import REGION, Record
from sagemaker_dogbreed.store.local import LocalStore

_HOST = "127.0.0.1"
_LOOK_INTERVAL = 0.2  # seconds between looks at the record
_PING_TIMEOUT = 2.0  # seconds, as AWS gives a container
_PORT_TRIES = 5
_RESTARTS = 5  # in a row, before the endpoint is given up
_STEADY = 60.0  # seconds of service after which earlier crashes no longer count
_LONGEST_PAUSE = 30.0
_REASON_LENGTH = 1024
_BEFORE = "\nLog lines before that: "


class HostingFailure(Exception):  # noqa: N818 - an outcome, as Failed is
    """The endpoint failed; the message is its FailureReason."""


class Deleted(Exception):  # noqa: N818 - likewise
    """Somebody deleted the endpoint."""


class Hosting:
    """One endpoint, from the artifact it serves to its deletion."""

    def __init__(self, folder: Path) -> None:
        self._record = Record(folder)
        state = self._record.read()
        if state is None:
            raise FileNotFoundError(f"there is no endpoint in {folder}")
        self._settings = state["Local"]
        name = state["Description"]["EndpointName"]
        self._variant = state["Description"]["ProductionVariants"][0]["VariantName"]
        self._store = LocalStore(folder.parent.parent)
        self._base = folder / "opt" / "ml"
        group, stream = (
            f"/aws/sagemaker/Endpoints/{name}",
            f"{self._variant}/i-local-{time.time_ns() // 10**6}",
        )
        self._log = LogWriter(self._store.root, group, stream)
        self._next_look = 0.0

    def run(self) -> None:
        """Run the endpoint until it is deleted or fails; its record says which."""
        reason = None
        try:
            self._unpack()
            self._serve()
        except Deleted:
            pass
        except HostingFailure as failure:
            reason = str(failure)
        except BaseException as error:
            self._end(f"InternalServerError: the local SageMaker failed: {error!r}")
            raise
        self._end(reason)

    def _unpack(self) -> None:
        url = self._settings["Container"]["ModelDataUrl"]
        archive = self._record.folder / "model.tar.gz"
        try:
            self._store.get_file(url, archive)
            archives.unpack(archive, self._base / "model")
        except (StoreError, ArchiveError) as error:
            raise HostingFailure(f"Failed to extract model data archive {url}: {error}") from error
        if not (self._base / "model" / "code").is_dir():
            raise HostingFailure(f"The model data archive {url} has no folder code/ with the serving code")

    def _serve(self) -> None:
        """Keep a server running; return never, but by Deleted or HostingFailure."""
        crashes = 0
        while True:
            served = self._serve_once(first=crashes == 0)
            crashes = 1 if served >= _STEADY else crashes + 1
            if crashes > _RESTARTS:
                raise HostingFailure(self._reason("kept ending while in service"))
            pause = min(0.5 * 2 ** (crashes - 1), _LONGEST_PAUSE)
            self._log.write(f"The server ended; it is started again in {pause:g} seconds.")
            until = time.monotonic() + pause
            while time.monotonic() < until:
                self._raise_if_deleted()
                time.sleep(0.05)

    def _serve_once(self, *, first: bool) -> float:
        """Run one server until it ends; return for how long it was in service, seconds."""
        for _ in range(_PORT_TRIES):
            port = _free_port()
            program = self._start(port)
            try:
                if self._wait_until_ready(program, port):
                    self._note_port(port)
                    since = time.monotonic()
                    while program.exit_code is None:
                        program.pump()
                        self._raise_if_deleted()
                    self._note_port(None)
                    return time.monotonic() - since
            except Deleted:
                program.stop(float(self._settings["StopSeconds"]))
                raise
            finally:
                program.close()
            if _is_free(port):
                break  # it was not for want of the port
        if first:
            raise HostingFailure(self._reason("did not pass the ping health check"))
        return 0.0

    def _start(self, port: int) -> Program:
        environment = {
            **clean_environment(),
            "AWS_REGION": REGION,
            "SAGEMAKER_PROGRAM": "inference.py",
            **self._settings["Container"].get("Environment", {}),
            "SAGEMAKER_BASE_DIR": str(self._base),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SAGEMAKER_DOGBREED_BIND_HOST": _HOST,
            "SM_MODEL_DIR": str(self._base / "model"),
        }
        try:
            return Program(
                [sys.executable, "-m", "sagemaker_dogbreed.container.serving"],
                folder=self._base / "model" / "code",
                environment=environment,
                lock=self._record.folder / endpoint_status.PROGRAM_LOCK,
                on_line=self._log.write,
            )
        except (OSError, ValueError) as error:
            raise HostingFailure(f"The serving program cannot be started: {error}") from error

    def _wait_until_ready(self, program: Program, port: int) -> bool:
        deadline = time.monotonic() + float(self._settings["StartupSeconds"])
        while program.exit_code is None and time.monotonic() < deadline:
            program.pump()
            self._raise_if_deleted()
            if _answers(port) and program.exit_code is None:
                return True
        return False

    def _note_port(self, port: int | None) -> None:
        with self._record.update() as state:
            if state is not None and state["Description"]["EndpointStatus"] != "Deleting":
                state["Local"]["Port"] = port
                if port is not None:
                    state["Description"]["EndpointStatus"] = "InService"

    def _raise_if_deleted(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_INTERVAL
        state = self._record.read()
        if state is None or state["Description"]["EndpointStatus"] == "Deleting":
            raise Deleted

    def _reason(self, what: str) -> str:
        """Return the reason with the server's last words first, then what led to them."""
        said = [line for line in self._log.tail if line.strip() and "/ping" not in line]
        last = said[-1] if said else "it wrote nothing"
        start = f"The primary container for production variant {self._variant} {what}: {last}"
        before = "\n".join(said[-10:-1])
        room = _REASON_LENGTH - len(start) - len(_BEFORE)
        return f"{start}{_BEFORE}{before[-room:]}" if before and room > 0 else start[:_REASON_LENGTH]

    def _end(self, reason: str | None) -> None:
        with self._record.update() as state:
            deleted = state is None or state["Description"]["EndpointStatus"] == "Deleting"
            if state is not None and not deleted:
                endpoint_status.fail(state, reason or "InternalServerError: the server is gone")
        if deleted:
            self._record.remove()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError:
            return False
        return True


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(_HOST, port, timeout=_PING_TIMEOUT)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _told_to_end(_signal: int, _frame: object) -> None:
    raise SystemExit("its process was told to end (SIGTERM)")


def main(argv: Sequence[str]) -> int:
    """Run the endpoint of the folder ``argv[0]``; the caller has taken its supervisor lock."""
    folder = Path(argv[0])
    locks.write_holder(folder / endpoint_status.SUPERVISOR_LOCK, os.getpid())
    signal.signal(signal.SIGTERM, _told_to_end)
    Hosting(folder).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
