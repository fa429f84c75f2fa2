"""The examination of one file: is it an image that training can use?"""

from __future__ import annotations

import hashlib
import re
import stat

import attrs

from sagemaker_dogbreed.container.images import FORMATS, ImageError, open_rgb_file
from sagemaker_dogbreed.data.image_file import Candidate, ImageFile
from sagemaker_dogbreed.data.keys import complaint, object_key
from sagemaker_dogbreed.data.layout import IMAGE_SUFFIXES, has_image_suffix

_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG",
    "WebP": rb"RIFF....WEBP",
    "BMP": rb"BM",
    "GIF": rb"GIF8",
    "TIFF": rb"II|MM",
}
_WORDS = {
    "empty_body": "is empty",
    "not_an_image": f"is not an image; formats that are read: {', '.join(FORMATS)}",
}


@attrs.frozen(kw_only=True)
class Examined:
    """What became of a candidate.

    ``image`` is None if it cannot be used; ``kind`` and ``message`` tell what was found, if anything.
    """

    candidate: Candidate
    image: ImageFile | None = None
    kind: str | None = None
    message: str = ""


def examine(candidate: Candidate, max_pixels: int) -> Examined:
    """Decode a file completely, the way training does, and take its SHA-256."""
    path = candidate.path
    key = object_key(candidate.split, candidate.class_name, path.name)
    unusable = complaint(key)
    if unusable is not None:
        return Examined(candidate=candidate, kind="unsafe_name", message=unusable)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return Examined(candidate=candidate, kind="unsupported_file", message="is no ordinary file")
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        decoded = open_rgb_file(path, max_pixels=max_pixels)
    except ImageError as error:
        message = _WORDS.get(error.code, error.message.removeprefix(f"{path}: "))
        return Examined(candidate=candidate, kind=_kind(error, candidate), message=message)
    except OSError as error:
        return Examined(
            candidate=candidate, kind="unreadable_image", message=f"cannot be read: {error.strerror or error}"
        )
    image_format = next(name for name in FORMATS if re.match(_SIGNATURES[name], head, re.DOTALL))
    suffixes = IMAGE_SUFFIXES[image_format]
    if not has_image_suffix(path):
        # Training takes files for images by their names' endings.
        key += suffixes[0]
    wrong = path.suffix.lower() not in suffixes
    return Examined(
        candidate=candidate,
        image=ImageFile(
            path=path,
            split=candidate.split,
            class_name=candidate.class_name,
            key=key,
            size=size,
            sha256=digest,
            width=decoded.width,
            height=decoded.height,
        ),
        kind="wrong_extension" if wrong else None,
        message=f"is a {image_format} image; its name should end in {suffixes[0]}" if wrong else "",
    )


def _kind(error: ImageError, candidate: Candidate) -> str:
    if error.code in ("truncated_image", "too_many_pixels"):
        return error.code
    if error.code == "unsupported_format" or not has_image_suffix(candidate.path):
        return "unsupported_file"
    return "unreadable_image"
