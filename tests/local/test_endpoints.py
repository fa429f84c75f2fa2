"""Models, endpoint configs and endpoints of the local SageMaker, with a stand-in for the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support import (
    SERVER,
    archive,
    create_endpoint,
    eventually,
    model_archive,
    wait_for_endpoint,
)

from sagemaker_dogbreed.local import locks
from sagemaker_dogbreed.local.service import LocalSageMaker

CRASHES = "print('cannot', 'load'); raise SystemExit(1)"
NEVER_READY = "import time; print('thinking', flush=True); time.sleep(60)"
IGNORES = """
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""


PORT_TAKEN = """
    import os, pathlib, subprocess, sys
    squat = (
        "import socket, sys, time\\n"
        "socket = socket.create_server(('127.0.0.1', int(sys.argv[1])))\\n"
        "print(flush=True)\\n"
        "time.sleep(4)\\n"
    )
    if not pathlib.Path("taken").exists():
        pathlib.Path("taken").touch()
        squatter = subprocess.Popen(
            [sys.executable, "-c", squat, os.environ["SAGEMAKER_BIND_TO_PORT"]],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        squatter.stdout.readline()
        sys.exit("address already in use")
"""


def _variant(model: str) -> dict[str, Any]:
    return {"VariantName": "v", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


def _failure(client: Any, name: str) -> str:
    def failed() -> str | None:
        description = client.describe_endpoint(EndpointName=name)
        return description["FailureReason"] if description["EndpointStatus"] == "Failed" else None

    reason: str = eventually(failed)
    return reason


def _delete(client: Any, folder: Path) -> None:
    client.delete_endpoint(EndpointName=folder.name)
    eventually(lambda: not folder.exists())
    with pytest.raises(ClientError, match="Could not find endpoint"):
        client.describe_endpoint(EndpointName=folder.name)
    assert folder.name not in [item["EndpointName"] for item in client.list_endpoints()["Endpoints"]]


@pytest.fixture(scope="module")
def endpoint(service: LocalSageMaker, client: Any) -> Path:
    folder = create_endpoint(
        service, client, "echo", model_archive(), {"MINE": "yes", "SAGEMAKER_PROGRAM": "own.py"}
    )
    wait_for_endpoint(client, "echo")
    return folder


def test_an_endpoint_in_service(client: Any, endpoint: Path) -> None:
    """It is described as AWS describes it."""
    description = client.describe_endpoint(EndpointName="echo")
    assert description["EndpointStatus"] == "InService"
    assert description["EndpointArn"] == "arn:aws:sagemaker:us-east-1:000000000000:endpoint/echo"
    assert description["EndpointConfigName"] == "echo"
    (variant,) = description["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentInstanceCount"]) == ("AllTraffic", 1)


def test_names_that_are_taken_or_missing(client: Any, endpoint: Path) -> None:
    """Creating twice, and using what is not there, are refused in AWS's words."""
    taken: dict[str, Callable[[], Any]] = {
        "model": lambda: client.create_model(
            ModelName="echo", PrimaryContainer={"ModelDataUrl": "s3://bucket/echo/model.tar.gz"}
        ),
        "endpoint configuration": lambda: client.create_endpoint_config(
            EndpointConfigName="echo", ProductionVariants=[_variant("echo")]
        ),
        "endpoint": lambda: client.create_endpoint(EndpointName="echo", EndpointConfigName="echo"),
    }
    for what, call in taken.items():
        with pytest.raises(ClientError, match=f'Cannot create already existing {what} "arn:') as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "ValidationException"
    missing: dict[str, Callable[[], Any]] = {
        "model": lambda: client.delete_model(ModelName="no"),
        "model ": lambda: client.create_endpoint_config(
            EndpointConfigName="no", ProductionVariants=[_variant("no")]
        ),
        "endpoint configuration": lambda: client.create_endpoint(EndpointName="no", EndpointConfigName="no"),
        "endpoint": lambda: client.delete_endpoint(EndpointName="no"),
        "model data": lambda: client.create_model(
            ModelName="no", PrimaryContainer={"ModelDataUrl": "s3://bucket/no"}
        ),
    }
    for what, call in missing.items():
        with pytest.raises(ClientError, match=f"Could not find {what.strip()}") as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("create_model", {"ModelName": "m"}, "give PrimaryContainer"),
        ("create_model", {"ModelName": "m", "Containers": [{}, {}]}, "serves one container"),
        ("create_model", {"ModelName": "m", "PrimaryContainer": {"Image": "i"}}, "ModelDataUrl"),
        (
            "create_model",
            {"ModelName": "m", "PrimaryContainer": {"ModelDataUrl": "s3://bucket/../x"}},
            "ModelDataUrl: ",
        ),
        ("create_endpoint_config", {"ProductionVariants": [{"VariantName": "v"}]}, "ModelName is missing"),
        ("create_endpoint_config", {"ProductionVariants": [_variant("echo")] * 2}, "serves one variant"),
        (
            "create_endpoint_config",
            {"ProductionVariants": [{"VariantName": "v", "ModelName": "echo"}]},
            "either InstanceType or ServerlessConfig",
        ),
    ],
)
def test_what_this_machine_cannot_serve(
    client: Any, endpoint: Path, operation: str, request_: dict[str, Any], message: str
) -> None:
    """It is refused when it is asked for, not when it is deployed."""
    names = {"EndpointConfigName": "c"} if operation == "create_endpoint_config" else {}
    with pytest.raises(ClientError, match=message) as caught:
        getattr(client, operation)(**request_, **names)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_everything_is_listed(client: Any, endpoint: Path) -> None:
    """boto3's paginators find the model, the config and the endpoint."""
    for operation, key, name in (
        ("list_models", "Models", "ModelName"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("list_endpoints", "Endpoints", "EndpointName"),
    ):
        pages = client.get_paginator(operation).paginate(NameContains="ech", PaginationConfig={"PageSize": 1})
        assert [item[name] for page in pages for item in page[key]] == ["echo"]


def test_an_endpoint_outlives_what_it_was_made_from(
    service: LocalSageMaker, client: Any, runtime: Any
) -> None:
    """Model and config can be deleted, once each, and the endpoint goes on."""
    folder = create_endpoint(service, client, "alone", model_archive())
    wait_for_endpoint(client, "alone")
    client.delete_model(ModelName="alone")
    client.delete_endpoint_config(EndpointConfigName="alone")
    with pytest.raises(ClientError, match="Could not find model"):
        client.describe_model(ModelName="alone")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        client.delete_endpoint_config(EndpointConfigName="alone")
    assert runtime.invoke_endpoint(EndpointName="alone", Body=b"x")["Body"].read() == b"x"
    _delete(client, folder)


def test_a_server_that_dies_is_started_again(service: LocalSageMaker, client: Any, runtime: Any) -> None:
    """The request that met its death is a ModelError; soon after the endpoint answers again."""
    folder = create_endpoint(service, client, "phoenix", model_archive())
    wait_for_endpoint(client, "phoenix")
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName="phoenix", Body=b"die")
    assert caught.value.response["OriginalStatusCode"] == 503

    def answered() -> bool:
        try:
            return bool(runtime.invoke_endpoint(EndpointName="phoenix", Body=b"x")["Body"].read() == b"x")
        except ClientError:
            return False

    assert client.describe_endpoint(EndpointName="phoenix")["EndpointStatus"] == "InService"
    eventually(answered)
    _delete(client, folder)


def test_deleting_an_endpoint(service: LocalSageMaker, client: Any, runtime: Any) -> None:
    """A server that ignores SIGTERM is killed after the grace period; its files vanish, its log stays."""
    server = IGNORES + SERVER
    folder = create_endpoint(service, client, "doomed", model_archive(server))
    wait_for_endpoint(client, "doomed")
    client.delete_endpoint(EndpointName="doomed")
    with pytest.raises(ClientError, match=r"is in status Deleting, not InService|not found") as caught:
        runtime.invoke_endpoint(EndpointName="doomed", Body=b"")
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    eventually(lambda: not folder.exists())
    eventually(lambda: not list(folder.parent.glob(".*")))
    assert (service.root / "logs" / "Endpoints" / "doomed").is_dir()


@pytest.mark.parametrize(
    ("name", "artifact", "reason"),
    [
        (
            "crashes",
            model_archive(CRASHES),
            "did not pass the ping health check: cannot load",
        ),
        ("no-code", archive({"model.json": ""}), "has no folder code/"),
        ("unsafe", archive({"/tmp/../../escaped": ""}), "not safe to unpack"),
        ("damaged", b"?", "neither a zip nor a tar file"),
    ],
    ids=["crashes", "no-code", "unsafe", "damaged"],
)
def test_an_endpoint_that_cannot_start(
    service: LocalSageMaker, client: Any, runtime: Any, name: str, artifact: bytes, reason: str
) -> None:
    """It is Failed with a reason that shows the server's last words, refuses requests, and can be deleted."""
    folder = create_endpoint(service, client, name, artifact)
    assert reason in _failure(client, name)
    with pytest.raises(ClientError, match="is in status Failed, not InService"):
        runtime.invoke_endpoint(EndpointName=name, Body=b"")
    _delete(client, folder)


def test_a_server_that_is_never_ready(service: LocalSageMaker) -> None:
    """After the time to start the endpoint is Failed, and the server gone."""
    hasty = LocalSageMaker(service.root, startup_seconds=0.5)
    client = hasty.boto_session().client("sagemaker")
    folder = create_endpoint(hasty, client, "thinker", model_archive(NEVER_READY))
    assert "ping health check: thinking" in _failure(client, "thinker")
    assert not locks.is_held(folder / "program.lock")
    _delete(client, folder)


def test_a_port_that_somebody_took(service: LocalSageMaker, client: Any, runtime: Any) -> None:
    """The server is started again on another port."""
    folder = create_endpoint(service, client, "second-try", model_archive(PORT_TAKEN + SERVER))
    wait_for_endpoint(client, "second-try")
    assert runtime.invoke_endpoint(EndpointName="second-try", Body=b"x")["Body"].read() == b"x"
    _delete(client, folder)


@pytest.mark.parametrize("looked_at", [True, False])
def test_an_endpoint_whose_supervisor_is_killed(
    service: LocalSageMaker, client: Any, looked_at: bool
) -> None:
    """Whoever looks next sees it Failed; its server is ended, and deleting it works, looked at or not."""
    folder = create_endpoint(service, client, "orphan", model_archive())
    wait_for_endpoint(client, "orphan")
    pid = locks.read_holder(folder / "supervisor.lock")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not locks.is_held(folder / "supervisor.lock"))
    if looked_at:
        assert "ended without reporting" in _failure(client, "orphan")
        assert not locks.is_held(folder / "program.lock")
    _delete(client, folder)
    client.delete_endpoint_config(EndpointConfigName="orphan")
    client.delete_model(ModelName="orphan")
