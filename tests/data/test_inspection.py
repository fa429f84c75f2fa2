from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest
from PIL import Image, ImageFile

from sagemaker_dogbreed.data.prepare import PreparedDataset, prepare
from sagemaker_dogbreed.data.report import Finding, InspectionReport
from sagemaker_dogbreed.errors import DatasetError, InspectionError
from sagemaker_dogbreed.specs.dataset import CHECKS, DatasetSpec

_next_color = iter(range(1 << 24))


def picture(image_format: str = "JPEG", size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    """An image unlike every other one."""
    number = next(_next_color)
    image = Image.new("RGB", size)
    image.putdata([(number % 256, number // 256 % 256, i % 256) for i in range(size[0] * size[1])])
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, image_format, **({"quality": 100} if image_format == "JPEG" else {}))
    return buffer.getvalue() + number.to_bytes(4, "big") * (image_format == "JPEG")


def put(root: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """A data set with nothing wrong: two classes, 5 training images each, 1 valid and 1 test image."""
    root = tmp_path / "dogs"
    for name in ("beagle", "pug"):
        put(root, {f"train/{name}/{number}.jpg": picture() for number in range(5)})
        put(root, {f"{split}/{name}/0.jpg": picture() for split in ("valid", "test")})
    return root


def look(root: Path, **checks: str) -> PreparedDataset:
    """Prepare a data set in which nothing but the named checks is an error."""
    severities = {**dict.fromkeys(CHECKS, "warning"), **checks}
    return prepare(DatasetSpec(source=str(root), checks=severities), root.parent / "cache", progress=False)


def found(report: InspectionReport) -> list[tuple[str, list[str]]]:
    return [
        (finding.kind, [str(path.relative_to(report.root)) for path in finding.paths])
        for finding in report.findings
    ]


def test_a_good_data_set_has_no_findings(dogs: Path) -> None:
    """Every image is counted, measured and used; the report knows totals and spreads."""
    prepared = prepare(DatasetSpec(source=str(dogs)), dogs.parent / "cache", progress=False)
    report = prepared.report
    assert (report.findings, report.left_out, report.image_count) == ((), (), 14)
    assert report.counts == {name: {"train": 5, "valid": 1, "test": 1} for name in ("beagle", "pug")}
    assert report.total_bytes == sum(path.stat().st_size for path in dogs.rglob("*.jpg"))
    assert (report.width, report.height) == (report.height, report.width)
    assert report.width is not None
    assert (report.width.minimum, report.width.median, report.width.maximum) == (8, 8, 8)
    report.raise_for_errors()


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("x.jpg", b"", "unreadable_image", "is empty"),
        ("x.jpg", b"hello", "unreadable_image", "is not an image; formats that are read: JPEG, PNG"),
        ("x.JPG", picture()[:400], "truncated_image", "damaged or cut short"),
        ("x.png", picture("PNG", (64, 64))[:100], "truncated_image", "damaged or cut short"),
        ("x.webp", picture("WebP", (64, 64))[:60], "truncated_image", "damaged or cut short"),
        ("x.gif", picture("GIF", (64, 64))[:840], "truncated_image", "damaged or cut short"),
        ("x.bmp", picture("BMP", (64, 64))[:500], "truncated_image", "damaged or cut short"),
        ("x.tif", picture("TIFF", (64, 64))[:500], "truncated_image", "damaged or cut short"),
        ("x.txt", b"hello", "unsupported_file", "is not an image"),
        ("x.ico", picture("ICO", (16, 16)), "unsupported_file", "ICO"),
        ("x.jpg", b"\0\0\0\x20ftypheic" + bytes(40), "unsupported_file", "HEIC"),
        ("x\x07.jpg", picture(), "unsafe_name", "control characters"),
        ("x\udce9.jpg", picture(), "unsafe_name", "not UTF-8"),
        ("x\\y.jpg", picture(), "unsafe_name", "backslash"),
    ],
)
def test_files_that_cannot_be_used_are_left_out(
    dogs: Path, name: str, content: bytes, kind: str, message: str
) -> None:
    """As a warning such a file is reported and left out; as an error it stops all; ignored it is left out."""
    bad = dogs / "train" / "pug" / name
    bad.write_bytes(content)
    prepared = look(dogs)
    (finding,) = prepared.report.findings
    assert (finding.kind, finding.severity, finding.paths) == (kind, "warning", (bad,))
    assert message in finding.message
    assert (prepared.report.left_out, len(prepared.files)) == ((bad,), 14)
    with pytest.raises(InspectionError, match=f"(?s)1 error.*{kind}: warning") as caught:
        look(dogs, **{kind: "error"})
    assert [error.kind for error in caught.value.report.errors] == [kind]
    ignored = look(dogs, **{kind: "ignore"})
    assert (ignored.report.findings, ignored.report.left_out) == ((), (bad,))
    assert ignored.fingerprint == prepared.fingerprint


def test_the_defaults_of_severity_hold(dogs: Path) -> None:
    """Without settings a damaged image is an error and a text file is a warning."""
    put(dogs, {"train/pug/notes.txt": b"hello"})
    spec = DatasetSpec(source=str(dogs))
    assert [
        item.severity for item in prepare(spec, dogs.parent / "cache", progress=False).report.findings
    ] == ["warning"]
    put(dogs, {"train/pug/x.jpg": b"hello"})
    with pytest.raises(InspectionError):
        prepare(spec, dogs.parent / "cache", progress=False)


def test_links_to_nothing_and_pipes_are_told(dogs: Path) -> None:
    """A broken link cannot be read; a pipe is no file, and is not waited for."""
    (dogs / "train/pug/x.jpg").symlink_to(dogs / "gone")
    os.mkfifo(dogs / "train/pug/y.jpg")
    assert found(look(dogs).report) == [
        ("unreadable_image", ["train/pug/x.jpg"]),
        ("unsupported_file", ["train/pug/y.jpg"]),
    ]


def test_images_with_too_many_pixels_are_told_before_they_are_decoded(dogs: Path) -> None:
    """The spec's limit counts, not Pillow's; larger images are within reach of the setting."""
    put(dogs, {"train/pug/x.png": picture("PNG", (40, 25))})
    spec = DatasetSpec(source=str(dogs), max_image_megapixels=0.001)
    assert prepare(spec, dogs.parent / "cache", progress=False).report.findings == ()
    spec = DatasetSpec(source=str(dogs), max_image_megapixels=0.0011)
    put(dogs, {"train/pug/x.png": picture("PNG", (40, 28))})
    with pytest.raises(InspectionError, match=r"train/pug/x\.png: .*40 x 28 pixels"):
        prepare(spec, dogs.parent / "cache", progress=False)
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    put(dogs, {"train/pug/x.png": buffer.getvalue()})
    assert prepare(DatasetSpec(source=str(dogs)), dogs.parent / "cache", progress=False).report.findings == ()


def test_pillow_is_left_as_it_was(dogs: Path) -> None:
    """The inspection changes no global setting of Pillow's, nor the warnings' filters."""
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    look(dogs)
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before


def test_oddities_that_do_no_harm_are_no_findings(dogs: Path) -> None:
    """Where Pillow only warns, as of an animation without frames, the image is good; nothing is printed."""
    content = picture("PNG")
    control = b"acTL" + bytes(8)
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    put(dogs, {"train/pug/x.png": content[:33] + chunk + content[33:]})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert found(look(dogs).report) == []
    assert told == []


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF"])
def test_wrong_extensions_are_told_and_the_images_used(dogs: Path, image_format: str) -> None:
    """An image under another format's name is used; a name that is none of an image gets an ending."""
    other = "png" if image_format == "JPEG" else "jpg"
    content = picture(image_format)
    put(dogs, {f"train/pug/x.{other}": content, "train/pug/bare": picture(image_format)})
    prepared = look(dogs)
    assert found(prepared.report) == [
        ("wrong_extension", ["train/pug/bare"]),
        ("wrong_extension", [f"train/pug/x.{other}"]),
    ]
    assert f"is a {image_format} image" in prepared.report.findings[0].message
    keys = {file.key for file in prepared.files}
    assert f"train/pug/x.{other}" in keys
    assert {key for key in keys if "bare" in key} == {
        {"JPEG": "train/pug/bare.jpg", "TIFF": "train/pug/bare.tif"}.get(
            image_format, f"train/pug/bare.{image_format.lower()}"
        )
    }


def test_empty_classes_and_splits_are_told(dogs: Path) -> None:
    """A class without images, in all or in one split, and a split without images are findings."""
    (dogs / "train" / "husky").mkdir()
    put(dogs, {f"train/collie/{number}.jpg": picture() for number in range(5)})
    put(dogs, {"test/collie/0.jpg": picture(), "valid/boxer/0.jpg": picture()})
    prepared = look(dogs)
    messages = [(finding.kind, finding.message) for finding in prepared.report.findings]
    assert messages == [
        ("empty_class", "class 'husky' has no usable images"),
        ("class_missing_in_split", "class 'collie' has no images in valid"),
        ("class_not_in_train", "class 'boxer' has no training images; it is left out"),
    ]
    assert prepared.classes == ("beagle", "collie", "pug")
    assert prepared.report.left_out == (dogs / "valid/boxer/0.jpg",)
    for path in dogs.glob("test/*/*"):
        path.unlink()
    with pytest.raises(InspectionError, match="or accept") as caught:
        look(dogs, empty_class="error")
    findings = caught.value.report.findings
    assert "the split test has no usable images: put images of every class into it, or remove" in str(
        [finding.message for finding in findings if finding.kind == "empty_split"]
    )
    assert "class 'collie' has no images in test" not in [finding.message for finding in findings]
    assert "accept the rest with checks: {empty_class: warning};" in str(caught.value)


@pytest.mark.parametrize("severity", ["error", "warning", "ignore"])
@pytest.mark.parametrize("count", [1, 2])
def test_too_few_images_to_divide_cannot_be_accepted(tmp_path: Path, count: int, severity: str) -> None:
    """An empty split is an error whatever the checks say, and tells how many images a class needs."""
    put(tmp_path / "few", {f"{name}/{n}.jpg": picture() for name in ("pug", "beagle") for n in range(count)})
    with pytest.raises(InspectionError) as caught:
        look(tmp_path / "few", empty_split=severity)
    message = str(caught.value)
    assert (
        f"the split valid has no usable images: the largest class has {count}, and a class needs at least 3 "
        "to be divided"
    ) in message
    assert "accept" not in message
    assert [error.kind for error in caught.value.report.errors] == ["empty_split"] * 2


def test_a_single_missing_split_needs_two_images_of_a_class(dogs: Path) -> None:
    """Where only valid is taken from train, two images of a class are enough, and one is not."""
    for path in [*dogs.glob("valid/*/*"), *dogs.glob("train/*/[1-4].jpg")]:
        path.unlink()
    for folder in [*dogs.glob("valid/*"), dogs / "valid"]:
        folder.rmdir()
    with pytest.raises(InspectionError, match="the largest class has 1, and a class needs at least 2"):
        look(dogs)
    put(dogs, {"train/pug/1.jpg": picture(), "train/beagle/1.jpg": picture()})
    assert len(look(dogs).files) == 6


def test_without_training_images_nothing_goes_on(dogs: Path) -> None:
    """Even where everything is a warning, a classifier needs two classes to learn."""
    for path in dogs.glob("train/pug/*"):
        path.write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="fewer than two classes with usable training images"):
        look(dogs)
    for path in dogs.glob("train/*/*"):
        path.write_bytes(b"damaged")
    with pytest.raises(InspectionError, match="the split train has no usable images"):
        look(dogs)


def test_leakage_and_contradictions_are_told(dogs: Path) -> None:
    """The same bytes in two splits, or in two classes, are findings; in one folder they are not."""
    same, other, twice = picture(), picture(), picture()
    put(dogs, {"train/pug/x.jpg": same, "test/pug/x.jpg": same})
    put(dogs, {"train/pug/y.jpg": other, "train/beagle/y.jpg": other})
    put(dogs, {"train/pug/z1.jpg": twice, "train/pug/z2.jpg": twice})
    prepared = look(dogs)
    assert found(prepared.report) == [
        ("duplicate_across_splits", ["test/pug/x.jpg", "train/pug/x.jpg"]),
        ("duplicate_across_classes", ["train/beagle/y.jpg", "train/pug/y.jpg"]),
    ]
    assert "train and test" in prepared.report.findings[0].message
    assert len(prepared.files) == 20
    line = "      1 of 5 validation and test images are also in train: measured accuracy will be too good"
    assert line in str(prepared.report).splitlines()


def test_duplicates_of_validation_and_test_alone_are_no_leak(dogs: Path) -> None:
    """The line on images that are also in train is there only if some are."""
    same = picture()
    put(dogs, {"valid/pug/x.jpg": same, "test/pug/x.jpg": same})
    text = str(look(dogs).report)
    assert "duplicate_across_splits (1)" in text
    assert "also in train" not in text


def test_names_that_collide_are_told(dogs: Path) -> None:
    """Names that some file systems take for one are findings; no two images get one key."""
    put(dogs, {"train/pug/a.jpg": picture(), "train/pug/A.jpg": picture()})
    put(dogs, {"train/pug/caf\u00e9.jpg": picture(), "train/pug/cafe\u0301.jpg": picture()})
    put(dogs, {"train/Pug/1.jpg": picture(), "valid/Pug/1.jpg": picture(), "test/Pug/1.jpg": picture()})
    prepared = look(dogs, small_class="ignore")
    assert [(kind, len(paths)) for kind, paths in found(prepared.report)] == [
        ("name_collision", n) for n in (0, 2, 2)
    ]
    assert "'Pug', 'pug'" in prepared.report.findings[0].message
    keys = [file.key for file in prepared.files]
    assert (len(set(keys)), len(keys)) == (20, 20)
    assert {"train/pug/a.jpg", "train/pug/A.jpg", "train/pug/caf\u00e9.jpg", "train/Pug/1.jpg"} <= set(keys)
    assert len(prepared.report.left_out) == 1


def test_misplaced_images_and_folders_are_told(dogs: Path) -> None:
    """What lies outside of class folders, and folders inside them, are findings and left out."""
    put(dogs, {"x.jpg": picture(), "unsorted/y.jpg": picture(), "train/pug/more/z.jpg": picture()})
    prepared = look(dogs)
    assert found(prepared.report) == [
        ("nested_folder", ["train/pug/more"]),
        ("stray_folder", ["unsorted"]),
        ("stray_file", ["x.jpg"]),
    ]
    assert len(prepared.files) == 14


def test_a_class_folder_beside_train_stops_all(dogs: Path) -> None:
    """A folder of images beside train is an error by default; one without images is a warning."""
    put(dogs, {"notes/a.txt": b"hello", "loose.jpg": picture()})
    prepared = prepare(DatasetSpec(source=str(dogs)), dogs.parent / "cache", progress=False)
    assert found(prepared.report) == [("stray_file", ["notes"]), ("stray_file", ["loose.jpg"])]
    put(dogs, {f"corgi/{number}.jpg": picture() for number in range(10)})
    told = r"corgi: holds 10 images but lies beside train; move it into train/ \(and valid/, test/\), or away"
    with pytest.raises(InspectionError, match=f"(?s)1 error.*{told}"):
        prepare(DatasetSpec(source=str(dogs)), dogs.parent / "cache", progress=False)


def test_small_classes_and_imbalance_are_told(dogs: Path) -> None:
    """Fewer than 5 training images, and more than 10 times as many in another class, are findings."""
    (dogs / "train/pug/0.jpg").unlink()
    put(dogs, {f"train/beagle/{number}.jpg": picture() for number in range(40)})
    assert [kind for kind, _ in found(look(dogs).report)] == ["small_class"]
    put(dogs, {"train/beagle/41.jpg": picture()})
    report = look(dogs).report
    assert [kind for kind, _ in found(report)] == ["class_imbalance", "small_class"]
    assert "'beagle' has 41 training images, 'pug' has 4" in report.findings[0].message


def test_every_kind_of_finding_is_known(dogs: Path) -> None:
    """Findings come in the order in which CHECKS lists them."""
    put(
        dogs,
        {"train/pug/x.txt": b"hello", "train/pug/y.jpg": b"", "x.jpg": b"", "train/pug/z.png": picture()},
    )
    kinds = [kind for kind, _ in found(look(dogs).report)]
    assert kinds == ["unreadable_image", "wrong_extension", "unsupported_file", "stray_file"]
    assert kinds == sorted(kinds, key=list(CHECKS).index)


def test_the_error_lists_findings_and_the_way_out(dogs: Path) -> None:
    """The message has the first findings, the number of others, and the setting to accept them."""
    put(dogs, {f"train/pug/x{number}.jpg": b"hello" for number in range(7)})
    with pytest.raises(InspectionError) as caught:
        prepare(DatasetSpec(source=str(dogs)), dogs.parent / "cache", progress=False)
    message = str(caught.value)
    assert message.startswith("data set 'dogs' has 7 errors:\n  train/pug/x0.jpg: is not an image")
    assert "and 2 more" in message
    assert "checks: {unreadable_image: warning}" in message
    assert len(caught.value.report.errors) == 7


def test_the_report_prints_well(dogs: Path) -> None:
    """The text is at most 100 wide and has totals, splits, sizes, balance and examples of each kind."""
    put(dogs, {f"train/pug/x{number}.jpg": b"hello" for number in range(5)})
    put(dogs, {f"train/beagle/{'long ' * 40}{number}.png": picture() for number in range(5)})
    text = str(look(dogs, unreadable_image="warning").report)
    lines = text.splitlines()
    assert lines[0].startswith("dogs: 19 images, 2 classes, ")
    assert lines[0].endswith("; 0 errors, 10 warnings")
    assert max(map(len, lines)) <= 100
    assert "  train           15         2" in lines
    assert "    beagle       10  " + "#" * 40 in lines
    assert "    pug           5  " + "#" * 20 in lines
    assert "    unreadable_image (5)" in lines
    assert "      and 2 more" in lines
    assert lines[-1] == "5 files left out, being of no use for training"


def test_of_many_classes_the_largest_and_smallest_are_printed(tmp_path: Path) -> None:
    """A report of many classes stays short."""
    counts = {f"class {number:03}": {"train": number} for number in range(133)}
    report = InspectionReport(
        name="dogs", root=tmp_path, findings=(), counts=counts, image_count=8778, total_bytes=2_500_000_000,
        width=None, height=None, left_out=(),
    )  # fmt: skip
    text = str(attrs.evolve(report, name="d" * 200))
    assert max(map(len, text.splitlines())) == 100
    text = str(report)
    assert "133 classes, 2.5 GB; 0 errors, 0 warnings" in text
    assert "    class 132      132  ########" in text
    assert "    ... 123 classes in between ..." in text
    assert text.splitlines()[-1] == "    class 000        0"
    assert len(text.splitlines()) < 30


def test_names_of_files_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Control characters in names are printed as escapes."""
    finding = Finding(kind="unsafe_name", severity="error", message="bad", paths=(tmp_path / "\x1b[2J\n",))
    report = InspectionReport(
        name="dogs", root=tmp_path, findings=(finding,), counts={"\x1b": {}}, image_count=0, total_bytes=0,
        width=None, height=None, left_out=(),
    )  # fmt: skip
    with pytest.raises(InspectionError) as caught:
        report.raise_for_errors()
    for text in (str(report), str(caught.value)):
        assert r"\x1b[2J\n: bad" in text
        assert "\x1b" not in text
    assert "0 bytes" in str(report)
