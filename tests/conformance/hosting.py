"""What SageMaker does with a CreateModel request, with AWS's own inference toolkit on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import transfers
from executor import Cloud, free_port

SERVER = Path(__file__).with_name("model_server.py")
CONFIGURE = """
from sagemaker_pytorch_serving_container import handler_service, torchserve
print(torchserve._generate_ts_config_properties(handler_service.__file__))
"""

Server = Callable[[Path, dict[str, str]], contextlib.AbstractContextManager["Container"]]


@dataclasses.dataclass(frozen=True)
class Answer:
    """An HTTP answer of the container; from 400 on, SageMaker's ModelError has status and text."""

    status: int
    content_type: str
    body: bytes


@dataclasses.dataclass(frozen=True)
class Container:
    """A container in service."""

    port: int

    def invoke(self, body: bytes, content_type: str, **headers: str) -> Answer:
        """Send a request and return its answer, errors too."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/invocations",
            data=body,
            headers={"Content-Type": content_type, **named},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return Answer(answer.status, answer.headers["Content-Type"], answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers["Content-Type"], error.read())


def unpack(request: dict[str, Any], base: Path, cloud: Cloud) -> dict[str, str]:
    """Put the request's model where the toolkit looks for it; return the container's environment."""
    container = request["PrimaryContainer"]
    archive = transfers.get_file(cloud.s3, container["ModelDataUrl"], base / "model.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(base / "model", filter="data")
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "HOME": str(base),
        "SAGEMAKER_BASE_DIR": str(base),
        # As the toolkit sets it for the model server's workers.
        "PYTHONPATH": str(base / "model" / "code"),
        "OMP_NUM_THREADS": "1",
        **container["Environment"],
    }


@contextlib.contextmanager
def stand_in(base: Path, environment: dict[str, str]) -> Iterator[Container]:
    """Serve with the toolkit's handler behind a model server of the least that it needs."""
    with _running([sys.executable, str(SERVER), str(base / "model")], base, environment) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port.isdigit(), f"the model did not load: {port}"
        yield Container(int(port))


@contextlib.contextmanager
def torchserve(base: Path, environment: dict[str, str]) -> Iterator[Container]:
    """Serve with TorchServe, configured as the toolkit does it, but to be reached from this machine only."""
    java = shutil.which("java")
    assert java is not None
    port = free_port()
    environment = {
        **environment,
        "PATH": f"{environment['PATH']}:{Path(java).parent}",
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "TEMP": str(base),  # where it puts sockets and copies
    }
    configuration = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CONFIGURE],
        env=environment,
        cwd=base,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.replace("0.0.0.0", "127.0.0.1")
    for name in ("grpc_inference_port", "grpc_management_port"):
        configuration += f"{name}={free_port()}\n"
    configuration += f"metrics_address=http://127.0.0.1:{free_port()}\n"
    (base / "ts.properties").write_text(configuration)
    (base / "models").mkdir()
    command = [
        *[str(Path(sys.executable).with_name("torchserve")), "--start", "--foreground", "--ncs"],
        *["--model-store", str(base / "models"), "--models", f"model={base / 'model'}"],
        *["--ts-config", str(base / "ts.properties")],
    ]
    with _running(command, base, environment) as process:
        assert process.stdout is not None
        log: list[str] = []
        for line in process.stdout:
            log.append(line)
            if "Model server started" in line:
                break
        else:
            raise AssertionError("".join(log))
        # Read on, or it stops at a full pipe.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield Container(port)


@contextlib.contextmanager
def _running(command: list[str], base: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        cwd=base,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def in_service(request: dict[str, Any], base: Path, cloud: Cloud, server: Server) -> Iterator[Container]:
    """Carry out a CreateModel request; the container is gone at the end."""
    with server(base, unpack(request, base, cloud)) as container:
        yield container
