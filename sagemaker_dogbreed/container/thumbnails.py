"""Small pictures of images, as text."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from sagemaker_dogbreed.container.images import ImageError, open_rgb_file

LONGEST_SIDE = 128  # pixels
_MAX_PIXELS = 200_000_000
_QUALITY = 80  # some 4 kB a picture


def thumbnail(path: Path) -> str | None:
    """Return an image's upright thumbnail, a JPEG in base64; None where there is no image to be read."""
    try:
        image = open_rgb_file(path, max_pixels=_MAX_PIXELS, least_side=LONGEST_SIDE)
    except (ImageError, OSError):
        return None
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    image.info.clear()  # comments and profiles can be of any size, and say what is nobody's business
    content = io.BytesIO()
    image.save(content, format="JPEG", quality=_QUALITY)
    return base64.b64encode(content.getvalue()).decode("ascii")
