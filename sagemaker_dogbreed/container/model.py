"""The classifier: a torchvision backbone that yields features, and a head that names classes."""

from __future__ import annotations

import difflib
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn
from torchvision import models  # type: ignore[import-untyped]  # torchvision ships no types

from sagemaker_dogbreed.container.blocks import block_names, block_of
from sagemaker_dogbreed.container.heads import build_head
from sagemaker_dogbreed.container.hparams import Hyperparameters

_IMAGENET_CLASSES = 1000
AUXILIARY_HEADS = ("aux1.", "aux2.", "AuxLogits.")
"""Key prefixes of what GoogLeNet and Inception have for training from scratch only; it is not built."""


class Classifier(nn.Module):
    """Images (batch, 3, size, size) to class scores (batch, classes).

    The head trains always; of the backbone what ``finetune`` says: nothing (``head``), its last block
    (``last_block``, see ``blocks``) or everything (``full``). What does not train needs no gradients, and
    stays in evaluation mode so that the statistics of its batch normalisation stay as they are.
    """

    def __init__(
        self, backbone: nn.Module, head: nn.Module, *, classifier_layer: str, finetune: str = "full"
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.classifier_layer = classifier_layer
        self.blocks = block_names(backbone)
        first = {"head": len(self.blocks), "last_block": len(self.blocks) - 1, "full": 0}[finetune]
        self.first_trained = first
        self._first_now = first
        self.hold_backbone(False)

    @property
    def frozen(self) -> bool:
        """Whether nothing of the backbone trains, from the first epoch to the last."""
        return self.first_trained == len(self.blocks)

    @property
    def held(self) -> bool:
        """Whether nothing of the backbone trains at present."""
        return self._first_now == len(self.blocks)

    @property
    def feature_count(self) -> int:
        """How many features the backbone makes of an image."""
        return next(layer.in_features for layer in self.head.modules() if isinstance(layer, nn.Linear))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the scores (batch, classes) of images (batch, 3, size, size)."""
        return cast("torch.Tensor", self.head(self.backbone(images)))

    def hold_backbone(self, held: bool) -> None:
        """Let the head alone train while ``held``, and with it what trains of the backbone otherwise."""
        self._first_now = len(self.blocks) if held else self.first_trained
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(block_of(self.blocks, name) >= self._first_now)
        self.train()

    def train(self, mode: bool = True) -> Classifier:
        """Set training or evaluation mode; what does not train stays in evaluation mode."""
        super().train(mode)
        if self._first_now:
            self.backbone.eval()
        for block in self.blocks[self._first_now :]:
            for name in block:
                self.backbone.get_submodule(name).train(mode)
        return self

    def rated_parameters(self, backbone_share: float) -> list[tuple[float, list[nn.Parameter]]]:
        """Return what trains, from the first block to the head, each with its share of the learning rate.

        The shares rise by the same factor from block to block, from ``backbone_share`` to the head's 1
        (https://arxiv.org/abs/1801.06146 calls it discriminative fine-tuning).
        """
        count = len(self.blocks) - self.first_trained
        found: list[tuple[float, list[nn.Parameter]]] = [
            (backbone_share ** ((count - place) / count), []) for place in range(count)
        ]
        for name, parameter in self.backbone.named_parameters():
            place = block_of(self.blocks, name) - self.first_trained
            if place >= 0:
                found[place][1].append(parameter)
        return [*found, (1.0, list(self.head.parameters()))]

    def trained_tensors(self) -> OrderedDict[str, torch.Tensor]:
        """Return the part of the state that training changes; the tensors themselves, no copies."""
        return OrderedDict((name, value) for name, value in self.state_dict().items() if self._trains(name))

    def trained_state(self) -> OrderedDict[str, torch.Tensor]:
        """Return a copy, in main memory, of the part of the state that training changes."""
        return OrderedDict(
            (name, value.detach().to("cpu", copy=True)) for name, value in self.trained_tensors().items()
        )

    def load_trained_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Load what ``trained_state`` returned.

        Raises:
            ValueError: The state is not of this classifier.
        """
        expected = set(self.trained_tensors())
        if set(state) != expected:
            names = ", ".join(sorted(expected ^ set(state))[:3])
            raise ValueError(f"not the state of this classifier: {names} missing or unexpected")
        try:
            self.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise ValueError(f"not the state of this classifier: {error}") from error

    def _trains(self, name: str) -> bool:
        in_backbone = name.removeprefix("backbone.")
        return in_backbone == name or block_of(self.blocks, in_backbone) >= self.first_trained


def backbone_names() -> list[str]:
    """Return the names of torchvision's classification models."""
    return cast("list[str]", models.list_models(module=models))


def check_backbone(name: str) -> None:
    """Check that a backbone is one of torchvision's classification models.

    Raises:
        ValueError: It is not; the message names the nearest ones.
    """
    known = backbone_names()
    if name not in known:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"backbone {name!r} is not a classification model of torchvision: {hint}")


def build(hyperparameters: Hyperparameters, class_count: int, image_size: int) -> Classifier:
    """Build a classifier with random weights for images of ``image_size`` pixels a side.

    Raises:
        ValueError: There is no such backbone, or it cannot take images of this size.
    """
    name = hyperparameters.backbone
    check_backbone(name)
    try:
        backbone = models.get_model(name, weights=None, **_options(name, image_size))
        layer_name, features = _remove_classifier_layer(backbone)
        _probe(backbone, image_size, features)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"backbone {name} cannot take images of {image_size} x {image_size} pixels ({error}); "
            "choose a larger image_size, or leave it out for the backbone's own"
        ) from error
    return Classifier(
        backbone,
        build_head(hyperparameters, features, class_count),
        classifier_layer=layer_name,
        finetune=hyperparameters.finetune,
    )


def _options(name: str, image_size: int) -> dict[str, Any]:
    # What torchvision's own builders set when they load pretrained weights.
    if name in {"googlenet", "inception_v3"}:
        return {"aux_logits": False, "transform_input": True, "init_weights": False}
    if name.startswith("vit_"):
        return {"image_size": image_size}
    if name.startswith("maxvit_"):
        return {"input_size": (image_size, image_size)}
    return {}


def _remove_classifier_layer(backbone: nn.Module) -> tuple[str, int]:
    """Replace the layer that scores ImageNet's classes; return its name and its input features."""
    found: tuple[str, int] | None = None
    for name, layer in backbone.named_modules():
        if isinstance(layer, nn.Linear) and layer.out_features == _IMAGENET_CLASSES:
            found = name, layer.in_features
        elif isinstance(layer, nn.Conv2d) and layer.out_channels == _IMAGENET_CLASSES:
            found = name, layer.in_channels
    if found is None:
        raise ValueError(f"no layer of {_IMAGENET_CLASSES} outputs in {type(backbone).__name__}")
    backbone.set_submodule(found[0], nn.Identity())
    return found


def _probe(backbone: nn.Module, image_size: int, features: int) -> None:
    backbone.eval()
    device = next(backbone.parameters()).device
    with torch.inference_mode():
        output = backbone(torch.zeros(1, 3, image_size, image_size, device=device))
    if output.shape != (1, features):
        raise ValueError(f"expected {features} features, got {tuple(output.shape)}")


def digest(module: nn.Module) -> str:
    """Return a SHA-256 over the module's state."""
    total = hashlib.sha256()
    for name, value in module.state_dict().items():
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
