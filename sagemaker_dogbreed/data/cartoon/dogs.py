"""Cartoon dogs as a labelled data set: small, free of rights, drawn on the spot.

Made for trying things out without a download. A breed shows in ears, proportions, tail and coat;
scene, light and pose come from streams that do not know the breed, and breeds share colors.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sagemaker_dogbreed.data.cartoon.breeds import BREEDS, Breed
from sagemaker_dogbreed.data.cartoon.drawing import paint_picture
from sagemaker_dogbreed.errors import DatasetError, SpecError

if TYPE_CHECKING:
    from PIL import Image

_JPEG_QUALITY = 90


def draw_dog(breed: str, *, seed: int, image_size: int = 128) -> Image.Image:
    """Draw one dog of a breed as an RGB picture, ``image_size`` pixels a side.

    Two breeds drawn with one seed stand in the same place, in the same light and pose.

    Raises:
        SpecError: The breed is unknown, or the size is below 16 pixels.
    """
    return paint_picture(_breed(breed), seed=str(seed), image_size=_checked("image_size", image_size, 16))


def draw_cartoon_dogs(
    destination: str | os.PathLike[str],
    *,
    images_per_breed: int = 60,
    image_size: int = 128,
    seed: int = 0,
    breeds: Sequence[str] | None = None,
) -> Path:
    """Draw a folder of labelled pictures: ``<destination>/<breed>/<breed>_0001.jpg`` and so on.

    The same seed gives the same pictures; leaving breeds out does not change the others. The folder
    appears complete or not at all.

    Args:
        destination: A folder that does not exist yet, or an empty one.
        images_per_breed: Pictures of each breed.
        image_size: Side of the square pictures in pixels.
        seed: Seed of all pictures.
        breeds: Names of the breeds to draw; all known ones by default.

    Returns:
        ``destination`` as a path.

    Raises:
        DatasetError: The destination is in use or cannot be written.
        SpecError: A breed is unknown or given twice, or a number is too small.
    """
    folder = Path(destination)
    chosen = _chosen(BREEDS if breeds is None else breeds)
    _checked("images_per_breed", images_per_breed, 1)
    _checked("image_size", image_size, 16)
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise DatasetError(
            f"{folder} is not an empty folder; nothing was drawn. Choose a folder that does not exist "
            "yet, or empty this one first"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for breed in chosen:
                _draw_breed(beside / breed.name, breed, images_per_breed, image_size, seed)
            beside.chmod(0o755)
            beside.replace(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be written: {error}. Choose another folder") from error
    return folder


def _draw_breed(folder: Path, breed: Breed, count: int, image_size: int, seed: int) -> None:
    folder.mkdir()
    for number in range(1, count + 1):
        picture = paint_picture(breed, seed=f"{seed}/{breed.name}/{number}", image_size=image_size)
        picture.save(folder / f"{breed.name}_{number:04d}.jpg", quality=_JPEG_QUALITY)


def _chosen(names: Iterable[str]) -> list[Breed]:
    if isinstance(names, str):
        raise SpecError(f"breeds must be a list of names, got the text {names!r}")
    names = list(names)
    if not names or len(set(names)) < len(names):
        raise SpecError(f"breeds must be different names, at least one; got {names!r}")
    return [_breed(name) for name in names]


def _breed(name: str) -> Breed:
    if name not in BREEDS:
        raise SpecError(f"there is no cartoon breed {name!r}; known are: {', '.join(BREEDS)}")
    return BREEDS[name]


def _checked(name: str, value: object, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise SpecError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return value
