"""The ASGI application behind the model server: routes, limits, and errors as JSON."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import torch

from sagemaker_dogbreed.container import inference
from sagemaker_dogbreed.container.invocation import RequestError

MAX_BODY_BYTES = 25 * 1024 * 1024
"""SageMaker's own limit for an invocation."""

_THREADS = 4
_MAX_REQUESTS_AT_ONCE = 64
# A body that is too long is read (and dropped) up to here: most clients look for no answer before.
_MAX_DROPPED_BYTES = 4 * MAX_BODY_BYTES
_ROUTES = {"/ping": "GET", "/invocations": "POST"}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RequestContext:
    """What the serving functions can ask about a request, by the names TorchServe uses."""

    headers: Mapping[str, str]

    def get_all_request_header(self, _index: int) -> Mapping[str, str]:
        """Return the request's headers, names in lower case."""
        return self.headers

    def get_request_header(self, _index: int, name: str) -> str | None:
        """Return one of the request's headers."""
        return self.headers.get(name.lower())


@dataclasses.dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Application:
    """Serves one model over ASGI: ``GET /ping`` and ``POST /invocations``."""

    def __init__(self, model_dir: Path, handlers: ModuleType) -> None:
        self._model_dir, self._handlers = model_dir, handlers
        self._model: Any = None
        self._loaded = self._broken = False
        self._requests = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="invocation")

    def load(self) -> None:
        """Load the model; until then ``/ping`` and invocations answer 503."""
        self._model = self._call("model_fn", str(self._model_dir), context=RequestContext({}))
        self._loaded = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise ValueError(f"ASGI scope {scope['type']!r} is not served here, only http")
        started = time.perf_counter()
        answer = await self._answer(scope, receive)
        if answer is None:
            return  # the client has gone
        await _send(answer, send)
        milliseconds = (time.perf_counter() - started) * 1000
        path = quote(scope["path"], errors="replace")[:100]
        _log.info("%s %s %d %.1f ms", scope["method"], path, answer.status, milliseconds)

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer | None:
        path, method = scope["path"], scope["method"]
        if path not in _ROUTES:
            return _error(404, "not_found", "there are GET /ping and POST /invocations")
        if method != _ROUTES[path]:
            allow = ((b"allow", _ROUTES[path].encode()),)
            answer = _error(405, "method_not_allowed", f"{path} takes {_ROUTES[path]} only")
            return dataclasses.replace(answer, headers=allow)
        if self._broken or not self._loaded:
            state = "the model no longer works" if self._broken else "the model is still loading"
            return _error(503, "not_ready", state)
        if path == "/ping":
            return _Answer(200, b"{}")
        if self._requests >= _MAX_REQUESTS_AT_ONCE:
            return _error(503, "busy", f"{_MAX_REQUESTS_AT_ONCE} requests are under way already; try again")
        self._requests += 1
        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            body = await _receive_body(headers, receive)
            if body is None or isinstance(body, _Answer):
                return body
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._invoke, body, headers)
        finally:
            self._requests -= 1

    def _invoke(self, body: bytes, headers: Mapping[str, str]) -> _Answer:
        content_type = headers.get("content-type", "")
        accept = headers.get("accept", "")
        if accept in {"", "*/*"}:
            accept = "application/json"  # as AWS's toolkit does it
        context = RequestContext(headers)
        try:
            if hasattr(self._handlers, "transform_fn"):
                result = self._call("transform_fn", self._model, body, content_type, accept, context=context)
            else:
                data = self._call("input_fn", body, content_type, context=context)
                prediction = self._call("predict_fn", data, self._model, context=context)
                result = self._call("output_fn", prediction, accept, context=context)
            content, returned_type = result if isinstance(result, tuple) else (result, accept)
            return _Answer(
                200, content.encode() if isinstance(content, str) else bytes(content), returned_type
            )
        except RequestError as error:
            if error.status >= 500:
                _log.error("%s: %s", error.code, error.reason)
            return _Answer(error.status, json.dumps(error.to_json()).encode())
        except BaseException as error:  # SystemExit and the like must not end the worker either
            _log.exception("An invocation failed")
            self._broken = self._broken or _is_fatal(error)
            return _error(
                500, "internal", "the request could not be answered; the endpoint's log has the reason"
            )

    def _call(self, name: str, *arguments: Any, context: RequestContext) -> Any:
        function = getattr(self._handlers, name, None) or getattr(inference, name)
        # As AWS's toolkit does it: a function with one parameter more takes the context.
        takes_context = len(inspect.signature(function).parameters) > len(arguments)
        return function(*arguments, context) if takes_context else function(*arguments)


async def _receive_body(headers: Mapping[str, str], receive: Receive) -> bytes | _Answer | None:
    """Return the body, the refusal of one that is too long, or None where the client has gone."""
    declared = headers.get("content-length", "0")
    length = int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 20 else 0
    body, received = bytearray(), 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        received += len(event.get("body", b""))
        too_long = max(received, length) > MAX_BODY_BYTES
        if too_long:
            body.clear()
        else:
            body += event.get("body", b"")
        finished = not event.get("more_body", False) or max(received, length) > _MAX_DROPPED_BYTES
        if finished and too_long:
            return _error(413, "body_too_large", f"a request has at most {MAX_BODY_BYTES} bytes")
        if finished:
            return bytes(body)


def _is_fatal(error: BaseException) -> bool:
    """Tell whether the process is of no further use: a failed CUDA kernel leaves the GPU unusable for it."""
    accelerator_error = getattr(torch, "AcceleratorError", None)
    return accelerator_error is not None and isinstance(error, accelerator_error)


def _error(status: int, code: str, message: str) -> _Answer:
    return _Answer(status, json.dumps({"error": {"code": code, "message": message}}).encode())


async def _send(answer: _Answer, send: Send) -> None:
    headers = [
        (b"content-type", answer.content_type.encode("latin-1", "replace")),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
