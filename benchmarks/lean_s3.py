"""A very lean S3 on loopback, so that a transfer tool is what a benchmark measures, not the server.

``python benchmarks/lean_s3.py --port 0 --latency-ms 25`` prints its port and serves until it is
stopped. Path-style addresses, HTTP/1.1 without TLS; no signature is checked. As it is, bodies are
kept, ETags are MD5 and checksums that come with a body (SHA-256, SHA-1, CRC-32, MD5) are verified.
``--lean`` leaves out all digests (ETags are then opaque, as those of buckets with a KMS key are)
and ``--discard .jpg`` drops the bodies of such keys: several thousand objects a second on one core.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import functools
import hashlib
import signal
import zlib
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import unquote, unquote_plus

from s3_messages import Answer, Body, Digest, Refusal, Request
from s3_objects import Objects

_LARGEST_HEAD = 64 * 1024
# One buffer serves all connections: the loop fills it and hands it over before it reads again.
_BUFFER = memoryview(bytearray(256 * 1024))


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_DIGESTS: dict[str, Callable[[], Digest]] = {
    "x-amz-checksum-sha256": hashlib.sha256,
    "x-amz-checksum-sha1": functools.partial(hashlib.sha1, usedforsecurity=False),
    "x-amz-checksum-crc32": _Crc32,
}


class _Sink(Protocol):
    def feed(self, data: memoryview) -> object: ...


class _Counted:
    """A body of known length."""

    def __init__(self, sink: _Sink, size: int) -> None:
        self._sink, self._left = sink, size
        self.done = size == 0

    def feed(self, data: memoryview) -> memoryview:
        """Pass on what belongs to the body and return the rest."""
        mine = data[: self._left]
        self._left -= len(mine)
        self._sink.feed(mine)
        self.done = self._left == 0
        return data[len(mine) :]


class _Chunked:
    """A body in chunks: of HTTP, or of S3's own ``aws-chunked``, which has the same grammar."""

    def __init__(self, sink: _Sink, trailers: dict[str, str]) -> None:
        self._sink, self._trailers = sink, trailers
        self._line = b""
        self._left = 0
        self._state = "size"
        self.done = False

    def feed(self, data: memoryview) -> memoryview:
        """Pass on what belongs to the body and return the rest."""
        while len(data) and not self.done:
            if self._left:
                mine = data[: self._left]
                self._left -= len(mine)
                self._sink.feed(mine)
                data = data[len(mine) :]
                continue
            end = bytes(data[:8192]).find(b"\n") + 1
            self._line += bytes(data[: end or len(data)])
            data = data[end or len(data) :]
            if end:
                line, self._line = self._line.strip(), b""
                self._read_line(line)
        return data

    def _read_line(self, line: bytes) -> None:
        if self._state == "trailers":
            name, _, value = line.decode("latin-1").partition(":")
            self._trailers[name.strip().lower()] = value.strip()
            self.done = not line
        elif line:  # an empty line ends the bytes of a chunk
            self._left = int(line.partition(b";")[0], 16)
            self._state = "size" if self._left else "trailers"


class _Connection(asyncio.BufferedProtocol):
    def __init__(self, objects: Objects, options: argparse.Namespace) -> None:
        self._objects, self._options = objects, options
        self._loop = asyncio.get_running_loop()
        self._pending = b""
        self._request: Request | None = None
        self._framing: _Counted | _Chunked | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the protocol has it
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        data = _BUFFER[:nbytes]
        if self._pending:
            data, self._pending = memoryview(self._pending + data), b""
        try:
            while len(data):
                data = self._read_head(data) if self._framing is None else self._framing.feed(data)
                if self._framing is not None and self._framing.done:
                    self._finish()
        except ValueError as error:  # nonsense on the wire
            self._send(Refusal(400, "BadRequest", str(error)).answer(), head_only=False)
            self._transport.close()

    def _read_head(self, data: memoryview) -> memoryview:
        start = bytes(data[:_LARGEST_HEAD])
        head, found, _ = start.partition(b"\r\n\r\n")
        if not found:
            if len(data) >= _LARGEST_HEAD:
                raise ValueError("the head of the request is too long")
            self._pending = start
            return data[len(data) :]
        request_line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _version = request_line.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        path, _, query_text = target.partition("?")
        query = {}
        for part in filter(None, query_text.split("&")):
            name, _, value = part.partition("=")
            query[unquote_plus(name)] = unquote_plus(value)
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        self._begin(Request(method, bucket, key, query, headers, Body()))
        return data[len(head) + 4 :]

    def _begin(self, request: Request) -> None:
        body, headers = request.body, request.headers
        discard = self._options.discard
        if request.method == "POST" or not (discard and request.key.endswith(discard)):
            body.parts = []
        if request.method == "PUT" and not self._options.lean:
            body.digests["md5"] = hashlib.md5(usedforsecurity=False)
            asked = [*headers, headers.get("x-amz-trailer", "").lower()]
            body.digests.update({name: _DIGESTS[name]() for name in asked if name in _DIGESTS})
            if len(headers.get("x-amz-content-sha256", "")) == 64:
                body.digests["x-amz-content-sha256"] = hashlib.sha256()
        sink: _Sink = body
        if "aws-chunked" in headers.get("content-encoding", ""):
            sink = _Chunked(body, body.trailers)
        self._request = request
        if headers.get("transfer-encoding", "").lower() == "chunked":
            self._framing = _Chunked(sink, {})
        else:
            self._framing = _Counted(sink, int(headers.get("content-length", "0")))
        if headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _finish(self) -> None:
        request = self._request
        assert request is not None
        self._request = self._framing = None
        answer = _mismatch(request) or self._objects.answer(request)
        head_only = request.method == "HEAD"
        if self._options.latency_ms:
            self._loop.call_later(self._options.latency_ms / 1000, self._send, answer, head_only)
        else:
            self._send(answer, head_only)

    def _send(self, answer: Answer, head_only: bool) -> None:
        if self._transport.is_closing():
            return
        length = len(answer.body) if answer.length is None else answer.length
        lines = [f"{name}: {value}\r\n" for name, value in answer.headers.items()]
        if answer.status != 204:
            lines.append(f"Content-Length: {length}\r\n")
        head = f"HTTP/1.1 {answer.status} _\r\nx-amz-request-id: 0\r\n{''.join(lines)}\r\n".encode("latin-1")
        self._transport.write(head if head_only else head + answer.body)


def _mismatch(request: Request) -> Answer | None:
    """Return the refusal of a body that is not what the request says it is, or None."""
    given = request.headers | request.body.trailers
    for name, digest in request.body.digests.items():
        value = digest.digest()
        stated = given.get("content-md5" if name == "md5" else name)
        if stated not in {None, value.hex(), base64.b64encode(value).decode()}:
            return Refusal(400, "BadDigest", f"The {name} you specified did not match the body.").answer()
    stated_size = given.get("x-amz-decoded-content-length")
    if stated_size is not None and int(stated_size) != request.body.size:
        return Refusal(400, "IncompleteBody", "The body is not as long as stated.").answer()
    return None


async def _serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    objects = Objects()
    server = await loop.create_server(
        lambda: _Connection(objects, options), "127.0.0.1", options.port, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; it is printed")
    parser.add_argument("--latency-ms", type=float, default=0, help="milliseconds before each answer")
    parser.add_argument("--lean", action="store_true", help="no digests: opaque ETags, nothing verified")
    parser.add_argument(
        "--discard", default="", metavar="SUFFIX", help="drop the bodies of keys with this ending"
    )
    options = parser.parse_args()
    runner = asyncio.run
    with contextlib.suppress(ImportError):  # a third faster, not needed otherwise
        import uvloop  # type: ignore[import-not-found]

        runner = uvloop.run
    runner(_serve(options))


if __name__ == "__main__":
    main()
