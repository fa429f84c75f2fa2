"""Models, endpoint configs and endpoints of the local SageMaker, with a stand-in for the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from test_local_support import ROLE, SERVER, archive, end_processes, eventually, model_archive, put

from sagemaker_dogbreed.local import locks
from sagemaker_dogbreed.local.service import LocalSageMaker

JPEG = bytes(range(256)) + b"\xff\xd8\xff\xe0\r\n\0"
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


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSageMaker]:
    service = LocalSageMaker(tmp_path_factory.mktemp("sagemaker"), grace_seconds=0.5)
    yield service
    end_processes(service.root)


@pytest.fixture(scope="module")
def client(service: LocalSageMaker) -> Any:
    return service.boto_session().client("sagemaker")


@pytest.fixture(scope="module")
def runtime(service: LocalSageMaker) -> Any:
    return service.boto_session().client("sagemaker-runtime")


def _create(
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


def _wait(client: Any, name: str) -> None:
    client.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 5000}
    )


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
    folder = _create(service, client, "echo", model_archive(), {"MINE": "yes", "SAGEMAKER_PROGRAM": "own.py"})
    _wait(client, "echo")
    return folder


def test_an_endpoint_in_service(client: Any, endpoint: Path) -> None:
    """It is described as AWS describes it."""
    description = client.describe_endpoint(EndpointName="echo")
    assert description["EndpointStatus"] == "InService"
    assert description["EndpointArn"] == "arn:aws:sagemaker:us-east-1:000000000000:endpoint/echo"
    assert description["EndpointConfigName"] == "echo"
    (variant,) = description["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentInstanceCount"]) == ("AllTraffic", 1)


def test_bytes_go_there_and_back(runtime: Any, endpoint: Path) -> None:
    """A JPEG arrives and returns byte for byte, with its types and custom attributes."""
    answer = runtime.invoke_endpoint(
        EndpointName="echo",
        Body=JPEG,
        ContentType="image/jpeg",
        Accept="image/jpeg",
        CustomAttributes="id=1",
    )
    assert answer["Body"].read() == JPEG
    assert answer["ContentType"] == "image/jpeg"
    assert answer["CustomAttributes"] == "id=1+seen"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_the_server_runs_the_artifacts_own_code(
    service: LocalSageMaker, runtime: Any, client: Any, endpoint: Path
) -> None:
    """The copy in the artifact serves, in its folder, with the model's variables."""
    seen = eval(runtime.invoke_endpoint(EndpointName="echo", Body=b"environment")["Body"].read())
    base = str(endpoint / "opt" / "ml")
    expected = {
        "MINE": "yes",
        "SAGEMAKER_PROGRAM": "own.py",
        "SAGEMAKER_BASE_DIR": base,
        "SM_MODEL_DIR": f"{base}/model",
    }
    assert {name: seen.get(name) for name in expected} == expected
    logs = service.boto_session().client("logs")
    found = logs.filter_log_events(
        logGroupName="/aws/sagemaker/Endpoints/echo", filterPattern='"serving from"'
    )
    assert found["events"][0]["message"] == f"serving from {base}/model/code"


def test_a_server_that_refuses_is_a_model_error(runtime: Any, endpoint: Path) -> None:
    """The server's own status and words are in the error."""
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName="echo", Body=b"refuse")
    response: Any = caught.value.response
    assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (415, "refuse")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert 'Received client error (415) from primary with message "refuse"' in str(caught.value)


def test_a_body_has_a_limit(runtime: Any, endpoint: Path) -> None:
    """25 MiB are taken, one byte more is not."""
    most = b"x" * (25 * 1024 * 1024)
    assert len(runtime.invoke_endpoint(EndpointName="echo", Body=most)["Body"].read()) == len(most)
    with pytest.raises(ClientError, match="at most 26214400") as caught:
        runtime.invoke_endpoint(EndpointName="echo", Body=most + b"x")
    response: Any = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (
        "ValidationError",
        413,
    )


def test_proxies_have_no_say(
    service: LocalSageMaker, endpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to the server is the loopback address, whatever proxy is set."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    runtime = LocalSageMaker(service.root).boto_session().client("sagemaker-runtime")
    assert runtime.invoke_endpoint(EndpointName="echo", Body=b"hello")["Body"].read() == b"hello"


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


def _variant(model: str) -> dict[str, Any]:
    return {"VariantName": "v", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


def test_everything_is_listed(client: Any, endpoint: Path) -> None:
    """boto3's paginators find the model, the config and the endpoint."""
    for operation, key, name in (
        ("list_models", "Models", "ModelName"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("list_endpoints", "Endpoints", "EndpointName"),
    ):
        pages = client.get_paginator(operation).paginate(NameContains="ech", PaginationConfig={"PageSize": 1})
        assert [item[name] for page in pages for item in page[key]] == ["echo"]


def test_a_server_that_dies_is_started_again(service: LocalSageMaker, client: Any, runtime: Any) -> None:
    """The request that met its death is a ModelError; soon after the endpoint answers again."""
    folder = _create(service, client, "phoenix", model_archive())
    _wait(client, "phoenix")
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
    folder = _create(service, client, "doomed", model_archive(server))
    _wait(client, "doomed")
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
            "did not pass the ping health check. Last log lines: cannot load",
        ),
        ("no-code", archive({"model.json": ""}), "has no folder code/"),
        ("unsafe", archive({"/tmp/../../escaped": ""}), "not safe to unpack"),
        ("damaged", b"?", "cannot be unpacked"),
    ],
    ids=["crashes", "no-code", "unsafe", "damaged"],
)
def test_an_endpoint_that_cannot_start(
    service: LocalSageMaker, client: Any, runtime: Any, name: str, artifact: bytes, reason: str
) -> None:
    """It is Failed with a reason that shows the server's last words, refuses requests, and can be deleted."""
    folder = _create(service, client, name, artifact)
    assert reason in _failure(client, name)
    with pytest.raises(ClientError, match="is in status Failed, not InService"):
        runtime.invoke_endpoint(EndpointName=name, Body=b"")
    _delete(client, folder)


def test_a_server_that_is_never_ready(service: LocalSageMaker) -> None:
    """After the time to start the endpoint is Failed, and the server gone."""
    hasty = LocalSageMaker(service.root, startup_seconds=0.5)
    client = hasty.boto_session().client("sagemaker")
    folder = _create(hasty, client, "thinker", model_archive(NEVER_READY))
    assert "Last log lines: thinking" in _failure(client, "thinker")
    assert not locks.is_held(folder / "program.lock")
    _delete(client, folder)


def test_a_port_that_somebody_took(service: LocalSageMaker, client: Any, runtime: Any) -> None:
    """The server is started again on another port."""
    folder = _create(service, client, "second-try", model_archive(PORT_TAKEN + SERVER))
    _wait(client, "second-try")
    assert runtime.invoke_endpoint(EndpointName="second-try", Body=b"x")["Body"].read() == b"x"
    _delete(client, folder)


def test_an_endpoint_whose_supervisor_is_killed(service: LocalSageMaker, client: Any) -> None:
    """Whoever looks next sees it Failed, its server is ended, and deleting it still works."""
    folder = _create(service, client, "orphan", model_archive())
    _wait(client, "orphan")
    pid = locks.read_holder(folder / "supervisor.lock")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert "ended without reporting" in _failure(client, "orphan")
    assert not locks.is_held(folder / "program.lock")
    _delete(client, folder)
