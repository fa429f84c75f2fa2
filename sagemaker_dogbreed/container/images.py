"""The one way images are decoded, in training and in serving.

Six formats, whatever their pixels are stored as, come out as upright RGB. The bytes are hostile
until they are decoded: every way in which that can fail is an `ImageError`, and the size is checked
from the header, before any pixel is decoded.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF")
"""The formats that are read; of an animation, the first frame."""

MAX_ASPECT_RATIO = 50
"""How many times longer than wide an image may be: scaling its short side up to a network's input
would otherwise turn a strip of few pixels into billions."""


class _JpegFile(JpegImagePlugin.JpegImageFile):
    def _read_dpi_from_exif(self) -> None:
        """Leave the EXIF block unread while opening: a damaged one would warn, or cost the image."""


_SIGNATURES: tuple[tuple[bytes, str, Callable[..., ImageFile]], ...] = (
    (b"\xff\xd8\xff", "JPEG", _JpegFile),
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImagePlugin.PngImageFile),
    (b"GIF87a", "GIF", GifImagePlugin.GifImageFile),
    (b"GIF89a", "GIF", GifImagePlugin.GifImageFile),
    (b"II*\0", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"II+\0", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"MM\0+", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"BM", "BMP", BmpImagePlugin.BmpImageFile),
)
# Formats people try, for a message that says what they sent: where the mark is, the mark, the name.
_FOREIGN = (
    (4, b"ftyp", "HEIC or AVIF"),
    (0, b"%PDF-", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"<svg", "SVG"),
    (0, b"\0\0\1\0", "icon (ICO)"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
)
_HEAD_BYTES = 32
_ORIENTATION_TAG, _TILE_WIDTH_TAG, _TILE_LENGTH_TAG = 0x0112, 322, 323
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(Exception):
    """Bytes that cannot be used as an image.

    ``code`` is one of ``empty_body``, ``not_an_image``, ``unsupported_format``, ``truncated_image``
    and ``too_many_pixels``; ``message`` says what is wrong in words.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return self.message


def open_rgb(data: bytes, *, max_pixels: int, least_side: int | None = None) -> Image.Image:
    """Decode an image to upright RGB; transparent parts become white.

    A JPEG may come out at a half, a quarter or an eighth of its size, in much less time, as long as both
    sides keep ``least_side`` pixels.

    Raises:
        ImageError: The bytes are not an image that can be used.
    """
    return _decode(io.BytesIO(data), max_pixels, least_side)


def open_rgb_file(path: Path, *, max_pixels: int, least_side: int | None = None) -> Image.Image:
    """Decode an image file to upright RGB, as ``open_rgb`` does.

    Raises:
        ImageError: The file's content is not an image that can be used; the message names the file.
        OSError: The file cannot be opened.
    """
    with path.open("rb") as stream:
        try:
            return _decode(stream, max_pixels, least_side)
        except ImageError as error:
            raise ImageError(error.code, f"{path}: {error.message}") from error


def _decode(stream: IO[bytes], max_pixels: int, least_side: int | None = None) -> Image.Image:
    name, factory = _identify(stream.read(_HEAD_BYTES))
    stream.seek(0)
    # The plugins are called directly: Image.open would first apply Pillow's process-wide pixel
    # limit, with a warning, and try formats of its own choice.
    try:
        image = factory(stream, "")
        _check_size(image, max_pixels)
        if least_side is not None and name == "JPEG":
            image.draft(None, (least_side, least_side))
        image.load()
        return _to_rgb(_upright(image), name)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise ImageError("too_many_pixels", f"the {name} image needs too much memory to decode") from error
    # Whatever else hostile bytes make a decoder raise: struct.error, SyntaxError, ValueError, OSError, ...
    except Exception as error:
        raise ImageError(
            "truncated_image", f"the data begins like a {name} image but is damaged or cut short"
        ) from error


def _identify(head: bytes) -> tuple[str, Callable[..., ImageFile]]:
    if not head:
        raise ImageError("empty_body", "there is no data: an image was expected")
    for signature, name, factory in _SIGNATURES:
        if head.startswith(signature):
            return name, factory
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP", WebPImagePlugin.WebPImageFile
    accepted = ", ".join(FORMATS)
    for offset, mark, name in _FOREIGN:
        if head[offset:].startswith(mark):
            raise ImageError("unsupported_format", f"{name} is not read here; send one of {accepted}")
    raise ImageError("not_an_image", f"the data is not an image; send one of {accepted}")


def _check_size(image: ImageFile, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError("truncated_image", "the image has no pixels")
    tags: Any = getattr(image, "tag_v2", {})
    tile_pixels = int(tags.get(_TILE_WIDTH_TAG, 0)) * int(tags.get(_TILE_LENGTH_TAG, 0))
    if max(width * height, tile_pixels) > max_pixels:
        raise ImageError(
            "too_many_pixels",
            f"the image has {width} x {height} pixels; at most {max_pixels / 1e6:g} million are read",
        )
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise ImageError(
            "too_many_pixels",
            f"the image has {width} x {height} pixels: "
            f"one side is more than {MAX_ASPECT_RATIO} times as long as the other",
        )


def _upright(image: Image.Image) -> Image.Image:
    # The EXIF block may be damaged where the pixels are not: then the image is taken as it is stored.
    try:
        method = _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        method = None
    return image if method is None else image.transpose(method)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I"):
        image = _sixteen_to_eight_bits(image, name)
    if image.has_transparency_data:
        on_white = Image.new("RGBA", image.size, "white")
        on_white.alpha_composite(image.convert("RGBA"))
        image = on_white
    if image.mode in {"F", "LAB"}:
        kind = {"F": "floating-point", "LAB": "CIE Lab"}[image.mode]
        raise ImageError("unsupported_format", f"a {name} image with {kind} pixels is not read")
    return image.convert("RGB")


def _sixteen_to_eight_bits(image: Image.Image, name: str) -> Image.Image:
    # Pillow's own conversion would clip: every 16-bit value above 255 would become white.
    image = image.convert("I")
    low, high = cast("tuple[int, int]", image.getextrema())
    if low < 0 or high > 0xFFFF:
        raise ImageError("unsupported_format", f"a {name} image with 32-bit pixels is not read")
    return image.point(lambda value: value / 256).convert("L")
