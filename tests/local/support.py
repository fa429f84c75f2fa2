"""What the tests of the local SageMaker share: requests, code archives, and leaving nothing running."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import tarfile
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sagemaker_dogbreed.local import locks
from sagemaker_dogbreed.local.service import LocalSageMaker

ROLE = "arn:aws:iam::000000000000:role/local"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/training:latest"
SERVER = """
    import http.server, os, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(200, b"")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if body == b"die":
                os._exit(3)
            if body == b"environment":
                body = repr(dict(os.environ)).encode()
            self.answer(415 if body == b"refuse" else 200, body)

        def answer(self, status, body):
            self.send_response(status)
            attributes = self.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", attributes + "+seen")
            self.send_header("Content-Type", self.headers.get("Accept", "text/plain"))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    print("serving from", os.getcwd(), flush=True)
    address = os.environ["SAGEMAKER_DOGBREED_BIND_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """Return a tar.gz of files whose texts may be indented; names are taken as they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = textwrap.dedent(content).encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def model_archive(server: str = SERVER) -> bytes:
    """Return a model artifact whose serving program is a stand-in."""
    package = "code/sagemaker_dogbreed"
    return archive(
        {
            f"{package}/__init__.py": "",
            f"{package}/container/__init__.py": "",
            f"{package}/container/serving.py": server,
            "model.json": "{}",
        }
    )


def put(service: LocalSageMaker, uri: str, data: bytes) -> str:
    """Store bytes as an object and return its URI."""
    service.root.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=service.root) as file:
        file.write(data)
        file.flush()
        service.store.put_file(Path(file.name), uri)
    return uri


def training_request(
    service: LocalSageMaker,
    name: str,
    script: str = "",
    *,
    hyperparameters: Mapping[str, str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return a CreateTrainingJob request for a script, whose code is stored."""
    code = put(service, f"s3://bucket/{name}/sourcedir.tar.gz", archive({"train.py": script}))
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"{code}"',
            **(hyperparameters or {}),
        },
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return request | changes


def create_endpoint(
    service: LocalSageMaker,
    client: Any,
    name: str,
    artifact: bytes,
    environment: dict[str, str] | None = None,
) -> Path:
    """Create a model, a config and an endpoint of one name; return the endpoint's folder."""
    url = put(service, f"s3://bucket/{name}/model.tar.gz", artifact)
    container = {"Image": "image", "ModelDataUrl": url, "Environment": environment or {}}
    client.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return service.root / "endpoint" / name


def wait_for_endpoint(client: Any, name: str) -> None:
    """Return when the endpoint is in service."""
    client.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 5000}
    )


def eventually(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Return what the condition returns once that is true; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return value


def wait_for_job(client: Any, name: str) -> dict[str, Any]:
    """Return the description of a training job that has ended."""

    def ended() -> dict[str, Any] | None:
        description: dict[str, Any] = client.describe_training_job(TrainingJobName=name)
        return description if description["TrainingJobStatus"] not in {"InProgress", "Stopping"} else None

    found: dict[str, Any] = eventually(ended)
    return found


def end_processes(root: Path) -> None:
    """Kill every supervisor and every program of a root."""
    for lock in [*root.glob("*/*/supervisor.lock"), *root.glob("*/*/program.lock")]:
        while locks.is_held(lock):
            with contextlib.suppress(ProcessLookupError, TypeError):
                os.killpg(locks.read_holder(lock), signal.SIGKILL)  # type: ignore[arg-type]  # None: not yet written
            time.sleep(0.01)
