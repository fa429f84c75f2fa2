"""A server on this machine that answers as S3 does, except where a test wants a fault."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

"""The account that the bucket belongs to."""

PAGE = 50
"""Objects in one answer to a listing."""

Fault = Callable[["Handler"], bool]
"""Answers a request in place of the server and returns True, or returns False."""


class FaultyServer:
    """Objects by key, the requests that came (``"PUT train/a.jpg"``), and the faults still to be met."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.lock = threading.Lock()

    def times(self, method: str) -> int:
        """Return how many requests of a method came."""
        return sum(request.startswith(method) for request in self.requests)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    state: FaultyServer

    def handle_one(self) -> None:
        """Note the request, then meet the next fault, or answer."""
        self.key = unquote(urlsplit(self.path).path).removeprefix("/bucket").removeprefix("/")
        self.query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        with self.state.lock:
            self.state.requests.append(f"{self.command} {self.key or urlsplit(self.path).query}")
            self.state.headers.append({name.lower(): value for name, value in self.headers.items()})
            faults = list(self.state.faults)
        for fault in faults:
            if fault(self):
                return
        getattr(self, f"answer_{self.command.lower()}")(self.body())

    do_GET = do_HEAD = do_PUT = handle_one  # noqa: N815

    def body(self) -> bytes:
        """Read the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, code: str, message: str = "said the server") -> None:
        """Read the body and answer with one of S3's errors."""
        self.body()
        self.answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())

    def answer_put(self, content: bytes) -> None:
        """Store an object, unless what came is not what was sent; or copy one."""
        source = self.headers.get("x-amz-copy-source")
        if source is not None:
            content = self.state.objects[unquote(source).removeprefix("/").removeprefix("bucket/")]
            self.state.objects[self.key] = content
            self.answer(200, f"<CopyObjectResult><ETag>{etag(content)}</ETag></CopyObjectResult>".encode())
            return
        expected = self.headers["x-amz-checksum-sha256"]
        if base64.b64encode(hashlib.sha256(content).digest()).decode() != expected:
            self.answer(400, b"<Error><Code>BadDigest</Code><Message>not what was sent</Message></Error>")
            return
        self.state.objects[self.key] = content
        self.answer(200, ETag=etag(content))

    def answer_get(self, _body: bytes) -> None:
        """Send an object, or a list of objects."""
        if "list-type" in self.query:
            prefix, start = self.query.get("prefix", ""), self.query.get("start-after", "")
            after = self.query.get("continuation-token", start)
            keys = sorted(key for key in self.state.objects if key.startswith(prefix) and key > after)
            found, more = keys[:PAGE], keys[PAGE:]
            rest = f"<NextContinuationToken>{escape(found[-1])}</NextContinuationToken>" if more else ""
            items = "".join(
                f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>{etag(self.state.objects[key])}</ETag><Size>{len(self.state.objects[key])}</Size></Contents>"
                for key in found
            )
            truncated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
            body = f"<ListBucketResult>{truncated}{rest}{items}</ListBucketResult>"
            self.answer(200, body.encode())
        elif self.key not in self.state.objects:
            self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
        else:
            content = self.state.objects[self.key]
            self.answer(
                200, content, ETag=etag(content), **{"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            )

    answer_head = answer_get

    def log_message(self, *_args: Any) -> None:
        """Stay silent."""


def etag(content: bytes) -> str:
    """Return what S3 gives a content that is not encrypted with a KMS key."""
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def times(count: int, fault: Callable[[Handler], object], method: str = "") -> Fault:
    """Return a fault that meets the first so many requests of a method."""
    left = [count]
    lock = threading.Lock()

    def meet(handler: Handler) -> bool:
        with lock:
            if not handler.command.startswith(method) or not left[0]:
                return False
            left[0] -= 1
        fault(handler)
        return True

    return meet


@contextmanager
def serve() -> Iterator[FaultyServer]:
    """Run a server; its state can be read and changed while it runs."""
    handler = type("BoundHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are the point
    handler.state = FaultyServer(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]  # set on this class alone
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield handler.state  # type: ignore[attr-defined]  # set on this class alone
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
