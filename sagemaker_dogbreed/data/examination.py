"""The examination of one file: is it an image that training can use?"""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path
from typing import NamedTuple

from sagemaker_dogbreed.data.file_stamp import FileStamp
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
    "not_an_image": f"is not an image; formats that are read: {', '.join(IMAGE_SUFFIXES)}",
}


class Look(NamedTuple):
    """What a file's bytes are, wherever the file lies.

    ``image_format`` is None if they are no usable image; then ``code`` and ``message`` say why.
    ``stamp`` is the file's when it was read, or None where it is not sure to tell a later change.
    """

    sha256: str = ""
    width: int = 0
    height: int = 0
    image_format: str | None = None
    code: str = ""
    message: str = ""
    size: int = 0
    stamp: FileStamp | None = None


class Examined(NamedTuple):
    """What became of a candidate.

    ``image`` is None if it cannot be used; ``kind`` and ``message`` tell what was found, if anything.
    """

    candidate: Candidate
    image: ImageFile | None = None
    kind: str | None = None
    message: str = ""


def look_at(path: Path, max_pixels: int) -> Look:
    """Decode a file completely, the way training does, and take its SHA-256."""
    # Pillow is loaded on use: where nothing has changed, nothing is decoded.
    from sagemaker_dogbreed.container.images import FORMATS, ImageError, open_rgb_file

    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return Look(code="unsupported_file", message="is no ordinary file")
        with path.open("rb") as file:
            stamp = FileStamp.of(file.fileno())
            before = stamp if stamp.settled() else None
            head = file.read(16)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        try:
            decoded = open_rgb_file(path, max_pixels=max_pixels)
        except ImageError as error:
            message = _WORDS.get(error.code, error.message.removeprefix(f"{path}: "))
            return Look(code=error.code, message=message, size=size, stamp=_lasting(before, path))
        return Look(
            sha256=digest,
            width=decoded.width,
            height=decoded.height,
            image_format=next(name for name in FORMATS if re.match(_SIGNATURES[name], head, re.DOTALL)),
            size=size,
            stamp=_lasting(before, path),
        )
    except OSError as error:
        return Look(code="unreadable_image", message=f"cannot be read: {error.strerror or error}")


def judge(candidate: Candidate, look: Look) -> Examined:
    """Return what becomes of a candidate with such bytes."""
    path = candidate.path
    key = object_key(candidate.split, candidate.class_name, path.name)
    unusable = complaint(key)
    if unusable is not None:
        return Examined(candidate=candidate, kind="unsafe_name", message=unusable)
    if look.image_format is None:
        return Examined(candidate=candidate, kind=_kind(look.code, candidate), message=look.message)
    suffixes = IMAGE_SUFFIXES[look.image_format]
    wrong = path.suffix.lower() not in suffixes
    if wrong and not has_image_suffix(path):
        # Training takes files for images by their names' endings.
        key += suffixes[0]
    image = ImageFile(
        path,
        candidate.split,
        candidate.class_name,
        key,
        look.size,
        look.sha256,
        look.width,
        look.height,
        look.stamp,
    )
    if not wrong:
        return Examined(candidate, image)
    message = f"is a {look.image_format} image; its name should end in {suffixes[0]}"
    return Examined(candidate, image, "wrong_extension", message)


def _lasting(before: FileStamp | None, path: Path) -> FileStamp | None:
    """Return the stamp if the file has it still."""
    return before if before is not None and FileStamp.of(path) == before else None


def _kind(code: str, candidate: Candidate) -> str:
    if code in ("truncated_image", "too_many_pixels", "unsupported_file", "unreadable_image"):
        return code
    if code == "unsupported_format" or not has_image_suffix(candidate.path):
        return "unsupported_file"
    return "unreadable_image"
