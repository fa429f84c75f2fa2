from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
from PIL import Image, ImageChops

from sagemaker_dogbreed.data.cartoon.breeds import BREEDS
from sagemaker_dogbreed.data.cartoon.dogs import draw_cartoon_dogs, draw_dog
from sagemaker_dogbreed.errors import DatasetError, SpecError


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_breed_has_its_folder_of_jpegs(tmp_path: Path) -> None:
    """Each breed gets a folder of its name, with numbered RGB JPEG files of the asked size."""
    destination = draw_cartoon_dogs(tmp_path / "new" / "dogs", images_per_breed=2, image_size=40)
    assert destination == tmp_path / "new" / "dogs"
    expected = {f"{breed}/{breed}_{number:04d}.jpg" for breed in BREEDS for number in (1, 2)}
    assert set(contents(destination)) == expected
    assert len(BREEDS) >= 8
    for path in destination.rglob("*.jpg"):
        with Image.open(path) as picture:
            picture.load()
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (40, 40))
    assert [path.name for path in destination.parent.iterdir()] == ["dogs"]


def test_a_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    """The files are a function of the seed alone."""
    options = {"images_per_breed": 2, "image_size": 32}
    first = contents(draw_cartoon_dogs(tmp_path / "first", seed=3, **options))
    assert contents(draw_cartoon_dogs(tmp_path / "again", seed=3, **options)) == first
    other = contents(draw_cartoon_dogs(tmp_path / "other", seed=4, **options))
    assert [name for name in first if other[name] == first[name]] == []
    assert len(set(first.values())) == len(first)


def test_leaving_breeds_out_changes_no_other(tmp_path: Path) -> None:
    """A breed's pictures are the same whichever other breeds are drawn."""
    everything = contents(draw_cartoon_dogs(tmp_path / "all", images_per_breed=1, image_size=32))
    some = contents(
        draw_cartoon_dogs(tmp_path / "some", images_per_breed=1, image_size=32, breeds=["pug", "corgi"])
    )
    assert some == {name: everything[name] for name in ("corgi/corgi_0001.jpg", "pug/pug_0001.jpg")}


@pytest.mark.parametrize("hash_seed", ["0", "77"])
def test_the_hash_seed_plays_no_part(hash_seed: str) -> None:
    """Another process with another hash seed draws the same picture."""
    script = (
        "import sys; from sagemaker_dogbreed.data.cartoon.dogs import draw_dog; "
        "sys.stdout.buffer.write(draw_dog('husky', seed=5, image_size=24).tobytes())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    answer = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert answer.stdout == draw_dog("husky", seed=5, image_size=24).tobytes()


@pytest.mark.parametrize("seed", range(6))
def test_the_scene_does_not_depend_on_the_breed(seed: int) -> None:
    """With one seed the ground before the dogs' feet is the same for all breeds, and the dogs differ."""
    pictures = [draw_dog(breed, seed=seed, image_size=100) for breed in BREEDS]
    assert len({picture.crop((0, 98, 100, 100)).tobytes() for picture in pictures}) == 1
    assert len({picture.tobytes() for picture in pictures}) == len(BREEDS)


def test_the_scene_varies_with_the_seed() -> None:
    """Different seeds give different surroundings."""
    edges = {draw_dog("pug", seed=seed, image_size=32).crop((0, 30, 32, 32)).tobytes() for seed in range(12)}
    assert len(edges) == 12


@pytest.mark.parametrize("breed", BREEDS)
def test_every_breed_covers_a_good_part_of_the_picture(breed: str) -> None:
    """Two breeds in one scene differ in a fair share of the pixels, and not in all of them."""
    for seed in range(4):
        dog = draw_dog(breed, seed=seed, image_size=48)
        other = draw_dog("corgi" if breed == "pug" else "pug", seed=seed, image_size=48)
        same = ImageChops.difference(dog, other).convert("L").histogram()[0]
        assert 0.1 < 1 - same / 48**2 < 0.75


@pytest.mark.parametrize("size", [16, 33, 200])
def test_a_single_dog_has_the_asked_size(size: int) -> None:
    """Any size from 16 pixels up is drawn, and it is the same picture each time."""
    picture = draw_dog("poodle", seed=1, image_size=size)
    assert (picture.mode, picture.size) == ("RGB", (size, size))
    assert picture.tobytes() == draw_dog("poodle", seed=1, image_size=size).tobytes()


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A destination with something in it is refused with its name, and keeps what it has."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(DatasetError, match=r"mine is not an empty folder; nothing was drawn") as caught:
        draw_cartoon_dogs(tmp_path / "mine", images_per_breed=1)
    assert str(tmp_path / "mine") in str(caught.value)
    assert contents(tmp_path) == {"mine/notes.txt": b"keep me"}


def test_a_file_at_the_destination_is_refused(tmp_path: Path) -> None:
    """A file is no place for a folder; it stays as it is."""
    (tmp_path / "dogs").write_text("a file")
    with pytest.raises(DatasetError, match="not an empty folder"):
        draw_cartoon_dogs(tmp_path / "dogs", images_per_breed=1)
    assert contents(tmp_path) == {"dogs": b"a file"}


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    """An empty destination is as good as none."""
    (tmp_path / "dogs").mkdir()
    draw_cartoon_dogs(tmp_path / "dogs", images_per_breed=1, image_size=16, breeds=["pug"])
    assert list(contents(tmp_path)) == ["dogs/pug/pug_0001.jpg"]


def test_the_destination_may_be_given_as_text(tmp_path: Path) -> None:
    """A path as text is as good as a Path, and the annotation says so."""
    drawn = draw_cartoon_dogs(str(tmp_path / "dogs"), images_per_breed=1, image_size=16, breeds=["pug"])
    assert drawn == tmp_path / "dogs"
    assert get_type_hints(draw_cartoon_dogs)["destination"] == str | os.PathLike[str]


def test_a_place_that_cannot_be_written_is_a_data_set_error(tmp_path: Path) -> None:
    """The system's refusal arrives as DatasetError with the path in it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="cannot be written"):
        draw_cartoon_dogs(tmp_path / "file" / "dogs", images_per_breed=1)


def test_an_unknown_breed_names_the_known_ones(tmp_path: Path) -> None:
    """A wrong breed is refused before anything is drawn, with the names to choose from."""
    with pytest.raises(SpecError, match=r"'cat'; known are: basset_hound, .*pug"):
        draw_cartoon_dogs(tmp_path / "dogs", breeds=["pug", "cat"])
    with pytest.raises(SpecError, match=r"'cat'"):
        draw_dog("cat", seed=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"breeds": []}, "breeds must be"),
        ({"breeds": ["pug", "pug"]}, "breeds must be"),
        ({"breeds": "pug"}, "breeds must be a list"),
        ({"images_per_breed": 0}, "images_per_breed must be"),
        ({"images_per_breed": True}, "images_per_breed must be"),
        ({"image_size": 15}, "image_size must be"),
        ({"image_size": 64.0}, "image_size must be"),
    ],
)
def test_unusable_options_are_refused(tmp_path: Path, options: dict[str, object], message: str) -> None:
    """Each unusable value is refused by name, and nothing is written."""
    with pytest.raises(SpecError, match=message):
        draw_cartoon_dogs(tmp_path / "dogs", **options)  # type: ignore[arg-type]  # wrong on purpose
    assert list(tmp_path.iterdir()) == []
