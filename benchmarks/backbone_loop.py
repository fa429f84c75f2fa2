"""One pass of photographs through a backbone: ``backbone_loop.py LOOP BACKBONE WEIGHTS FOLDER...``.

The loops: ``reference`` and ``reference-validation`` as the reference project passes images in training and
in validation; ``exact``, the library's preprocessing with plain torch in single precision; ``torch`` and
``openvino``, the library's own loop with either engine. All of them decode the photographs.

Prints, as JSON, the images, seconds and core-seconds from the second batch on (engines prepare themselves
with the first one). ``--images N`` takes some of the images, evenly; ``--save FILE`` keeps features and
labels.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from reference_training import BATCH_SIZE, TRANSFORM
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets  # type: ignore[import-untyped]  # torchvision ships no types

from sagemaker_dogbreed.container import model, weights
from sagemaker_dogbreed.container.data import Bad, ImageFolder, loader, worker_count
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.features.backbone_pass import BackbonePass
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.preprocessing import Preprocessing
from sagemaker_dogbreed.container.sampling import Place

LOOPS = ("reference", "reference-validation", "exact", "torch", "openvino")

Files = list[tuple[Path, int]]
Loop = tuple[Iterable[torch.Tensor], Callable[[torch.Tensor], torch.Tensor]]


class Pictures(Dataset[torch.Tensor]):
    """Image files, decoded by Pillow in full."""

    def __init__(self, files: Files, transform: Callable[[Image.Image], Any]) -> None:
        self.files, self.transform = files, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> torch.Tensor:
        with Image.open(self.files[number][0]) as image:
            tensor: torch.Tensor = self.transform(image.convert("RGB"))
        return tensor


def main() -> None:
    """Run the loop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("backbone")
    parser.add_argument("weights", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--images", type=int)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    files = [
        (Path(path), label)
        for folder in options.folders
        for path, label in datasets.ImageFolder(str(folder)).samples
    ]
    count = min(options.images or len(files), len(files))
    files = [files[number * len(files) // count] for number in range(count)]
    batches, forward = _loop(options.loop, options.backbone, options.weights, files)
    found: list[torch.Tensor] = []
    begun = core_begun = 0.0
    for inputs in batches:
        found.append(forward(inputs))
        if len(found) == 1:
            begun, core_begun = time.perf_counter(), _core_seconds()
    told = {
        "images": count - len(found[0]),
        "seconds": time.perf_counter() - begun,
        "core_seconds": _core_seconds() - core_begun,
    }
    if options.save:
        labels = torch.tensor([label for _, label in files])
        torch.save({"features": torch.cat(found), "labels": labels}, options.save)
    print(json.dumps(told))


def _loop(name: str, backbone_name: str, file: Path, files: Files) -> Loop:
    engine = name if name in {"torch", "openvino"} else "torch"
    wanted = Hyperparameters(backbone=backbone_name, weights="channel", finetune="head", engine=engine)
    preprocessing = Preprocessing.for_backbone(backbone_name)
    classifier = model.build(wanted, 2, preprocessing.image_size)
    weights.load_backbone(classifier, wanted, {"weights": file.parent})
    backbone = classifier.backbone.eval()
    transform = preprocessing.evaluation_transform()
    if name == engine:
        return _ours(ImageFolder(files, transform, preprocessing.least_side), backbone, wanted)
    if name == "exact":
        return _plain(Pictures(files, transform), torch.inference_mode()(backbone))
    backbone.train(name == "reference")
    return _plain(Pictures(files, TRANSFORM), backbone)


def _plain(pictures: Pictures, backbone: Callable[[torch.Tensor], torch.Tensor]) -> Loop:
    return DataLoader(pictures, BATCH_SIZE), lambda inputs: backbone(inputs).detach()


def _ours(images: ImageFolder, backbone: nn.Module, wanted: Hyperparameters) -> Loop:
    threads = Ranks().processors
    forward = BackbonePass(
        backbone.to(memory_format=torch.channels_last),
        wanted,
        torch.device("cpu"),
        threads=threads,
        images=len(images),
    )
    size = forward.batch_size
    places = [Place(number, seed=0) for number in range(len(images))]
    batches = [places[start : start + size] for start in range(0, len(places), size)]

    def decoded() -> Iterable[torch.Tensor]:
        for batch in loader(images, batches, worker_count(len(images), threads)):
            if isinstance(batch, Bad):
                raise SystemExit(batch.message)
            yield batch[0]

    return decoded(), forward


def _core_seconds() -> float:
    """Return the processor time of this process and of the loading processes that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
