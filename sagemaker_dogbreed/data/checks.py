"""Checks of a data set as a whole; those of single files are in the examination."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sagemaker_dogbreed.container.metrics import SPLITS
from sagemaker_dogbreed.data.image_file import ImageFile
from sagemaker_dogbreed.data.layout import listing_of
from sagemaker_dogbreed.data.members import fold

IMBALANCE = 10
"""How many times the training images of the smallest class the largest may have."""

SMALL_CLASS = 5
"""Training images below which a class counts as small."""


class Found(NamedTuple):
    """A finding that has no severity yet; ``kind`` is a key of CHECKS."""

    kind: str
    message: str
    paths: tuple[Path, ...] = ()


def misplaced(strays: Sequence[Path], nested: Sequence[Path]) -> Iterator[Found]:
    """Yield what lies where no images are looked for."""
    for path in strays:
        if path.is_dir() and (count := len(listing_of(path).images)):
            images = f"{count:,} image" + ("s" if count > 1 else "")
            yield Found(
                "stray_folder",
                f"holds {images} but lies beside train; move it into train/ (and valid/, test/), or away",
                (path,),
            )
            continue
        yield Found("stray_file", "is in no class folder and left out", (path,))
    for path in nested:
        yield Found("nested_folder", "is inside a class folder; what is in it is left out", (path,))


def collisions(images: Sequence[ImageFile], classes: Sequence[str]) -> Iterator[Found]:
    """Yield names that are the same where letter case, or the encoding of accents, does not count."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[fold(name)].append(name)
    for names in alike.values():
        if len(names) > 1:
            listed = ", ".join(map(repr, names))
            yield Found("name_collision", f"class names differ only in letter case: {listed}")
    by_key: dict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        by_key[fold(image.key)].append(image)
    for group in by_key.values():
        if len(group) > 1 and len({image.class_name for image in group}) == 1:
            same = len({image.key for image in group}) < len(group)
            end = "; only the first is used" if same else " only in letter case"
            verb = "have one name" if same else "have names that differ"
            yield Found("name_collision", f"{verb}{end}", tuple(image.path for image in group))


def without_clashes(images: Sequence[ImageFile]) -> list[ImageFile]:
    """Return the images without those whose very key another one has."""
    return list({image.key: image for image in reversed(images)}.values())[::-1]


def coverage(
    images: Sequence[ImageFile], classes: Sequence[str], carved: Sequence[str] = ()
) -> Iterator[Found]:
    """Yield splits without images, and classes without images in a split.

    Args:
        images: The usable images, divided.
        classes: The names of all classes.
        carved: The splits whose images were taken from those of ``train``.
    """
    splits_of: dict[str, set[str]] = defaultdict(set)
    for image in images:
        splits_of[image.class_name].add(image.split)
    filled = set().union(*splits_of.values())
    for split in SPLITS:
        if split not in filled:
            reason = _why_empty(split, images, carved)
            yield Found("empty_split", f"the split {split} has no usable images: {reason}")
    for name in classes:
        splits = splits_of[name]
        if not splits:
            yield Found("empty_class", f"class {name!r} has no usable images")
            continue
        if "train" in filled and "train" not in splits:
            yield Found("class_not_in_train", f"class {name!r} has no training images; it is left out")
            continue
        for split in ("valid", "test"):
            if split in filled and split not in splits:
                yield Found("class_missing_in_split", f"class {name!r} has no images in {split}")


def _why_empty(split: str, images: Sequence[ImageFile], carved: Sequence[str]) -> str:
    if split not in carved:
        instead = "" if split == "train" else f", or remove the folder, and {split} is taken from train"
        return f"put images of every class into it{instead}"
    sizes = Counter(image.class_name for image in images if image.split in ("train", *carved))
    return (
        f"the largest class has {max(sizes.values(), default=0)}, and a class needs at least "
        f"{len(carved) + 1} to be divided"
    )


def trainable(images: Sequence[ImageFile]) -> list[ImageFile]:
    """Return the images of classes that have training images."""
    learned = {image.class_name for image in images if image.split == "train"}
    return [image for image in images if image.class_name in learned]


def duplicates(images: Sequence[ImageFile]) -> Iterator[Found]:
    """Yield groups of files with the same bytes that are spread over splits or classes."""
    alike: dict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        alike[image.sha256].append(image)
    for group in alike.values():
        paths = tuple(image.path for image in group)
        splits = [split for split in SPLITS if any(image.split == split for image in group)]
        classes = sorted({image.class_name for image in group})
        if len(splits) > 1:
            yield Found("duplicate_across_splits", f"are the same image in {' and '.join(splits)}", paths)
        if len(classes) > 1:
            listed = ", ".join(map(repr, classes))
            yield Found("duplicate_across_classes", f"are the same image in classes {listed}", paths)


def leaked(images: Sequence[ImageFile]) -> int:
    """Return how many validation and test images have the bytes of a training image."""
    learned = {image.sha256 for image in images if image.split == "train"}
    return sum(image.split != "train" and image.sha256 in learned for image in images)


def balance(images: Sequence[ImageFile]) -> Iterator[Found]:
    """Yield classes with few training images, and a great difference between classes."""
    sizes = Counter(image.class_name for image in images if image.split == "train")
    if not sizes:
        return
    (largest, most), (smallest, least) = (
        sizes.most_common(1)[0],
        min(sizes.items(), key=lambda item: (item[1], item[0])),
    )
    if most > IMBALANCE * least:
        yield Found(
            "class_imbalance",
            f"{largest!r} has {most:,} training images, {smallest!r} has {least:,}: "
            f"more than {IMBALANCE} times as many",
        )
    for name, size in sorted(sizes.items()):
        if size < SMALL_CLASS:
            yield Found("small_class", f"class {name!r} has only {size} training images")
