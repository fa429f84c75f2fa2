"""Turns what a caller calls a picture into a request body."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeAlias

from sagemaker_dogbreed.errors import InvocationError

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image"
"""A file's path, an http(s) URL, encoded bytes, an open binary file, or a PIL image."""

MAX_BYTES = 25 * 1024 * 1024
"""The largest body a real-time endpoint takes."""

_SIGNATURES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_ANY_IMAGE = "application/x-image"


class Payload(NamedTuple):
    """A request body, its content type, and what to call the picture in a message."""

    body: bytes
    content_type: str
    what: str


def payload(picture: Picture) -> Payload:
    """Return the request body for one picture.

    Raises:
        InvocationError: It is no picture, cannot be read, is empty, or is over 25 MiB.
    """
    if isinstance(picture, str) and picture.lower().startswith(("http://", "https://")):
        # A URL's query often is a signature: it goes to the endpoint, and into no message.
        return Payload(json.dumps({"url": picture}).encode(), "application/json", picture.partition("?")[0])
    if isinstance(picture, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", picture):
        scheme = picture.partition(":")[0]
        raise InvocationError(f"pictures are fetched from http and https URLs only, not from {scheme}: URLs")
    if isinstance(picture, (str, os.PathLike)):
        return _image(_read(os.fspath(picture)), f"picture {os.fspath(picture)!r}")
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return _image(bytes(picture), "picture given as bytes")
    from PIL import Image

    if isinstance(picture, Image.Image):
        return _image(_encoded(picture), f"PIL image of {picture.width} x {picture.height} pixels")
    if hasattr(picture, "read"):
        try:
            content = picture.read()
        except (OSError, ValueError) as error:
            raise InvocationError(f"the picture's file object cannot be read: {error}") from error
        if isinstance(content, bytes):
            return _image(content, "picture read from a file object")
    raise InvocationError(
        f"{type(picture).__name__} is no picture: give a path, an http(s) URL, bytes, an open binary file, "
        "a PIL image, or a list of these"
    )


def _encoded(image: Image.Image) -> bytes:
    """Return a PIL image as PNG with its orientation and transparency, which the endpoint heeds."""
    buffer = io.BytesIO()
    kept = image if image.mode in _PNG_MODES else image.convert("RGB")
    try:
        kept.save(buffer, "PNG", exif=image.getexif())
    except (OSError, ValueError, SystemError) as error:
        raise InvocationError(f"the PIL image cannot be encoded: {error}") from error
    return buffer.getvalue()


def _read(path: str) -> bytes:
    if not path:
        raise InvocationError("the picture's path is empty")
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvocationError(f"picture {path!r} cannot be read: {reason}") from error


def _image(body: bytes, what: str) -> Payload:
    if not body:
        raise InvocationError(f"{what} is empty")
    if len(body) > MAX_BYTES:
        raise InvocationError(
            f"{what} makes {len(body):,} bytes; an endpoint takes {MAX_BYTES:,} at most; make it smaller"
        )
    content_type = next((kind for start, kind in _SIGNATURES if body.startswith(start)), _ANY_IMAGE)
    return Payload(body, content_type, what)
