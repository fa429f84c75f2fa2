"""Decoding images: every pixel layout to upright RGB, every hostile byte string to an ImageError."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sagemaker_dogbreed.container.images import ImageError, open_rgb, open_rgb_file

MAX_PIXELS = 1_000_000
RED = (255, 0, 0)
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def encode(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def chessboard(mode: str = "RGB") -> Image.Image:
    image = Image.new("RGB", (24, 16), RED)
    image.paste((0, 0, 255), (0, 0, 12, 8))
    return image.convert(mode)


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0"))


def error_of(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageError:
    with pytest.raises(ImageError) as caught:
        open_rgb(data, max_pixels=max_pixels)
    return caught.value


@pytest.mark.parametrize("image_format", FORMATS)
def test_each_format_decodes_to_rgb(image_format: str) -> None:
    """Each accepted format gives an RGB image with the picture's size and colors."""
    image = open_rgb(encode(chessboard(), image_format), max_pixels=MAX_PIXELS)
    assert (image.mode, image.size) == ("RGB", (24, 16))
    red, green, blue = image.getpixel((20, 12))
    assert red > 240
    assert green < 15
    assert blue < 15


@pytest.mark.parametrize(
    ("mode", "image_format"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "TIFF"),
    ],
)
def test_pixel_layouts_become_rgb(mode: str, image_format: str) -> None:
    """Bilevel, grayscale, palette, CMYK and YCbCr images come out as Pillow would show them."""
    original = chessboard(mode)
    image = open_rgb(encode(original, image_format), max_pixels=MAX_PIXELS)
    expected = original.convert("RGB").getpixel((20, 12))
    assert image.mode == "RGB"
    assert all(abs(a - b) < 12 for a, b in zip(image.getpixel((20, 12)), expected, strict=True))


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_sixteen_bit_gray_keeps_its_tones(image_format: str) -> None:
    """A 16-bit value is scaled to 8 bits, not clipped to white."""
    image = Image.new("I;16", (20, 20), 0x8000)
    decoded = open_rgb(encode(image, image_format), max_pixels=MAX_PIXELS)
    assert decoded.getpixel((5, 5)) == (128, 128, 128)


def test_floating_point_and_32_bit_pixels_are_refused() -> None:
    """Pixels without a fixed range are refused instead of guessed at."""
    floating = error_of(encode(Image.new("F", (8, 8), 0.5), "TIFF"))
    wide = error_of(encode(Image.new("I", (8, 8), 1_000_000), "TIFF"))
    assert [floating.code, wide.code] == ["unsupported_format", "unsupported_format"]


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_transparent_parts_become_white(image_format: str) -> None:
    """An alpha channel is composited on white, in proportion."""
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((0, 0, 0, 128), (10, 0, 20, 20))
    options = {"lossless": True} if image_format == "WEBP" else {}
    decoded = open_rgb(encode(image, image_format, **options), max_pixels=MAX_PIXELS)
    assert decoded.getpixel((2, 2)) == (255, 255, 255)
    assert abs(decoded.getpixel((15, 5))[0] - 127) <= 2


@pytest.mark.parametrize("mode", ["P", "LA", "L", "RGB"])
def test_transparency_without_rgba_becomes_white(mode: str) -> None:
    """A transparent color of a palette, gray or RGB image is white as well."""
    image = Image.new(mode, (10, 10), 0)
    transparency: Any = {"P": 0, "L": 0, "RGB": (0, 0, 0), "LA": None}[mode]
    options = {} if transparency is None else {"transparency": transparency}
    assert open_rgb(encode(image, **options), max_pixels=MAX_PIXELS).getpixel((1, 1)) == (255, 255, 255)


def test_gif_gives_its_first_frame() -> None:
    """Of an animation the first frame is the image."""
    frames = [Image.new("RGB", (10, 10), color) for color in (RED, (0, 255, 0))]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_rgb(data, max_pixels=MAX_PIXELS).getpixel((5, 5)) == RED


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, image_format: str) -> None:
    """Whatever way round the pixels are stored, the blue corner comes out top left."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transpositions that PIL numbers so
    stored = chessboard()
    if orientation in undo:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = open_rgb(encode(stored, image_format, exif=exif), max_pixels=MAX_PIXELS)
    assert image.size == (24, 16)
    assert image.getpixel((3, 3))[2] > 200
    assert image.getpixel((20, 3))[0] > 200


def test_damaged_exif_leaves_the_image_as_stored() -> None:
    """An EXIF block that cannot be read does not cost the picture."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff" * 4
    image = open_rgb(encode(chessboard(), "JPEG", exif=exif), max_pixels=MAX_PIXELS)
    assert image.size == (24, 16)


def test_pixel_bomb_is_refused_by_its_header() -> None:
    """A header that announces too many pixels is enough to refuse; no pixel data is needed."""
    error = error_of(png_header(30_000, 30_000))
    assert error.code == "too_many_pixels"
    assert error.message == "the image has 30000 x 30000 pixels; at most 1 million are read"


@pytest.mark.parametrize("image_format", FORMATS)
def test_pixel_limit_holds_for_each_format(image_format: str) -> None:
    """An image of exactly the limit decodes, one pixel fewer allowed refuses it."""
    data = encode(chessboard(), image_format)
    assert open_rgb(data, max_pixels=24 * 16).size == (24, 16)
    assert error_of(data, max_pixels=24 * 16 - 1).code == "too_many_pixels"


def test_pixel_limit_is_the_callers_own() -> None:
    """A limit above Pillow's own is honored, without its warning or error."""
    limit = Image.MAX_IMAGE_PIXELS
    assert limit is not None
    side = int((1.1 * limit) ** 0.5)
    # Refused for its missing pixels, so the size was accepted; the warning would be an error here.
    assert error_of(png_header(side, side), max_pixels=2 * limit).code == "truncated_image"
    assert limit == Image.MAX_IMAGE_PIXELS


def test_large_tiff_tile_is_refused() -> None:
    """A small TIFF made of one gigantic tile is refused as a bomb."""
    entries = [(256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (277, 1), (322, 60_000), (323, 60_000)]
    entries += [(324, 8), (325, 8)]
    ifd = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    data = b"II*\0" + struct.pack("<IH", 8, len(entries)) + ifd + bytes(40)
    assert error_of(data).code == "too_many_pixels"


def test_long_strip_is_refused() -> None:
    """A strip within the pixel limit that resizing would blow up is refused."""
    error = error_of(encode(Image.new("L", (5_000, 10))))
    assert error.code == "too_many_pixels"
    assert "5000 x 10" in error.message


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_body"),
        (b"hello, I am a text", "not_an_image"),
        (b"<html></html>", "not_an_image"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "unsupported_format"),
        (b"%PDF-1.7", "unsupported_format"),
        (b"\xff\xd8\xff", "truncated_image"),
        (b"BMW is a car", "truncated_image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "truncated_image"),
    ],
)
def test_other_data_is_named(data: bytes, code: str) -> None:
    """What is not a usable image is refused with the code that fits."""
    assert error_of(data).code == code


@pytest.mark.parametrize("image_format", FORMATS)
def test_truncated_image_is_refused(image_format: str) -> None:
    """Half an image is an error that names the format, not a gray picture."""
    noise = Image.effect_noise((200, 150), 90).convert("RGB")
    data = encode(noise, image_format)
    error = error_of(data[: len(data) // 2])
    assert error.code == "truncated_image"
    assert image_format.lower() in error.message.lower()


def test_file_is_decoded_and_named_in_errors(tmp_path: Path) -> None:
    """A file decodes like its bytes, and an error names it."""
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(encode(chessboard()))
    bad.write_bytes(b"no image")
    assert open_rgb_file(good, max_pixels=MAX_PIXELS).getpixel((20, 12)) == RED
    with pytest.raises(ImageError, match=r"bad\.png: the data is not an image") as caught:
        open_rgb_file(bad, max_pixels=MAX_PIXELS)
    assert caught.value.code == "not_an_image"


def test_decoded_file_is_independent_of_the_file(tmp_path: Path) -> None:
    """The pixels are there after the file is gone."""
    path = tmp_path / "image.jpg"
    path.write_bytes(encode(chessboard(), "JPEG"))
    image = open_rgb_file(path, max_pixels=MAX_PIXELS)
    path.unlink()
    assert image.resize((12, 8)).size == (12, 8)


_NOISE = Image.effect_noise((40, 30), 60)
_EXIF = Image.Exif()
_EXIF[0x0112] = 6
VALID = [
    encode(_NOISE.convert("RGB"), "JPEG", exif=_EXIF),
    encode(_NOISE.convert("RGB"), "JPEG", progressive=True),
    encode(_NOISE.convert("RGBA"), "PNG", exif=_EXIF),
    encode(_NOISE.convert("P"), "PNG", transparency=3),
    encode(_NOISE.convert("RGB"), "WEBP"),
    encode(_NOISE.convert("RGB"), "BMP"),
    encode(_NOISE.convert("P"), "GIF"),
    encode(_NOISE.convert("RGB"), "TIFF", compression="tiff_lzw", exif=_EXIF),
    encode(_NOISE.convert("CMYK"), "TIFF"),
    encode(Image.new("I;16", (30, 30), 999), "TIFF"),
]


@st.composite
def mutated_images(draw: st.DrawFn) -> bytes:
    """Draw a valid image with some bytes changed, cut out or doubled; headers more often."""
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 6))):
        reach = draw(st.sampled_from([32, 200, len(data)]))
        position = draw(st.integers(0, max(0, min(reach, len(data)) - 1)))
        match draw(st.sampled_from(["set", "set", "cut", "insert", "end"])):
            case "set":
                data[position : position + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del data[position : position + draw(st.integers(1, 8))]
            case "insert":
                data[position:position] = draw(st.binary(min_size=1, max_size=8))
            case _:
                del data[position:]
    return bytes(data)


@settings(max_examples=400, deadline=None)
@given(mutated_images())
def test_damaged_images_raise_nothing_but_image_error(data: bytes) -> None:
    """Whatever is done to an image's bytes, it decodes to RGB or is refused with an ImageError."""
    try:
        image = open_rgb(data, max_pixels=MAX_PIXELS)
    except ImageError as error:
        assert error.code in {  # noqa: PT017  (either outcome is right)
            "empty_body",
            "not_an_image",
            "unsupported_format",
            "truncated_image",
            "too_many_pixels",
        }
    else:
        assert image.mode == "RGB"
        assert image.width * image.height <= MAX_PIXELS


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(VALID), st.binary(max_size=300), st.integers(2, 40))
def test_garbage_behind_a_header_raises_nothing_but_image_error(data: bytes, tail: bytes, keep: int) -> None:
    """A valid start followed by anything decodes or is refused with an ImageError."""
    try:
        image = open_rgb(data[:keep] + tail, max_pixels=MAX_PIXELS)
    except ImageError as error:
        assert error.message  # noqa: PT017  (either outcome is right)
    else:
        assert image.mode == "RGB"
