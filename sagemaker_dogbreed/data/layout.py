"""Which folders of a tree are splits and which are classes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sagemaker_dogbreed.container.metrics import SPLITS
from sagemaker_dogbreed.errors import DatasetError

IMAGE_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "WebP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
}
"""The image formats that are read, with the endings of their files' names."""

_ALL_SUFFIXES = frozenset(suffix for suffixes in IMAGE_SUFFIXES.values() for suffix in suffixes)

_ALIASES = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
_JUNK = {"__macosx", "thumbs.db", "desktop.ini"}
_PACKED = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".rar", ".7z"}
_DEEPEST_WRAPPER = 8
_EXPECTED = (
    "Expected are class folders with images in them, or the folders train, valid and test with class "
    "folders in each"
)


class Layout(NamedTuple):
    """The class folders of a data set.

    ``splits`` maps the splits that the tree has to their class folders, by name; a tree of plain class
    folders has them all under ``"train"``, from which the splits in ``missing`` are then carved.
    ``strays`` are images and folders outside of class folders, ``nested`` are folders inside them.
    """

    root: Path
    splits: Mapping[str, Mapping[str, tuple[Path, ...]]]
    missing: tuple[str, ...]
    strays: tuple[Path, ...]
    nested: tuple[Path, ...]


class _Listing(NamedTuple):
    folders: tuple[Path, ...]
    files: tuple[Path, ...]

    @property
    def images(self) -> tuple[Path, ...]:
        return tuple(path for path in self.files if has_image_suffix(path))


def has_image_suffix(path: Path) -> bool:
    """Return whether a file's name ends like that of an image."""
    return path.suffix.lower() in _ALL_SUFFIXES


def find_layout(folder: Path) -> Layout:
    """Return the data set's layout: train/valid/test with class folders, or class folders alone.

    Folders that only wrap the tree are passed through. Hidden files are ignored. Links are followed
    at these few levels, and nowhere else, so they cannot lead around in a circle.

    Raises:
        DatasetError: The folder is not laid out like this; the message tells what was found.
    """
    root, listing = _inside_wrappers(folder)
    if listing.images and not listing.folders:
        raise DatasetError(f"{root} holds images, but no class folders. {_EXPECTED}")
    if not listing.folders:
        _refuse_packed(root, listing)
        raise DatasetError(f"{root} holds no folders. {_EXPECTED}")
    split_folders = _split_folders(root, listing)
    nested: list[Path] = []
    if split_folders:
        splits = {
            split: _classes(listing_of(path), nested)
            for split, path in sorted(split_folders.items(), key=lambda item: SPLITS.index(item[0]))
        }
        strays = [path for path in listing.folders if path not in split_folders.values()]
        strays += [image for path in split_folders.values() for image in listing_of(path).images]
    else:
        splits, strays = {"train": _classes(listing, nested)}, []
    layout = Layout(
        root=root,
        splits=splits,
        missing=tuple(split for split in SPLITS if split not in splits),
        strays=(*strays, *listing.images),
        nested=tuple(nested),
    )
    _check(layout, listing)
    return layout


def listing_of(folder: Path) -> _Listing:
    """Return a folder's visible folders and files in order of their names.

    Raises:
        DatasetError: The folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:  # knows folders from files without asking for each
            entries = {entry.name: _is_folder(entry) for entry in found if not _is_hidden(entry.name)}
    except OSError as error:
        raise DatasetError(f"folder {folder} cannot be read: {error.strerror or error}") from error
    names = sorted(entries)
    return _Listing(
        tuple(folder / name for name in names if entries[name]),
        tuple(folder / name for name in names if not entries[name]),
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _inside_wrappers(folder: Path) -> tuple[Path, _Listing]:
    listing = listing_of(folder)
    for _level in range(_DEEPEST_WRAPPER):
        if len(listing.folders) != 1 or listing.images:
            break
        inner = listing_of(listing.folders[0])
        is_split = listing.folders[0].name.lower() in _ALIASES
        if not inner.folders or (is_split and not _has_splits(inner)):
            break
        folder, listing = listing.folders[0], inner
    return folder, listing


def _has_splits(listing: _Listing) -> bool:
    return any(_ALIASES.get(path.name.lower()) == "train" for path in listing.folders)


def _split_folders(root: Path, listing: _Listing) -> dict[str, Path]:
    """Return the split folders by split, or none where the folders are classes."""
    found: dict[str, Path] = {}
    named = [path for path in listing.folders if path.name.lower() in _ALIASES]
    inner = {path: listing_of(path) for path in named}
    if len(named) < len(listing.folders) and not any(inner[path].folders for path in named):
        return {}  # a class may be called "train", too
    for path in named:
        split = _ALIASES[path.name.lower()]
        if split in found:
            raise DatasetError(
                f"{root} holds both {found[split].name} and {path.name}, which mean the same: merge them"
            )
        if inner[path].images and not inner[path].folders:
            raise DatasetError(
                f"{path} holds images, but no class folders. {_EXPECTED}; move {path.name} away if its "
                "images have no labels"
            )
        found[split] = path
    if found and "train" not in found:
        names = ", ".join(path.name for path in found.values())
        raise DatasetError(f"{root} holds {names}, but no train. {_EXPECTED}")
    return found


def _classes(listing: _Listing, nested: list[Path]) -> dict[str, tuple[Path, ...]]:
    classes = {}
    for folder in listing.folders:
        inside = listing_of(folder)
        nested += [path for path in inside.folders if any(_visible(path))]
        classes[folder.name] = inside.files
    return classes


def _visible(folder: Path) -> Iterator[Path]:
    listing = listing_of(folder)
    yield from (*listing.folders, *listing.files)


def _refuse_packed(root: Path, listing: _Listing) -> None:
    """Raise DatasetError if there are archives in place of folders and images."""
    files = [*listing.files, *(file for folder in listing.folders for file in listing_of(folder).files)]
    packed = [str(path.relative_to(root)) for path in files if path.suffix.lower() in _PACKED]
    if packed and not any(map(has_image_suffix, files)):
        named = ", ".join(packed[:3]) + (", ..." if len(packed) > 3 else "")
        raise DatasetError(
            f"{root} holds {named}: unpack {'it' if len(packed) == 1 else 'them'} first. {_EXPECTED}"
        )


def _check(layout: Layout, listing: _Listing) -> None:
    names = sorted({name for classes in layout.splits.values() for name in classes})
    if len(names) < 2:
        _refuse_packed(layout.root, listing)
        found = f"one class only ({names[0]})" if names else "no class folders"
        raise DatasetError(f"{layout.root} holds {found}; a classifier needs at least two. {_EXPECTED}")
    if not any(files for classes in layout.splits.values() for files in classes.values()):
        if layout.nested:
            raise DatasetError(
                f"{layout.root} holds no images in its class folders, but deeper ones such as "
                f"{layout.nested[0]}. {_EXPECTED}"
            )
        raise DatasetError(f"the class folders in {layout.root} hold no files. {_EXPECTED}")
