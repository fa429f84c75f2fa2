"""From image to network input."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from sagemaker_dogbreed.container.model import backbone_names
from sagemaker_dogbreed.container.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (60, 83, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((417, 300))


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b0", "swin_t", "squeezenet1_1", "inception_v3"])
def test_evaluation_is_what_the_weights_were_evaluated_with(name, photograph):
    """To the last bit, the tensor is the one of torchvision's own transform."""
    theirs = models.get_model_weights(name).DEFAULT.transforms()(photograph)
    ours = Preprocessing.for_backbone(name).evaluation_transform()(photograph)
    assert torch.equal(ours, theirs)


def test_every_backbone_has_preprocessing():
    """Values come from the weights' metadata and survive JSON unchanged."""
    for name in backbone_names():
        preprocessing = Preprocessing.for_backbone(name)
        assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing


def test_another_image_size_keeps_the_proportion():
    """ResNet50 cuts 224 from 232 pixels, so 112 are cut from 116."""
    preprocessing = Preprocessing.for_backbone("resnet50", 112)
    assert (preprocessing.image_size, preprocessing.resize_size) == (112, 116)


def test_training_transform(photograph):
    """With none it is the evaluation transform; flip_crop varies, and is normalized alike."""
    preprocessing = Preprocessing.for_backbone("resnet50", 32)
    plain = preprocessing.training_transform("none")
    assert torch.equal(plain(photograph), preprocessing.evaluation_transform()(photograph))
    varied = preprocessing.training_transform("flip_crop")
    torch.manual_seed(1)
    first, second = varied(photograph), varied(photograph)
    torch.manual_seed(1)
    again = varied(photograph)
    assert first.shape == second.shape == (3, 32, 32)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)
    white = varied(Image.new("RGB", (50, 40), "white"))
    expected = (1 - torch.tensor(preprocessing.mean)) / torch.tensor(preprocessing.std)
    torch.testing.assert_close(white.amax((1, 2)), expected)


GOOD = Preprocessing.for_backbone("resnet18", 32).to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 0}, "image_size"),
        ({"image_size": 32.0}, "image_size"),
        ({"image_size": True}, "image_size"),
        ({"resize_size": 10**9}, "resize_size"),
        ({"resize_size": 31}, "smaller than image_size"),
        ({"mean": [0.5, 0.5]}, "mean"),
        ({"mean": "abc"}, "mean"),
        ({"std": [0.5, 0.0, 0.5]}, "std"),
        ({"std": [0.5, float("nan"), 0.5]}, "std"),
        ({"interpolation": "cubic"}, "interpolation"),
        ({"interpolation": ["bilinear"]}, "interpolation"),
        ({"surprise": 1}, "must hold exactly"),
    ],
)
def test_values_that_are_not_acceptable(change, message):
    """Each is refused with its name."""
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict({**GOOD, **change})


@pytest.mark.parametrize("values", [None, [], "resnet", {}, {"image_size": 3}])
def test_what_is_not_preprocessing_at_all(values):
    """Other JSON is refused too."""
    with pytest.raises(ValueError, match="must hold exactly"):
        Preprocessing.from_dict(values)
