"""S3 keys of images, which are file names again inside a training job."""

from __future__ import annotations

import unicodedata

from sagemaker_dogbreed.data.members import unprintable

LONGEST_KEY = 900
"""Bytes a key may have below the data set's prefix; S3 allows 1,024 in all."""

_LONGEST_NAME = 255  # bytes of a file name on Linux


def class_label(folder_name: str) -> str:
    """Return a class's name: its folder's, in composed characters as not all file systems keep it."""
    return unicodedata.normalize("NFC", folder_name)


def object_key(split: str, class_name: str, file_name: str) -> str:
    """Return the key of an image below the data set's prefix.

    >>> object_key("train", "beagle", "1.jpg")
    'train/beagle/1.jpg'
    """
    return unicodedata.normalize("NFC", f"{split}/{class_name}/{file_name}")


def complaint(key: str) -> str | None:
    """Return why a key cannot be used, or None if it can."""
    if unprintable(key):
        return "the name holds control characters or bytes that are not UTF-8"
    if "\\" in key:
        return "the name holds a backslash"
    if len(key.encode()) > LONGEST_KEY or any(len(part.encode()) > _LONGEST_NAME for part in key.split("/")):
        return f"the name is too long (folder and file together at most {LONGEST_KEY} bytes)"
    return None
