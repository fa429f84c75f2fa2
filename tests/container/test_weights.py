"""Where the backbone's weights come from."""

from __future__ import annotations

import os
import pickle
import sys
from collections import OrderedDict

import pytest
import torch
from torchvision import models
from training_jobs import QUICK, quick_classifier

from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import build
from sagemaker_dogbreed.container.weights import WeightsError, load_backbone

CHANNEL = Hyperparameters(**{**QUICK, "weights": "channel"})


@pytest.fixture(scope="module")
def whole_state():
    torch.manual_seed(5)
    return models.get_model("squeezenet1_1", weights=None).state_dict()


def load(folder, hyperparameters=CHANNEL):
    classifier = quick_classifier(backbone=hyperparameters.backbone)
    load_backbone(classifier, hyperparameters, {"weights": folder})
    return classifier


def assert_loaded(classifier, whole_state):
    for name, value in classifier.backbone.state_dict().items():
        assert torch.equal(value, whole_state[name]), name


@pytest.mark.parametrize("wrapper", ["plain", "plain dict", "state_dict", "model", "module."])
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_a_file_in_the_channel(tmp_path, whole_state, wrapper, suffix):
    """The usual ways to save a state_dict are all understood; the 1000-class layer is left out."""
    content = {
        "plain": whole_state,
        "plain dict": dict(whole_state),
        "state_dict": {"state_dict": whole_state, "epoch": 3},
        "model": {"model": whole_state, "optimizer": {"lr": 0.1}},
        "module.": {f"module.{name}": value for name, value in whole_state.items()},
    }[wrapper]
    torch.save(content, tmp_path / f"weights{suffix}")
    assert_loaded(load(tmp_path), whole_state)


def test_a_safetensors_file(tmp_path, whole_state):
    """Files of that kind are read as well."""
    safetensors_torch = pytest.importorskip("safetensors.torch")
    safetensors_torch.save_file(whole_state, tmp_path / "weights.safetensors")
    assert_loaded(load(tmp_path), whole_state)


@pytest.mark.parametrize("name", ["mnasnet0_5", "googlenet", "inception_v3"])
@pytest.mark.parametrize("keep_versions", [True, False])
def test_layers_that_are_particular_about_their_files(tmp_path, name, keep_versions):
    """Versions of layers are kept where the file has them; auxiliary heads in the file are left out."""
    options = {} if name == "mnasnet0_5" else {"init_weights": False, "aux_logits": True}
    state = models.get_model(name, weights=None, **options).state_dict()
    torch.save(state if keep_versions else OrderedDict(state), tmp_path / "weights.pth")
    hyperparameters = Hyperparameters(backbone=name, weights="channel")
    classifier = build(hyperparameters, 2, 96)
    load_backbone(classifier, hyperparameters, {"weights": tmp_path})
    assert_loaded(classifier, state)


def test_densenets_old_names(tmp_path):
    """The DenseNet files of torchvision name layers as an early release did: norm.1 for norm1."""
    state = models.get_model("densenet121", weights=None).state_dict()
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value for name, value in state.items()
    }
    assert set(old) != set(state)
    torch.save(old, tmp_path / "weights.pth")
    hyperparameters = Hyperparameters(backbone="densenet121", weights="channel")
    classifier = build(hyperparameters, 2, 32)
    load_backbone(classifier, hyperparameters, {"weights": tmp_path})
    assert_loaded(classifier, state)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", "missing: features.0.weight; not expected: none"),
        ("unexpected", "missing: none; not expected: extra.weight"),
        ("shape", "size mismatch for features.0.weight"),
        ("other backbone", r"missing: features.0.weight, .* and 47 more; not expected: other.* and 47 more"),
    ],
)
def test_a_file_of_another_backbone(tmp_path, whole_state, damage, message):
    """The message names the file, the backbone expected and a few of the layers that differ."""
    state = dict(whole_state)
    if damage == "missing":
        del state["features.0.weight"]
    elif damage == "unexpected":
        state["extra.weight"] = torch.zeros(1)
    elif damage == "shape":
        state["features.0.weight"] = torch.zeros(2)
    else:
        state = {f"other.{name}": value for name, value in state.items()}
        state = dict(list(state.items())[:-2])
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=message) as caught:
        load(tmp_path)
    assert "other.pth does not fit backbone 'squeezenet1_1'" in str(caught.value)
    assert len(str(caught.value)) < 900


class Malicious:
    """Would create a folder when unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["torch.save", "pickle"])
def test_files_that_would_run_code_are_refused(tmp_path, form):
    """Nothing in a weights file is run; the message says what to save instead."""
    folder = tmp_path / "weights"
    folder.mkdir()
    content = {"a": Malicious(tmp_path / "ran")}
    if form == "torch.save":
        torch.save(content, folder / "bad.pth")
    else:
        (folder / "bad.pth").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(WeightsError, match=r"holds Python objects.*state_dict\(\)"):
        load(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 cut short"])
def test_damaged_files(tmp_path, suffix, content):
    """Whatever the bytes are, the message names the file."""
    (tmp_path / f"bad{suffix}").write_bytes(content)
    with pytest.raises(WeightsError, match=f"bad{suffix} cannot be read as a weights file"):
        load(tmp_path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, torch.zeros(3), {"state_dict": {"a": "b"}}])
def test_files_of_something_else(tmp_path, content):
    """Readable files that hold no tensors by name are refused."""
    torch.save(content, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=r"bad.pth does not hold a state_dict"):
        load(tmp_path)


@pytest.mark.parametrize("names", [[], ["a.pth", "b.pt"], ["notes.txt"]])
def test_the_channel_must_hold_one_file(tmp_path, names):
    """None and several are refused; other files do not count."""
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match="exactly one file"):
        load(tmp_path)


def test_no_channel():
    """Without the channel the ways to have weights are named."""
    with pytest.raises(WeightsError, match=r"input channel 'weights', which is missing\. .*training.weights"):
        load_backbone(quick_classifier(), CHANNEL, {})


def test_safetensors_that_is_not_installed(tmp_path, monkeypatch):
    """The message offers the other kind of file."""
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    (tmp_path / "weights.safetensors").touch()
    with pytest.raises(WeightsError, match=r"not installed here; give a \.pth file"):
        load(tmp_path)


def test_no_weights():
    """weights: none leaves the random ones, and makes no sense for a frozen backbone."""
    classifier = quick_classifier()
    load_backbone(classifier, Hyperparameters(**QUICK), {})
    assert_loaded(classifier, quick_classifier().backbone.state_dict())
    with pytest.raises(WeightsError, match="use finetune: full"):
        load_backbone(classifier, Hyperparameters(**{**QUICK, "finetune": "head"}), {})


def test_torchvisions_weights_from_the_cache(tmp_path, monkeypatch, whole_state):
    """A file that TORCH_HOME already has is used without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = models.get_model_weights("squeezenet1_1").DEFAULT.url
    cached = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(whole_state, cached)
    classifier = quick_classifier()
    load_backbone(classifier, Hyperparameters(**{**QUICK, "weights": "imagenet"}), {})
    assert_loaded(classifier, whole_state)


def test_a_download_that_fails(tmp_path, monkeypatch):
    """The message names the address and both ways to do without; nothing is left in the cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        WeightsError, match=r"could not be downloaded from https://download.pytorch.org"
    ) as caught:
        load_backbone(quick_classifier(), Hyperparameters(**{**QUICK, "weights": "imagenet"}), {})
    assert "training.weights: path/to/file.pth" in str(caught.value)
    assert "weights: none with finetune: full" in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
