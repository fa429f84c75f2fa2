"""What went wrong with a connection, in words that a reader can act on."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator


def tls_trouble(error: BaseException, host: str) -> str:
    """Return why no TLS connection came about: the certificate, or something else."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the TLS certificate of {host} is not trusted: {cause.verify_message}"
    reasons = [cause.reason for cause in _causes(error) if isinstance(cause, ssl.SSLError) and cause.reason]
    detail = f": {reasons[0].replace('_', ' ').lower()}" if reasons else ""
    return f"the TLS connection to {host} failed{detail}; is {host} a server of https?"


def connection_trouble(error: BaseException, host: str) -> str:
    """Return why a connection failed: unknown name, refusal, time, no way there, or a drop.

    Args:
        error: What the HTTP client raised; the cause is looked for beneath it.
        host: The server's name, without secrets.
    """
    import requests
    import urllib3

    through_proxy = isinstance(error, requests.exceptions.ProxyError)
    peer = "the proxy" if through_proxy else host
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            silent = " (no name server answered)" if cause.errno == socket.EAI_AGAIN else ""
            return f"unknown host name: {peer}{silent}"
        if isinstance(cause, ConnectionRefusedError):
            return f"connection refused by {peer}"
        if isinstance(cause, TimeoutError):
            return f"the connection to {peer} timed out"
    if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
        reasons = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
        return f"{peer} cannot be reached" + "".join(f": {reason}" for reason in reasons[:1])
    if through_proxy:
        return f"the proxy made no connection to {host}"
    return f"the connection to {peer} was dropped"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it was made from; the HTTP clients keep them in several places."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
