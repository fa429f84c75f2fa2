"""Backbones and heads."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torchvision import models
from training_jobs import quick_classifier

from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import backbone_names, build, check_backbone, digest
from sagemaker_dogbreed.container.preprocessing import Preprocessing

ONE_OF_EACH_FAMILY = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet",
    "inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf",
    "resnet50", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_0", "squeezenet1_1", "swin_t",
    "swin_v2_t", "vgg11", "vgg11_bn", "vit_b_32", "vit_h_14", "wide_resnet50_2",
)  # fmt: skip


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_every_family_of_backbones_builds(name):
    """Each backbone loses exactly its ImageNet layer and scores our classes at its own image size."""
    # Tensors without data make this quick; RegNet's initialization needs data.
    where = contextlib.nullcontext() if name.startswith("regnet") else torch.device("meta")
    size = Preprocessing.for_backbone(name).image_size
    with where:
        classifier = build(Hyperparameters(backbone=name), 7, size).eval()
        scores = classifier(torch.zeros(2, 3, size, size))
    assert scores.shape == (2, 7)
    assert not any(
        key.startswith(classifier.classifier_layer + ".") for key in classifier.backbone.state_dict()
    )


def test_every_family_is_tried():
    """The list above has a member of every family torchvision has."""
    tried = {name[:3] for name in ONE_OF_EACH_FAMILY}
    missing = {name for name in backbone_names() if name[:3] not in tried}
    assert missing == set()


def test_the_backbone_computes_what_torchvisions_model_does():
    """The removed layer applied to our features gives the scores of the whole model."""
    whole = models.get_model("shufflenet_v2_x0_5", weights=None).eval()
    ours = quick_classifier(backbone="shufflenet_v2_x0_5").backbone
    ours.load_state_dict(
        {key: value for key, value in whole.state_dict().items() if not key.startswith("fc.")}
    )
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(whole.fc(ours.eval()(images)), whole(images))


def test_heads():
    """The head mlp is Linear, ReLU, Linear with head_units between; linear is one layer."""
    mlp = quick_classifier(5, head_units=9).head
    assert [type(layer).__name__ for layer in mlp] == ["Linear", "ReLU", "Linear"]
    assert (mlp[0].out_features, mlp[2].out_features) == (9, 5)
    linear = quick_classifier(5, head="linear").head
    assert (linear.in_features, linear.out_features) == (512, 5)


def test_a_frozen_backbone_stays_in_evaluation_mode():
    """With finetune: head nothing of the backbone trains, whatever mode is set; with full all of it does."""
    frozen, full = quick_classifier(finetune="head"), quick_classifier(finetune="full")
    for classifier, trains in ((frozen, False), (full, True)):
        classifier.eval()
        classifier.train()
        assert classifier.training
        assert {module.training for module in classifier.backbone.modules()} == {trains}
        assert {parameter.requires_grad for parameter in classifier.backbone.parameters()} == {trains}
        assert {parameter.requires_grad for parameter in classifier.head.parameters()} == {True}


def test_the_trained_state_is_what_training_changes():
    """It is a copy, holds only the head of a frozen classifier, and can be loaded back."""
    frozen = quick_classifier(finetune="head")
    state = frozen.trained_state()
    assert all(key.startswith("head.") for key in state)
    before = frozen.head[0].weight.detach().clone()
    torch.nn.init.zeros_(frozen.head[0].weight)
    frozen.load_trained_state(state)
    assert torch.equal(frozen.head[0].weight, before)
    full = quick_classifier(finetune="full")
    assert set(full.trained_state()) == set(full.state_dict())


@pytest.mark.parametrize("change", ["other backbone", "other shape"])
def test_the_trained_state_of_another_classifier_is_refused(change):
    """Neither other names nor other shapes are loaded."""
    state = quick_classifier(4 if change == "other shape" else 3).trained_state()
    if change == "other backbone":
        state["backbone.extra"] = torch.zeros(1)
    with pytest.raises(ValueError, match="not the state of this classifier"):
        quick_classifier(3).load_trained_state(state)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ResNet-50", "did you mean resnet50"),
        ("fcn_resnet50", "resnet50"),
        ("quantized_resnet50", "resnet50"),
        ("maskrcnn_resnet50_fpn", "resnet"),
        ("r3d_18", "is not a classification model"),
        ("zzzz", "there are alexnet"),
    ],
)
def test_names_that_are_no_backbones(name, hint):
    """Unknown names, and models for other tasks, are refused with the nearest names."""
    with pytest.raises(ValueError, match=hint):
        check_backbone(name)
    with pytest.raises(ValueError, match="is not a classification model of torchvision"):
        build(Hyperparameters(backbone=name), 2, 224)


@pytest.mark.parametrize(("name", "size"), [("alexnet", 32), ("vit_b_32", 100), ("inception_v3", 64)])
def test_image_sizes_a_backbone_cannot_take(name, size):
    """The message names backbone and size before any training starts."""
    with (
        torch.device("meta"),
        pytest.raises(ValueError, match=f"{name} cannot take images of {size} x {size}"),
    ):
        build(Hyperparameters(backbone=name), 2, size)


def test_the_digest_sees_every_value():
    """It is the same for the same state, and another when a single value changes."""
    one, other = quick_classifier(), quick_classifier()
    assert digest(one) == digest(other)
    with torch.no_grad():
        other.backbone.features[0].bias[3] += 1
    assert digest(one) != digest(other)
