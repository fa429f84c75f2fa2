"""The seam in botocore: a boto3 session whose requests are answered in process.

botocore emits ``before-send.<service>.<operation>`` when a request is checked, serialised and
signed; a handler that returns a response replaces the network. Everything else (models, waiters,
paginators, errors) is botocore's own.
"""

from __future__ import annotations

import functools
import io
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from sagemaker_dogbreed.local.faults import ServiceFault
from sagemaker_dogbreed.local.records import REGION

if TYPE_CHECKING:
    import boto3
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.model import ServiceModel, Shape


SERVICES = {"sagemaker": "sagemaker", "sagemaker-runtime": "sagemaker-runtime", "cloudwatch-logs": "logs"}
"""The services that are answered, as event names write them, and the names of their clients."""


@attrs.frozen
class Request:
    """What the client sent.

    Attributes:
        service: As botocore writes it in event names: ``sagemaker``, ``sagemaker-runtime``,
            ``cloudwatch-logs``, ...
        operation: ``CreateTrainingJob``, ...
        shape: botocore's model of the operation's parameters; None where it has none.
    """

    service: str
    operation: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    shape: Shape | None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a service that speaks JSON."""
        parameters: dict[str, Any] = json.loads(self.body or b"{}")
        return parameters


@attrs.frozen
class Reply:
    """What the service answers."""

    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict)
    status: int = 200


Answer = Callable[[Request], Reply]


def json_reply(value: Mapping[str, Any]) -> Reply:
    """Return the reply of a service that speaks JSON."""
    return Reply(json.dumps(value).encode(), {"Content-Type": "application/x-amz-json-1.1"})


def fault_reply(fault: ServiceFault) -> Reply:
    """Return the reply that botocore turns into a ``ClientError``."""
    body = {"__type": fault.code, "Message": fault.message, **fault.members}
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": fault.code}
    return Reply(json.dumps(body).encode(), headers, fault.status)


def session(answer: Answer) -> boto3.Session:
    """Return a session whose clients' requests all go to ``answer``, never to the network.

    The user's AWS configuration (files, profile, credentials, ``AWS_*`` variables) is not read.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    variables: dict[str, Any] = {
        name: (None, None, default, convert)  # neither a configuration file nor a variable sets it
        for name, (_, _, default, convert) in botocore.session.Session.SESSION_VARIABLES.items()
    }
    nowhere = (None, None, os.devnull, None)
    variables |= {"config_file": nowhere, "credentials_file": nowhere}
    core = botocore.session.Session(session_vars=variables)
    settings: dict[str, Any] = {"ignore_configured_endpoint_urls": True}
    core.set_default_client_config(Config(**settings))

    @functools.cache
    def model(service: str) -> ServiceModel:
        return core.get_service_model(SERVICES[service])

    def before_send(**event: Any) -> Any:
        request: AWSPreparedRequest = event["request"]
        _, service, operation = event["event_name"].split(".", 2)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        shape = model(service).operation_model(operation).input_shape if service in SERVICES else None
        sent = Request(service, operation, request.url, headers, _read(request.body), shape)
        return _response(request.url, answer(sent))

    core.register("before-send", before_send)
    return boto3.Session(
        botocore_session=core,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - signs requests that nobody checks
    )


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _read(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body.read() if hasattr(body, "read") else body)


class _Raw(io.BytesIO):
    """The part of a urllib3 response that botocore reads a body through."""

    def stream(self, amt: int = 65536) -> Iterator[bytes]:
        """Yield the body in pieces of ``amt`` bytes."""
        while chunk := self.read(amt):
            yield chunk


def _response(url: str, reply: Reply) -> AWSResponse:
    from botocore.awsrequest import AWSResponse

    headers: Any = {
        "x-amzn-requestid": str(uuid.uuid4()),
        "Content-Length": str(len(reply.body)),
        **reply.headers,
    }
    return AWSResponse(url, reply.status, headers, _Raw(reply.body))
