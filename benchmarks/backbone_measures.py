"""Speed and correctness of passes through a backbone, and the memory that cached features take."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from training_contenders import script
from whole_process import run


class Speed(NamedTuple):
    """Images a second of duration, and a second of processor time."""

    a_second: float
    a_core_second: float


class Agreement(NamedTuple):
    """Of one loop's features, against those of the exact loop.

    ``top_1`` is the share of right answers, ``same`` that of answers that are the exact loop's,
    ``least_cosine`` of an image's features to the exact ones.
    """

    top_1: float
    same: float
    least_cosine: float


def speeds(
    loops: Sequence[str],
    backbone: str,
    weights: Path,
    folder: Path,
    images: int,
    rounds: int,
    environment: Mapping[str, str],
) -> dict[str, Speed]:
    """Return each loop's median speed; rounds are interleaved."""
    found: dict[str, list[Speed]] = defaultdict(list)
    for _ in range(rounds):
        for loop in loops:
            print(f"{loop} loop, {images} images", file=sys.stderr, flush=True)
            command = script("backbone_loop.py", loop, backbone, weights, folder, "--images", images)
            told = run(command, environment).told
            count = told["images"]
            found[loop].append(Speed(count / told["seconds"], count / told["core_seconds"]))
    return {
        loop: Speed(*(statistics.median(values) for values in zip(*each, strict=True)))
        for loop, each in found.items()
    }


def agreement(
    engines: Sequence[str],
    backbone: str,
    weights: Path,
    data: Path,
    scratch: Path,
    environment: Mapping[str, str],
) -> dict[str, Agreement]:
    """Return how the engines' features do under a head that was fitted to the exact loop's features.

    The head is ridge regression on the training photographs, which has no randomness; it answers for
    those of validation and test.
    """
    import torch

    def features(loop: str, *splits: str) -> dict[str, Any]:
        print(f"{loop} loop, {' and '.join(splits)} photographs", file=sys.stderr, flush=True)
        file = scratch / "features.pt"
        folders = [data / split for split in splits]
        run(script("backbone_loop.py", loop, backbone, weights, *folders, "--save", file), environment)
        saved: dict[str, Any] = torch.load(file, weights_only=True)
        return saved

    fitted = features("exact", "train")
    mean, std = fitted["features"].mean(0), fitted["features"].std(0) + 1e-6

    def prepared(values: torch.Tensor) -> torch.Tensor:
        return torch.cat([(values - mean) / std, torch.ones(len(values), 1)], 1).double()

    inputs = prepared(fitted["features"])
    targets = torch.nn.functional.one_hot(fitted["labels"]).double()
    ridge = len(inputs) * torch.eye(inputs.shape[1], dtype=torch.double)
    head = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)
    exact = features("exact", "valid", "test")
    expected = (prepared(exact["features"]) @ head).argmax(1)
    found = {}
    for loop in ("exact", *engines):
        seen = exact if loop == "exact" else features(loop, "valid", "test")
        answers = (prepared(seen["features"]) @ head).argmax(1)
        cosine = torch.nn.functional.cosine_similarity(seen["features"], exact["features"])
        found[loop] = Agreement(
            float((answers == seen["labels"]).double().mean()),
            float((answers == expected).double().mean()),
            float(cosine.min()),
        )
    return found


def memory(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the bytes that an epoch on cached features of 100,000 images takes."""
    return run(script("feature_memory.py", folder), environment).told
