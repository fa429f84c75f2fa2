"""Weights where there are no pretrained ones: ``random_weights.py BACKBONE PHOTOGRAPHS FILE``.

They are random and serve to measure speed, but the statistics of the batch normalisations are those of some
photographs, so that numbers keep a usual size from layer to layer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from PIL import Image
from torchvision import models, transforms  # type: ignore[import-untyped]  # torchvision ships no types

_PHOTOGRAPHS = 32


def main() -> None:
    """Write the file."""
    backbone, photographs, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    torch.manual_seed(0)
    network = models.get_model(backbone, weights=None)
    transform = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    paths = sorted(photographs.rglob("*.jp*g"))
    paths = paths[:: max(1, len(paths) // _PHOTOGRAPHS)][:_PHOTOGRAPHS]
    images = torch.stack([transform(Image.open(path).convert("RGB")) for path in paths])
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the plain mean of what it sees
    with torch.no_grad():
        network.train()(images)
    torch.save(network.state_dict(), file)


if __name__ == "__main__":
    main()
