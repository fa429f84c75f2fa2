"""Fetching a URL that someone else chose, without being led anywhere one should not go.

Each hop (the URL, then every redirect) is parsed strictly, its host resolved once, every address
checked, and the connection made to a checked address, so that a DNS answer that changes in between
changes nothing. Environment proxies are not used: a proxy would resolve the name again.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import queue
import socket
import ssl
import string
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, cast
from urllib.parse import quote, urljoin

from sagemaker_dogbreed.container.addresses import is_address, is_public
from sagemaker_dogbreed.container.urls import DEFAULT_PORTS, AllowedHosts, Url, UrlError, parse_url

MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK_BYTES = 65536

Resolver = Callable[[str, int], Sequence[str]]
"""From a host name and a port to IP addresses; raises OSError where there are none."""


def resolve_by_system(host: str, port: int) -> list[str]:
    """Return the addresses of a host name, as the operating system knows them."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def fetch(
    url: str,
    *,
    allowed_hosts: Collection[str] = (),
    max_bytes: int,
    timeout_seconds: float = 10,
    resolve: Resolver = resolve_by_system,
) -> bytes:
    """Fetch an http or https URL's body, from public addresses only.

    Args:
        url: The URL, from whoever.
        allowed_hosts: Hosts (``host`` or ``host:port``) that are open whatever their address and port.
        max_bytes: How long the body may be.
        timeout_seconds: The time for everything together: names, redirects, headers and body.
        resolve: How names become addresses.

    Raises:
        UrlError: The URL was refused or could not be fetched.
        ValueError: An entry of ``allowed_hosts`` is not a host.
    """
    allowed = AllowedHosts(allowed_hosts)
    first = hop = parse_url(url)
    deadline = time.monotonic() + timeout_seconds
    redirects = 0
    try:
        while True:
            location, body = _get(hop, allowed, max_bytes, deadline, resolve)
            if location is None:
                return body
            redirects += 1
            hop = _next_hop(hop, location, redirects)
    except UrlError as error:
        after = " (after a redirect)" if redirects else ""
        # Where a redirect leads is not the caller's malformed request.
        code = "url_blocked" if redirects and error.code == "url_invalid" else error.code
        raise UrlError(code, f"{first.shown}: {error.message}{after}") from error
    except TimeoutError as error:
        raise UrlError("url_timeout", f"{first.shown}: no answer within {timeout_seconds:g} s") from error
    except ssl.SSLError as error:
        raise UrlError(
            "url_unreachable", f"{first.shown}: no trusted TLS connection could be made ({error.reason})"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UrlError(
            "url_unreachable", f"{first.shown}: the host did not answer as a web server"
        ) from error


def _next_hop(hop: Url, location: str, redirects: int) -> Url:
    if redirects > MAX_REDIRECTS:
        raise UrlError("url_status", f"the host redirects more than {MAX_REDIRECTS} times")
    # A header's bytes arrive as Latin-1 characters; what is not ASCII is escaped byte by byte.
    location = quote(location.strip().encode("latin-1"), safe=string.punctuation)
    try:
        target = urljoin(hop.full, location)
    except ValueError:
        raise UrlError("url_invalid", "the URL cannot be read") from None
    return parse_url(target)


def _get(
    hop: Url, allowed: AllowedHosts, max_bytes: int, deadline: float, resolve: Resolver
) -> tuple[str | None, bytes]:
    """Make one request; return where it redirects to (or None) and the body."""
    addresses = [hop.host] if is_address(hop.host) else _resolve(hop, deadline, resolve)
    if hop not in allowed:
        _check_public(hop, addresses)
    with _connect(hop, addresses, deadline) as sock:
        request = (
            f"GET {hop.target} HTTP/1.1\r\nHost: {hop.authority}\r\nUser-Agent: sagemaker_dogbreed\r\n"
            "Accept: image/*, */*;q=0.1\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
        )
        sock.settimeout(_remaining(deadline))
        sock.sendall(request.encode("ascii"))
        with http.client.HTTPResponse(cast("Any", _Reader(sock, deadline)), method="GET") as response:
            response.begin()
            location = response.getheader("Location")
            if response.status in _REDIRECTS and location is not None:
                return location, b""
            return None, _body(response, max_bytes)


def _check_public(hop: Url, addresses: Sequence[str]) -> None:
    if hop.port < 1024 and hop.port not in DEFAULT_PORTS.values():
        raise UrlError("url_blocked", f"port {hop.port} is not one that web pages are served from")
    if not all(is_public(address) for address in addresses):
        raise UrlError(
            "url_blocked",
            "the host is not on the public internet; if it is meant to be reached, "
            "it has to be listed in this endpoint's allowed URL hosts",
        )


def _body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    if not 200 <= response.status < 300:
        raise UrlError("url_status", f"the host answered with status {response.status}")
    if response.getheader("Content-Encoding", "").strip().lower() not in {"", "identity"}:
        raise UrlError("url_status", "the host answered with a compressed body, which was not asked for")
    body = bytearray()
    while len(body) <= max_bytes and (response.length or 0) <= max_bytes:
        chunk = response.read(min(_CHUNK_BYTES, max_bytes + 1 - len(body)))
        if not chunk:
            if response.length:
                raise UrlError("url_unreachable", "the host closed the connection before the end")
            return bytes(body)
        body += chunk
    raise UrlError("url_too_large", f"the body is longer than {max_bytes} bytes")


class _Reader(io.RawIOBase):
    """What a socket receives, until the deadline; a trickle of bytes does not extend it."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_remaining(self._deadline))
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


def _resolve(hop: Url, deadline: float, resolve: Resolver) -> Sequence[str]:
    # The system's resolver knows no deadline: where it is late, it is left behind in its thread.
    answers: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(hop.host, hop.port))
        except (OSError, ValueError):
            answers.put(())

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        addresses = answers.get(timeout=_remaining(deadline))
    except queue.Empty:
        raise TimeoutError from None
    if not addresses:
        raise UrlError("url_unreachable", "the host name has no address")
    return addresses


def _connect(hop: Url, addresses: Sequence[str], deadline: float) -> socket.socket:
    for untried in range(len(addresses), 0, -1):
        # A share of the time for each address, so that a dead one does not use up all of it.
        patience = _remaining(deadline) / untried
        try:
            # An address, not a name: nothing is resolved here.
            sock = socket.create_connection((addresses[-untried], hop.port), timeout=patience)
            break
        except OSError:
            if untried == 1:
                raise
    if hop.scheme == "http":
        return sock
    try:
        sock.settimeout(_remaining(deadline))
        return _tls_context().wrap_socket(sock, server_hostname=hop.host)
    except BaseException:
        sock.close()
        raise


@functools.cache
def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    # Some Python builds and slim images have no certificates of their own.
    with contextlib.suppress(ImportError):
        from requests.utils import DEFAULT_CA_BUNDLE_PATH

        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining
