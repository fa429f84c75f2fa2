"""What SageMaker does with a CreateModel request, with AWS's own inference toolkit on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transfers
from executor import Cloud

SERVER = Path(__file__).with_name("model_server.py")


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
            with urllib.request.urlopen(request, timeout=60) as answer:
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
def in_service(request: dict[str, Any], base: Path, cloud: Cloud) -> Iterator[Container]:
    """Carry out a CreateModel request; the container is gone at the end."""
    environment = unpack(request, base, cloud)
    process = subprocess.Popen(
        [sys.executable, str(SERVER), str(base / "model")],
        cwd=base,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port.isdigit(), f"the model did not load: {port}{process.stdout.read()}"
        yield Container(int(port))
    finally:
        process.kill()
        process.communicate()
