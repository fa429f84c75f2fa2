"""InvokeEndpoint of the local SageMaker, with a stand-in for the server."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support import create_endpoint, model_archive, wait_for_endpoint

from sagemaker_dogbreed.local.service import LocalSageMaker

JPEG = bytes(range(256)) + b"\xff\xd8\xff\xe0\r\n\0"


@pytest.fixture(scope="module")
def endpoint(service: LocalSageMaker, client: Any) -> Path:
    folder = create_endpoint(
        service, client, "echo", model_archive(), {"MINE": "yes", "SAGEMAKER_PROGRAM": "own.py"}
    )
    wait_for_endpoint(client, "echo")
    return folder


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


def test_a_body_may_be_a_file(service: LocalSageMaker) -> None:
    """As with AWS, a body can be any bytes-like thing or an open file."""
    runtime = service.boto_session().client("sagemaker-runtime")
    for body in (b"x", bytearray(b"x"), io.BytesIO(b"x")):
        with pytest.raises(ClientError, match="Endpoint nobody of account 000000000000 not found"):
            runtime.invoke_endpoint(EndpointName="nobody", Body=body)
