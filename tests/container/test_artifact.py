"""The model artifact, written and read back."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from training_jobs import CLASSES, QUICK, quick_classifier

from sagemaker_dogbreed.container import artifact, source
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.preprocessing import Preprocessing

PREPROCESSING = Preprocessing.for_backbone("squeezenet1_1", 32)
IMAGES = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)


def save(folder, classifier=None, **changes):
    details = {
        "class_names": CLASSES,
        "preprocessing": PREPROCESSING,
        "hyperparameters": Hyperparameters(**QUICK),
        "metrics": {"test_loss": 0.5},
        "job_name": "squares-1",
        "dataset_version": "abc",
    }
    artifact.save(folder, classifier or quick_classifier(), **{**details, **changes})
    return folder


def edit(folder, **changes):
    card = {**json.loads((folder / "model.json").read_text()), **changes}
    (folder / "model.json").write_text(
        json.dumps({key: value for key, value in card.items() if value != "-"})
    )


def test_what_is_saved_is_loaded(tmp_path):
    """The loaded classifier computes the same, ready to serve, and the card says what it is."""
    classifier = quick_classifier()
    save(tmp_path / "model", classifier, class_names=("Löwchen", "a b", "c/d"))
    loaded = artifact.load(tmp_path / "model")
    assert loaded.class_names == ("Löwchen", "a b", "c/d")
    assert loaded.preprocessing == PREPROCESSING
    assert not any(module.training for module in loaded.module.modules())
    assert torch.equal(loaded.module(IMAGES), classifier.eval()(IMAGES))
    expected = {
        "format_version": 1,
        "backbone": "squeezenet1_1",
        "head": "mlp",
        "head_units": 128,
        "metrics": {"test_loss": 0.5},
        "hyperparameters": Hyperparameters(**QUICK).to_strings(),
        "job_name": "squares-1",
        "dataset_version": "abc",
        "library_version": source.library_version(),
        "code_sha256": source.digest(source.serving_files()),
    }
    assert {name: loaded.card[name] for name in expected} == expected


def test_the_files(tmp_path):
    """There are three entries and no leftovers, also when saved twice over a damaged artifact."""
    save(tmp_path)
    (tmp_path / "code" / "leftover.py").touch()
    (tmp_path / "model.pth").write_bytes(b"damaged")
    save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code", "model.json", "model.pth"]
    state = torch.load(tmp_path / "model.pth", weights_only=True)
    assert {type(value) for value in state.values()} == {torch.Tensor}
    assert set(source.serving_files()) == {
        path.relative_to(tmp_path / "code").as_posix()
        for path in (tmp_path / "code").rglob("*")
        if path.is_file()
    }


def test_it_serves_from_its_own_code(tmp_path):
    """A fresh process that has only the artifact loads it with the code inside, and can answer."""
    save(tmp_path)
    program = (
        "import sys; sys.path.insert(0, 'code'); import inference; model = inference.model_fn('.');"
        "assert all(map(callable, (inference.input_fn, inference.predict_fn, inference.output_fn)));"
        "print(type(model.module).__module__, inference.__file__, *model.class_names)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    module, file, *classes = run.stdout.split()
    assert module == "sagemaker_dogbreed.container.model"
    assert file == str(tmp_path / "code" / "inference.py")
    assert tuple(classes) == CLASSES


@pytest.mark.parametrize("missing", ["model.json", "model.pth"])
def test_a_missing_file(tmp_path, missing):
    """The error names the file."""
    save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(artifact.ArtifactError, match=f"{missing} cannot be read .No such file"):
        artifact.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "does not hold a JSON object"),
        (b"{}", "has format version None, this release reads 1"),
        (b'{"format_version": 2}', "has format version 2"),
        (b'{"format_version": true}', "has format version True"),
        (b'{"format_version": 1}', "has no entry 'class_names'"),
    ],
)
def test_a_card_that_is_none(tmp_path, content, message):
    """The error names the file and what is wrong with it."""
    save(tmp_path)
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(artifact.ArtifactError, match=f"model.json {message}"):
        artifact.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": "abc"}, "class_names must be a list of texts"),
        ({"class_names": []}, "class_names must be a list of texts"),
        ({"class_names": ["a", 1, "b"]}, "class_names must be a list of texts"),
        ({"class_names": ["a", "a", "b"]}, "class_names has a name twice"),
        ({"class_names": ["a", "b"]}, "does not fit model.json .a squeezenet1_1 with 2 classes"),
        ({"backbone": "resnet"}, "did you mean"),
        ({"backbone": ["resnet18"]}, "backbone must be a text"),
        ({"backbone": "shufflenet_v2_x0_5"}, "does not fit model.json"),
        ({"head": "deep"}, "head must be one of linear, mlp"),
        ({"head": "linear"}, "does not fit model.json"),
        ({"head_units": "128"}, "head_units must be a whole number"),
        ({"head_units": 64}, "does not fit model.json"),
        ({"head_units": "-"}, "has no entry 'head_units'"),
        ({"preprocessing": None}, "preprocessing must hold exactly"),
        ({"preprocessing": {**PREPROCESSING.to_dict(), "image_size": 8}}, "cannot take images of 8 x 8"),
    ],
)
def test_a_card_that_does_not_fit(tmp_path, change, message):
    """Each value is checked, and that the weights fit them."""
    save(tmp_path)
    edit(tmp_path, **change)
    with pytest.raises(artifact.ArtifactError, match=message) as caught:
        artifact.load(tmp_path)
    assert str(tmp_path / "model.") in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04"])
def test_damaged_weights(tmp_path, content):
    """The error names the file, whatever its bytes are."""
    save(tmp_path)
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(artifact.ArtifactError, match=r"model.pth is damaged or not a weights file"):
        artifact.load(tmp_path)


@pytest.mark.parametrize("content", [[1], {"a": 1}, {1: torch.zeros(1)}, torch.zeros(2)])
def test_weights_of_something_else(tmp_path, content):
    """Plain values that are no state do not fit."""
    save(tmp_path)
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(artifact.ArtifactError, match=r"model.pth does not fit model.json"):
        artifact.load(tmp_path)


def test_metrics_must_be_numbers(tmp_path):
    """JSON has no NaN: an artifact with one is not completed."""
    with pytest.raises(ValueError, match="Out of range float values"):
        save(tmp_path, metrics={"test_loss": float("nan")})
    assert not (tmp_path / "model.json").exists()
