"""However a picture is given, the endpoint gets the same image."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from sagemaker_dogbreed.container.images import open_rgb
from sagemaker_dogbreed.errors import InvocationError
from sagemaker_dogbreed.payload import MAX_BYTES, payload


def _gradient(mode):
    image = Image.new(mode, (24, 16))
    for x in range(24):
        for y in range(16):
            value = (
                (x * 10, y * 15, 100, x * 10) if mode == "RGBA" else x * 2000 if mode == "I;16" else x * 10
            )
            image.putpixel((x, y), value)
    return image


def _file(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _seen(body):
    return open_rgb(body, max_pixels=10**6).tobytes()


def _closed():
    file = io.BytesIO(b"picture")
    file.close()
    return file


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "I;16", "1"])
def test_a_pil_image_is_seen_as_its_file_is(mode):
    """Transparency, palettes and 16-bit values reach the endpoint, which treats files and images alike."""
    body = _file(_gradient(mode))
    with Image.open(io.BytesIO(body)) as image:
        assert _seen(payload(image).body) == _seen(body)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pil_image_keeps_its_orientation(orientation):
    """A photo that is stored lying down is seen upright, as a file and as an image."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = _file(_gradient("RGBA").convert("RGB"), exif=exif)
    with Image.open(io.BytesIO(body)) as image:
        assert _seen(payload(image).body) == _seen(body)


def test_a_cmyk_image_is_sent_as_rgb():
    """A mode that PNG does not know is converted."""
    assert Image.open(io.BytesIO(payload(Image.new("CMYK", (4, 4))).body)).mode == "RGB"


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
def test_bytes_of_any_kind_are_one_picture(wrap):
    """Bytes, views and open files are one picture each."""
    body = _file(Image.new("RGB", (4, 4)))
    assert payload(wrap(body)).body == body
    assert payload(wrap(body)).content_type == "image/png"


def test_a_url_is_sent_whole_and_shown_without_its_signature():
    """The endpoint gets the URL as it is; what is said about it leaves the query out."""
    request = payload("https://host/dog.jpg?X-Amz-Signature=0a1b")
    assert json.loads(request.body) == {"url": "https://host/dog.jpg?X-Amz-Signature=0a1b"}
    assert request.what == "https://host/dog.jpg"


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("missing.jpg", "'missing.jpg' cannot be read"),
        ("", "path is empty"),
        ("s3://bucket/dog.jpg", "not from s3: URLs"),
        ("ftp://host/dog.jpg", "not from ftp: URLs"),
        ("data:image/png;base64,AAAA", "not from data: URLs"),
        (b"", "is empty"),
        (bytes(MAX_BYTES + 1), "an endpoint takes"),
        (3, "int is no picture"),
        (io.StringIO("text"), "StringIO is no picture"),
        (_closed(), "file object cannot be read"),
        (Image.new("RGB", (0, 0)), "cannot be encoded"),
        ("bad\0name.jpg", "cannot be read"),
    ],
)
def test_what_is_no_picture_is_named(picture, message):
    """A missing file, nothing, too much, another scheme or type: each says what it is."""
    with pytest.raises(InvocationError) as caught:
        payload(picture)
    assert message in str(caught.value)
