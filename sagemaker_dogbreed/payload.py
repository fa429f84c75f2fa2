"""Turns what a caller calls a picture into a request body."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sagemaker_dogbreed.errors import InvocationError

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 25 * 1000 * 1000
"""The largest body a real-time endpoint takes."""

_SIGNATURES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))
_ANY_IMAGE = "application/x-image"


class Payload(NamedTuple):
    """A request body, its content type, and what to call the picture in a message."""

    body: bytes
    content_type: str
    what: str


def payload(picture: str | os.PathLike[str] | bytes | bytearray | Image.Image) -> Payload:
    """Return the request body for one picture.

    Raises:
        InvocationError: It is no picture, cannot be read, is empty, or is over 25 MB.
    """
    if isinstance(picture, str) and picture.lower().startswith(("http://", "https://")):
        # A URL's query often is a signature: it goes to the endpoint, and into no message.
        return Payload(json.dumps({"url": picture}).encode(), "application/json", picture.partition("?")[0])
    if isinstance(picture, (str, os.PathLike)):
        return _image(_read(Path(picture)), str(picture))
    if isinstance(picture, (bytes, bytearray)):
        return _image(bytes(picture), f"picture of {len(picture):,} bytes")
    if hasattr(picture, "save") and hasattr(picture, "getbands"):
        encoded = io.BytesIO()
        picture.convert("RGB").save(encoded, "PNG")
        return _image(encoded.getvalue(), f"PIL image of {picture.width} x {picture.height} pixels")
    raise InvocationError(
        f"a {type(picture).__name__} is no picture: give a path, an http(s) URL, bytes, or a PIL image"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvocationError(f"picture {str(path)!r} cannot be read: {reason}") from error


def _image(body: bytes, what: str) -> Payload:
    if not body:
        raise InvocationError(f"{what} is empty")
    if len(body) > MAX_BYTES:
        raise InvocationError(f"{what} has {len(body):,} bytes; an endpoint takes {MAX_BYTES:,} at most")
    content_type = next((kind for start, kind in _SIGNATURES if body.startswith(start)), _ANY_IMAGE)
    return Payload(body, content_type, what)
