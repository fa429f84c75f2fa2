"""What passes between the wire and the objects of the lean S3: requests, their bodies, answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol
from xml.sax.saxutils import escape

_XML = "http://s3.amazonaws.com/doc/2006-03-01/"


class Digest(Protocol):
    """A running checksum."""

    def update(self, data: memoryview, /) -> object:
        """Add bytes."""

    def digest(self) -> bytes:
        """Return the checksum of all bytes added."""


@dataclass(slots=True)
class Body:
    """The bytes of a request as they arrive: counted, and digested and kept where that is wanted."""

    size: int = 0
    parts: list[bytes] | None = None
    digests: dict[str, Digest] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)

    def feed(self, data: memoryview) -> None:
        """Take bytes."""
        self.size += len(data)
        if self.parts is not None:
            self.parts.append(bytes(data))
        for digest in self.digests.values():
            digest.update(data)


@dataclass(slots=True, frozen=True)
class Request:
    """One request, parsed; header names are lower-case."""

    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Body


@dataclass(slots=True, frozen=True)
class Answer:
    """Status, headers and body; ``length`` is the Content-Length where it is not the body's."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None


class Refusal(Exception):  # noqa: N818 - named for what it is
    """An S3 error: status, code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Keep what the error document will say."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def answer(self) -> Answer:
        """Return the error document."""
        return document(
            f"<Code>{self.code}</Code><Message>{escape(self.message)}</Message>", "Error", self.status
        )


def document(fields: str, root: str, status: int = 200) -> Answer:
    """Return an XML answer; ``fields`` is what is inside its root."""
    space = "" if root == "Error" else f' xmlns="{_XML}"'
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{space}>{fields}</{root}>'
    return Answer(status, {"Content-Type": "application/xml"}, text.encode())
