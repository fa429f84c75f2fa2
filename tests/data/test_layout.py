from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sagemaker_dogbreed.container.images import FORMATS
from sagemaker_dogbreed.data.layout import IMAGE_SUFFIXES, Layout, find_layout
from sagemaker_dogbreed.errors import DatasetError


def grow(root: Path, *files: str) -> Path:
    """Make empty files, and folders where a name ends with a slash."""
    for name in files:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def shape(layout: Layout) -> dict[str, dict[str, list[str]]]:
    return {
        split: {name: [path.name for path in paths] for name, paths in classes.items()}
        for split, classes in layout.splits.items()
    }


@pytest.mark.parametrize(
    "names",
    [
        ("train", "valid", "test"),
        ("Training", "VAL", "Testing"),
        ("TRAIN", "validation", "test"),
    ],
)
def test_splits_are_found_under_their_usual_names(tmp_path: Path, names: tuple[str, str, str]) -> None:
    """Train, valid and test are recognised in any case and in their longer and shorter forms."""
    train, valid, test = names
    grow(
        tmp_path,
        *(f"{train}/pug/{n}.jpg" for n in "ba"),
        f"{train}/beagle/1.jpg",
        f"{valid}/pug/2.jpg",
        f"{test}/",
    )
    layout = find_layout(tmp_path)
    assert shape(layout) == {
        "train": {"beagle": ["1.jpg"], "pug": ["a.jpg", "b.jpg"]},
        "valid": {"pug": ["2.jpg"]},
        "test": {},
    }
    assert (layout.root, layout.missing, layout.strays, layout.nested) == (tmp_path, (), (), ())


def test_class_folders_alone_are_training_images_to_be_divided(tmp_path: Path) -> None:
    """Without split folders every folder is a class, and valid and test are missing."""
    layout = find_layout(grow(tmp_path, "pug/1.jpg", "beagle/1.jpg", "empty/", "README.md"))
    assert shape(layout) == {"train": {"beagle": ["1.jpg"], "empty": [], "pug": ["1.jpg"]}}
    assert layout.missing == ("valid", "test")


@pytest.mark.parametrize(
    ("present", "missing"), [(["train"], ("valid", "test")), (["train", "test"], ("valid",))]
)
def test_splits_that_are_not_there_are_missing(
    tmp_path: Path, present: list[str], missing: tuple[str, ...]
) -> None:
    """With train alone, or train and one other, the rest is to be carved from train."""
    grow(tmp_path, *(f"{split}/{name}/1.jpg" for split in present for name in ("pug", "beagle")))
    layout = find_layout(tmp_path)
    assert (list(layout.splits), layout.missing) == (present, missing)


@pytest.mark.parametrize("inner", ["train/pug/1.jpg train/beagle/1.jpg", "pug/1.jpg beagle/1.jpg"])
def test_wrappers_are_passed_through(tmp_path: Path, inner: str) -> None:
    """Folders that hold nothing but one folder, and perhaps a text file, do not matter."""
    grow(tmp_path, "README.txt", ".hidden/x", "__MACOSX/x", *(f"out/dogImages/{n}" for n in inner.split()))
    layout = find_layout(tmp_path)
    assert layout.root == tmp_path / "out" / "dogImages"
    assert set(layout.splits["train"]) == {"pug", "beagle"}


def test_a_wrapper_may_be_called_like_a_split(tmp_path: Path) -> None:
    """An unpacked ``train.zip`` that holds ``train`` itself is a wrapper around it."""
    layout = find_layout(grow(tmp_path, "train/train/pug/1.jpg", "train/train/beagle/1.jpg"))
    assert layout.root == tmp_path / "train"
    assert set(layout.splits["train"]) == {"pug", "beagle"}


def test_a_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    """Among other class folders, a folder "train" with images in it is a class of trains."""
    layout = find_layout(grow(tmp_path, "train/1.jpg", "plane/1.jpg", "car/1.jpg"))
    assert list(layout.splits["train"]) == ["car", "plane", "train"]


def test_what_lies_outside_of_class_folders_is_told(tmp_path: Path) -> None:
    """Images and folders beside the splits or directly in them, and folders in class folders, are listed."""
    grow(
        tmp_path, "train/pug/1.jpg", "train/beagle/1.jpg", "train/2.JPG", "train/notes.txt", "3.png",
        "unsorted/x/4.jpg", "test/pug/1.jpg", "train/pug/more/5.jpg", "train/pug/nothing/",
    )  # fmt: skip
    layout = find_layout(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in layout.strays] == ["unsorted", "train/2.JPG", "3.png"]
    assert layout.nested == (tmp_path / "train/pug/more",)


def test_hidden_files_are_ignored(tmp_path: Path) -> None:
    """Dot files and what Windows and macOS leave behind are neither images nor classes."""
    grow(tmp_path, "a/1.jpg", "a/.DS_Store", "a/._1.jpg", "b/1.jpg", "b/Thumbs.db", "b/desktop.ini", ".git/x")
    assert shape(find_layout(tmp_path)) == {"train": {"a": ["1.jpg"], "b": ["1.jpg"]}}


def test_links_are_followed_but_never_in_circles(tmp_path: Path) -> None:
    """Linked files, classes and splits are used; a link back up is no way to anywhere."""
    data = grow(tmp_path / "data", "pug/1.jpg", "beagle/1.jpg")
    root = grow(tmp_path / "root", "train/own/")
    (root / "train" / "pug").symlink_to(data / "pug")
    (root / "train" / "own" / "2.jpg").symlink_to(data / "beagle" / "1.jpg")
    (root / "train" / "own" / "broken.jpg").symlink_to(data / "gone")
    (root / "train" / "own" / "circle").symlink_to(root)
    (root / "valid").symlink_to(data)
    layout = find_layout(root)
    assert shape(layout) == {
        "train": {"own": ["2.jpg", "broken.jpg"], "pug": ["1.jpg"]},
        "valid": {"beagle": ["1.jpg"], "pug": ["1.jpg"]},
    }
    assert layout.nested == (root / "train/own/circle",)
    circle = tmp_path / "loop"
    circle.mkdir()
    (circle / "again").symlink_to(circle)
    with pytest.raises(DatasetError, match="one class only"):
        find_layout(circle)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["1.jpg", "2.jpg"], "holds images, but no class folders"),
        (["train/1.jpg", "test/2.jpg"], "/test holds images, but no class folders.*move test away"),
        (["train/a/1.jpg", "train/b/1.jpg", "test/1.jpg"], "test holds images, but no class folders"),
        (["valid/a/1.jpg", "test/b/1.jpg"], "holds test, valid, but no train"),
        (["train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"], "both val and valid.*merge"),
        (["beagle/1.jpg"], r"one class only \(beagle\)"),
        (["train/beagle/1.jpg", "test/beagle/1.jpg"], r"one class only \(beagle\)"),
        (["train/", "test/"], "no class folders"),
        (["a/", "b/"], "hold no files"),
        (["a/x/1.jpg", "b/x/1.jpg"], "but deeper ones such as .*/a/x"),
        (["notes.txt"], "holds no folders"),
        ([], "holds no folders"),
        (["plain.zip", "labels.csv"], "holds plain.zip: unpack it first"),
        (["train.tar.gz", "test.tgz"], "holds test.tgz, train.tar.gz: unpack them first"),
        (["train/a.zip", "test/b.7z"], r"holds test/b\.7z, train/a\.zip: unpack them first"),
        (["beagle/1.jpg", "notes.zip"], r"one class only \(beagle\)"),
    ],
)
def test_other_trees_are_errors_that_say_what_was_found(
    tmp_path: Path, files: list[str], message: str
) -> None:
    """The error names the folder, what is in it, and what is expected."""
    grow(tmp_path, *files)
    with pytest.raises(DatasetError, match=message) as caught:
        find_layout(tmp_path)
    assert re.match(re.escape(str(tmp_path)) + "|the class folders in", str(caught.value))
    assert "Expected are class folders" in str(caught.value) or "merge them" in str(caught.value)


def test_a_folder_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    """A folder that is gone, or that may not be listed, is named."""
    with pytest.raises(DatasetError, match=r"gone cannot be read: No such file"):
        find_layout(tmp_path / "gone")


def test_files_that_are_no_files_do_not_block(tmp_path: Path) -> None:
    """A pipe in a class folder is listed like a file and not opened."""
    grow(tmp_path, "a/1.jpg", "b/1.jpg")
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    assert shape(find_layout(tmp_path))["train"]["a"] == ["1.jpg", "pipe.jpg"]


def test_every_format_that_is_decoded_has_its_suffixes() -> None:
    """What training decodes is what file names are checked for."""
    assert set(IMAGE_SUFFIXES) == set(FORMATS)
