"""An AWS on this machine whose wire can be disturbed: moto keeps the state, a proxy before it misbehaves."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import re
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import NamedTuple

from moto.server import ThreadedMotoServer

Fault = str
"""``throttled``, ``down``, ``dropped``, ``cut`` (in the middle of the request), ``expired`` or ``denied``."""


class Call(NamedTuple):
    """One request: the service and the operation it is for, ``s3`` and ``PutObject`` say."""

    service: str
    operation: str


class FaultyAws:
    """The proxy; ``misbehave(call)`` returns the fault of a request, or None to pass it on."""

    def __init__(self) -> None:
        self.moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.calls: list[Call] = []
        self.misbehave: Callable[[Call], Fault | None] = lambda call: None
        self.answers: dict[str, Callable[[bytes], tuple[int, bytes]]] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """Serve, and give the URL."""
        self.moto.start()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            self.moto.stop()

    def reset(self) -> None:
        """Empty the account."""
        self.forward("POST", "/moto-api/reset", {}, b"")
        self.calls.clear()

    def decide(self, call: Call) -> Fault | None:
        """Note a call and return what happens to it."""
        with self._lock:
            self.calls.append(call)
            return self.misbehave(call)

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Return moto's answer."""
        host, port = self.moto.get_host_and_port()
        connection = http.client.HTTPConnection(host, port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


def _call(method: str, path: str, headers: dict[str, str], body: bytes) -> Call:
    lowered = {name.lower(): value for name, value in headers.items()}
    service = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", lowered.get("authorization", ""))
    name = service.group(1) if service else "?"
    if "x-amz-target" in lowered:
        return Call(name, lowered["x-amz-target"].rpartition(".")[2])
    if name == "s3":
        return Call(name, _s3_operation(method, path, lowered))
    form = urllib.parse.parse_qs(body.decode("latin-1"))
    if "Action" in form:
        return Call(name, form["Action"][0])
    return Call(name, "InvokeEndpoint" if path.endswith("/invocations") else f"{method} {path}")


def _s3_operation(method: str, path: str, headers: dict[str, str]) -> str:
    parts = urllib.parse.urlsplit(path)
    query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
    has_key = bool(parts.path.strip("/").partition("/")[2])
    if has_key:
        if method == "PUT":
            return "CopyObject" if "x-amz-copy-source" in headers else "PutObject"
        return {"GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}.get(method, method)
    if method == "GET" and "list-type" in query:
        return "ListObjectsV2"
    kind = next(
        (
            word
            for word in ("encryption", "lifecycle", "publicAccessBlock", "tagging", "location")
            if word in query
        ),
        "bucket",
    )
    return f"{method} {kind}"


def _error(call: Call, fault: Fault) -> tuple[int, bytes]:
    code, status, message = {
        "throttled": (
            "SlowDown" if call.service == "s3" else "ThrottlingException",
            503 if call.service == "s3" else 400,
            "Rate exceeded",
        ),
        "down": ("InternalFailure", 500, "We are having trouble"),
        "expired": (
            "ExpiredToken" if call.service in ("s3", "sts", "iam") else "ExpiredTokenException",
            400,
            "The security token included in the request is expired",
        ),
        "denied": (
            "AccessDenied" if call.service in ("s3", "sts", "iam") else "AccessDeniedException",
            403,
            "Access Denied"
            if call.service == "s3"
            else f"User: dog is not authorized to perform: {call.service}:{call.operation}",
        ),
    }[fault]
    if call.service in ("sts", "iam"):
        return status, (
            f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            "<RequestId>0</RequestId></ErrorResponse>"
        ).encode()
    if call.service == "s3":
        return (
            status,
            f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(),
        )
    return status, json.dumps({"__type": code, "Message": message, "message": message}).encode()


def _handler(aws: FaultyAws) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            length = int(self.headers.get("Content-Length") or 0)
            first = self.rfile.read(length // 2)
            call = _call(self.command, self.path, headers, b"")
            if call.operation.startswith(("POST /", "PUT /", "GET /")) or call.service in ("sts", "iam"):
                first += self.rfile.read(length - len(first))
                call = _call(self.command, self.path, headers, first)
            fault = aws.decide(call)
            if fault == "cut":
                self.hang_up()
                return
            body = first + self.rfile.read(length - len(first))
            if fault == "dropped":
                self.hang_up()
                return
            if fault is not None:
                status, content = _error(call, fault)
                self.reply(
                    status,
                    {
                        "Content-Type": "application/xml"
                        if call.service in ("s3", "sts", "iam")
                        else "application/json"
                    },
                    content,
                )
            elif call.operation in aws.answers:
                status, content = aws.answers[call.operation](body)
                self.reply(status, {"Content-Type": "application/json"}, content)
            else:
                self.reply(*aws.forward(self.command, self.path, headers, body))

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - the names http.server asks for

        def hang_up(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            kept_out = {"transfer-encoding", "connection", "content-length", "server", "date"}
            length = (
                headers.get("Content-Length", str(len(body))) if self.command == "HEAD" else str(len(body))
            )
            for name, value in headers.items():
                if name.lower() not in kept_out:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
