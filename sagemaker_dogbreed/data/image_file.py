"""One image of a data set, before and after its examination."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sagemaker_dogbreed.data.file_stamp import FileStamp


class Candidate(NamedTuple):
    """A file in a class folder, with the split whose folder it lies in; ``train`` if in none."""

    path: Path
    split: str
    class_name: str


class ImageFile(NamedTuple):
    """An image that was decoded without trouble.

    ``split`` is train, valid or test; ``key`` is its S3 key below the data set's prefix, such as
    ``train/beagle/1.jpg``; ``size`` is in bytes, ``width`` and ``height`` are in pixels. As long as the
    file has this ``stamp`` its content is what was examined; without one it has to be read to know.
    """

    path: Path
    split: str
    class_name: str
    key: str
    size: int
    sha256: str
    width: int
    height: int
    stamp: FileStamp | None = None
