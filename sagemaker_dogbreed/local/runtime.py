"""InvokeEndpoint: a request body to the endpoint's server, and its answer back, byte for byte."""

from __future__ import annotations

import http.client
import urllib.parse

from sagemaker_dogbreed.local import endpoint_status
from sagemaker_dogbreed.local.endpoints import KIND
from sagemaker_dogbreed.local.faults import ServiceFault
from sagemaker_dogbreed.local.records import ACCOUNT, REGION
from sagemaker_dogbreed.local.wire import Reply, Request
from sagemaker_dogbreed.local.workspace import Workspace

_TARGETS = {f"x-amzn-sagemaker-{what}" for what in ("target-model", "target-variant", "inference-component")}

MAX_BODY = 25 * 1024 * 1024
"""Bytes of a request body at most, as for a real-time endpoint of AWS."""

_TIMEOUT = 60.0  # seconds, as AWS gives a container
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_FORWARDED = ("content-type", "accept", _ATTRIBUTES, "x-amzn-sagemaker-inference-id")


def invoke(workspace: Workspace, request: Request) -> Reply:
    """Send the body to the endpoint's server and return its answer.

    Raises:
        ServiceFault: ValidationError where there is no such endpoint in service, or the body is too
            large; ModelError where the server answers with an error, or not at all.
    """
    for header in _TARGETS & request.headers.keys():
        raise ServiceFault(
            "ValidationError", f"{header} is not supported: an endpoint here has one variant and one model"
        )
    name = urllib.parse.unquote(urllib.parse.urlsplit(request.url).path.split("/")[2])
    if len(request.body) > MAX_BODY:
        raise ServiceFault(
            "ValidationError",
            f"The request body has {len(request.body)} bytes; an endpoint takes at most {MAX_BODY}",
            status=413,
        )
    try:
        state = endpoint_status.current(workspace.records(KIND).get(name))
    except ValueError:
        state = None
    if state is None:
        raise ServiceFault("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
    status = state["Description"]["EndpointStatus"]
    if status != "InService":
        raise ServiceFault(
            "ValidationError", f"Endpoint {name} of account {ACCOUNT} is in status {status}, not InService."
        )
    headers = {key: request.headers[key] for key in _FORWARDED if key in request.headers}
    code, answered, body = _post(name, state["Local"]["Port"], headers, request.body)
    if not 200 <= code < 300:
        raise _model_error(name, code, body.decode("utf-8", "replace"))
    returned = {key: answered[key] for key in ("Content-Type", _ATTRIBUTES) if key in answered}
    variant = state["Description"]["ProductionVariants"][0]["VariantName"]
    return Reply(body, {**returned, "x-Amzn-Invoked-Production-Variant": variant})


def _post(
    name: str, port: int | None, headers: dict[str, str], body: bytes
) -> tuple[int, http.client.HTTPMessage, bytes]:
    if port is None:
        raise _model_error(name, 503, "the server has ended and is being started again")
    # Straight to the loopback address: no proxy setting has a say.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
    try:
        connection.request("POST", "/invocations", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except TimeoutError:
        raise _model_error(
            name, 0, "Your invocation timed out while waiting for a response from container primary."
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise _model_error(name, 503, f"the server cannot be reached: {error}") from None
    except ValueError as error:
        raise ServiceFault("ValidationError", f"A header cannot be sent: {error}") from None
    finally:
        connection.close()


def _model_error(name: str, code: int, message: str) -> ServiceFault:
    group = f"/aws/sagemaker/Endpoints/{name}"
    side = "client" if 400 <= code < 500 else "server"
    return ServiceFault(
        "ModelError",
        f'Received {side} error ({code}) from primary with message "{message}". '
        f"See the log group {group} for more information.",
        status=424,
        OriginalStatusCode=code,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}",
    )
