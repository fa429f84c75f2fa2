"""A backbone's blocks, for all families by one rule."""

from __future__ import annotations

import contextlib

import pytest
import torch
from test_model import ONE_OF_EACH_FAMILY
from torch import nn
from training_jobs import quick_classifier

from sagemaker_dogbreed.container.blocks import block_names, block_of
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import build
from sagemaker_dogbreed.container.preprocessing import Preprocessing

LAST_BLOCKS = {
    "alexnet": ("classifier",),
    "convnext_tiny": ("features.6", "features.7", "classifier"),
    "densenet121": ("features.transition3", "features.denseblock4", "features.norm5"),
    "efficientnet_b0": ("features.7", "features.8"),
    "efficientnet_v2_s": ("features.6", "features.7"),
    "googlenet": ("inception5b",),
    "inception_v3": ("Mixed_7c",),
    "maxvit_t": ("blocks.3", "classifier"),
    "mnasnet0_5": ("layers.13", "layers.14", "layers.15"),
    "mobilenet_v2": ("features.17", "features.18"),
    "mobilenet_v3_small": ("features.11", "features.12", "classifier"),
    "regnet_x_400mf": ("trunk_output.block4",),
    "resnet50": ("layer4",),
    "resnext50_32x4d": ("layer4",),
    "shufflenet_v2_x0_5": ("stage4", "conv5"),
    "squeezenet1_0": ("features.12",),
    "squeezenet1_1": ("features.12",),
    "swin_t": ("features.6", "features.7", "norm"),
    "swin_v2_t": ("features.6", "features.7", "norm"),
    "vgg11": ("classifier",),
    "vgg11_bn": ("classifier",),
    "vit_b_32": ("encoder.layers.encoder_layer_11", "encoder.ln"),
    "vit_h_14": ("encoder.layers.encoder_layer_31", "encoder.ln"),
    "wide_resnet50_2": ("layer4",),
}


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_the_last_block_of_every_family(name):
    """It is what the family's authors would call one, and trains with the head, in training mode, alone."""
    where = contextlib.nullcontext() if name.startswith("regnet") else torch.device("meta")
    with where:
        wanted = Hyperparameters(backbone=name, finetune="last_block")
        classifier = build(wanted, 3, Preprocessing.for_backbone(name).image_size)
    assert classifier.blocks[-1] == LAST_BLOCKS[name]
    assert len(classifier.blocks) > 1
    trained = {key for key, value in classifier.named_parameters() if value.requires_grad}
    last = tuple(f"backbone.{module}." for module in LAST_BLOCKS[name])
    assert trained == {key for key, _ in classifier.named_parameters() if key.startswith((*last, "head."))}
    for key, module in classifier.backbone.named_modules():
        assert module.training == f"backbone.{key}.".startswith(last), key
    assert set(classifier.trained_tensors()) == trained | {
        key for key, _ in classifier.named_buffers() if key.startswith(last)
    }


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "vit_b_32", "swin_t", "vgg11_bn"])
def test_every_parameter_is_in_one_block_and_they_are_in_order(name):
    """The blocks' parameters, one after the other, are the backbone's."""
    with torch.device("meta"):
        backbone = build(Hyperparameters(backbone=name), 3, 224).backbone
    blocks = block_names(backbone)
    numbers = [block_of(blocks, key) for key, _ in backbone.named_parameters()]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(len(blocks)))


def test_a_name_that_begins_like_a_blocks():
    """layer1 is not layer10."""
    assert block_of((("layer1",), ("layer10",)), "layer10.weight") == 1


def test_a_network_without_blocks_is_one():
    """Single layers in a row are trained together."""
    assert block_names(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))) == (("0", "2"),)


def test_a_held_backbone_trains_later():
    """While it is held only the head trains; what is trained in all stays the same throughout."""
    classifier = quick_classifier(finetune="full")
    everything = set(classifier.trained_state())
    for held in (True, False, True):
        classifier.hold_backbone(held)
        assert classifier.held is held
        assert {parameter.requires_grad for parameter in classifier.backbone.parameters()} == {not held}
        assert {module.training for module in classifier.backbone.modules()} == {not held}
        assert all(parameter.requires_grad for parameter in classifier.head.parameters())
        assert set(classifier.trained_state()) == everything
        assert not classifier.frozen
