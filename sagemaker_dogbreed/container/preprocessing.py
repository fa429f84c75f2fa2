"""How an image becomes the network's input; the same in training, evaluation and serving."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from PIL import Image
from torchvision import models, transforms  # type: ignore[import-untyped]  # torchvision ships no types

from sagemaker_dogbreed.container.model import check_backbone

Transform = Callable[[Image.Image], torch.Tensor]

_INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "nearest-exact", "box", "hamming", "lanczos")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Input size in pixels, normalisation of the channels red, green, blue, and interpolation.

    The short side is resized to ``resize_size`` and the central square of ``image_size`` kept.
    """

    image_size: int
    resize_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str

    def __post_init__(self) -> None:
        for name in ("image_size", "resize_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
                raise ValueError(f"{name} must be a whole number from 1 to 4096, got {value!r}")
        if self.resize_size < self.image_size:
            raise ValueError(f"resize_size {self.resize_size} is smaller than image_size {self.image_size}")
        for name in ("mean", "std"):
            value = getattr(self, name)
            if (
                not isinstance(value, tuple)
                or len(value) != 3
                or not all(type(item) in (int, float) and math.isfinite(item) for item in value)
            ):
                raise ValueError(f"{name} must be three numbers, got {value!r}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std!r}")
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(
                f"interpolation must be one of {', '.join(_INTERPOLATIONS)}; got {self.interpolation!r}"
            )

    @classmethod
    def for_backbone(cls, name: str, image_size: int | None = None) -> Preprocessing:
        """Return what the backbone's pretrained weights were evaluated with; nothing is downloaded.

        Another ``image_size`` keeps the proportion of the resized image to the square cut from it.

        Raises:
            ValueError: There is no such backbone.
        """
        check_backbone(name)
        weights = models.get_model_weights(name).DEFAULT.transforms()
        (crop,), (resize,) = weights.crop_size, weights.resize_size
        size = crop if image_size is None else image_size
        return cls(
            image_size=size,
            resize_size=round(size * resize / crop),
            mean=tuple(weights.mean),
            std=tuple(weights.std),
            interpolation=weights.interpolation.value,
        )

    @property
    def least_side(self) -> int:
        """Pixels an image's sides should have at least when it is decoded: twice what it is resized to."""
        return 2 * self.resize_size

    def evaluation_transform(self) -> Transform:
        """Return the function from an RGB image to a float tensor (3, image_size, image_size)."""
        resize = transforms.Resize(self.resize_size, self._interpolation_mode(), antialias=True)
        crop = transforms.CenterCrop(self.image_size)
        return cast("Transform", transforms.Compose([resize, crop, *self._to_normalized_tensor()]))

    def training_transform(self, augmentation: str) -> Transform:
        """Return the same with random changes: ``flip_crop``, or ``none`` for no change."""
        if augmentation == "none":
            return self.evaluation_transform()
        # Most of the picture stays: torchvision's default, down to 8 % of it, is for millions of images.
        crop = transforms.RandomResizedCrop(
            self.image_size, scale=(0.6, 1.0), interpolation=self._interpolation_mode(), antialias=True
        )
        flip = transforms.RandomHorizontalFlip()
        return cast("Transform", transforms.Compose([crop, flip, *self._to_normalized_tensor()]))

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Preprocessing:
        """Read what ``to_dict`` returned, also after a way through JSON.

        Raises:
            ValueError: A value is missing, unknown or not acceptable; the message names it.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            raise ValueError(f"preprocessing must hold exactly {', '.join(sorted(names))}; got {values!r}")
        read: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**read)

    def _interpolation_mode(self) -> Any:
        return transforms.InterpolationMode(self.interpolation)

    def _to_normalized_tensor(self) -> list[Any]:
        return [transforms.ToTensor(), transforms.Normalize(self.mean, self.std)]
