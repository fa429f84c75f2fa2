"""URLs from outside, read strictly: what cannot be read in one way only is refused."""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from sagemaker_dogbreed.container.addresses import normal_host

MAX_CHARACTERS = 8192
DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)
_MAX_PORT = 65535


class UrlError(Exception):
    """A URL that was not fetched.

    ``code`` is one of ``url_invalid``, ``url_blocked``, ``url_unreachable``, ``url_too_large``,
    ``url_timeout`` and ``url_status``. ``message`` never holds credentials, query strings or
    addresses that a name resolved to.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return self.message


class Url(NamedTuple):
    """An http or https URL; ``host`` is normal (see `normal_host`), ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The host, with its port where that is not the scheme's own, as the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def full(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def shown(self) -> str:
        """The URL as it may be shown and logged: without its query."""
        return self.full.partition("?")[0]


class AllowedHosts:
    """Hosts that are open to URLs whatever their address and port.

    >>> allowed = AllowedHosts(["images.internal", "10.0.0.5:8080"])
    >>> parse_url("http://images.internal:99/dog.jpg") in allowed, parse_url("http://10.0.0.5/") in allowed
    (True, False)
    """

    def __init__(self, entries: Collection[str]) -> None:
        """Read ``host`` (any port) and ``host:port`` entries.

        Raises:
            ValueError: An entry is not a host; the message names it.
        """
        self._hosts = {self._read(entry.strip()) for entry in entries}

    def __contains__(self, url: Url) -> bool:
        return (url.host, None) in self._hosts or (url.host, url.port) in self._hosts

    @staticmethod
    def _read(entry: str) -> tuple[str, int | None]:
        try:
            return _host_and_port(entry)
        except ValueError as error:
            raise ValueError(f"allowed URL host {entry!r}: {error}; write host or host:port") from None


def parse_url(text: str) -> Url:
    """Read a URL.

    Raises:
        UrlError: ``url_invalid``: the text is not an http or https URL that can be fetched.
    """
    if len(text) > MAX_CHARACTERS:
        raise UrlError("url_invalid", f"the URL has more than {MAX_CHARACTERS} characters")
    # urlsplit drops tabs and line ends without a word, and a backslash is a slash to some.
    if re.search(r"[\s\\\x00-\x20\x7f]", text):
        raise UrlError("url_invalid", "the URL has whitespace, control characters or a backslash in it")
    try:
        parts = urlsplit(text)
        path = quote(parts.path or "/", safe=string.punctuation)
        query = quote(parts.query, safe=string.punctuation)
    except ValueError:
        raise UrlError("url_invalid", "the URL cannot be read") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise UrlError("url_invalid", "the URL's scheme is not http or https")
    if "@" in parts.netloc:
        raise UrlError("url_invalid", "the URL has credentials in it; they are never sent on")
    try:
        host, port = _host_and_port(parts.netloc)
    except ValueError as error:
        raise UrlError("url_invalid", f"the URL's host: {error}") from None
    target = f"{path}?{query}" if query else path
    return Url(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port, target)


def _host_and_port(authority: str) -> tuple[str, int | None]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise ValueError("not a host; one in another script is written in its xn-- form")
    port = int(match[2]) if match[2] else None
    if port is not None and not 1 <= port <= _MAX_PORT:
        raise ValueError(f"the port is not between 1 and {_MAX_PORT}")
    return normal_host(match[1]), port
