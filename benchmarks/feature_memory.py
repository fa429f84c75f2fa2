"""How much memory an epoch over many cached features takes: ``feature_memory.py FOLDER``.

Features of so many images are written to the folder as the feature cache has them. Then, in this process, a
head trains an epoch on them: memory that is this process's own (anonymous) is what counts; pages of mapped
files are the system's to take back at any time. Linux only.

Prints bytes as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.features.parts import PartFolder
from sagemaker_dogbreed.container.features.split import FeatureSplit
from sagemaker_dogbreed.container.sampling import EpochSampler

_CLASSES = 120


def main() -> None:
    """Write the features, or train on them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    parts = PartFolder(options.folder, options.images, options.width)
    if options.write:
        for part in parts.missing():
            with parts.claim(part, wait=True):
                parts.write(part, torch.rand(len(parts.span(part)), options.width))
        return
    # By another process, so that none of it is this one's.
    subprocess.run([sys.executable, *sys.argv, "--write"], check=True)
    print(json.dumps(_epoch(parts)))


def _epoch(parts: PartFolder) -> dict[str, float]:
    torch.manual_seed(0)
    labels = torch.randint(_CLASSES, (parts.rows,))
    head = nn.Sequential(nn.Linear(parts.width, 128), nn.ReLU(), nn.Linear(128, _CLASSES))
    optimizer = torch.optim.Adam(head.parameters(), fused=True)

    def learn(features: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(features), labels).backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()

    learn(torch.rand(64, parts.width), labels[:64])  # what torch takes for itself is there before
    before = peak = _resident("RssAnon")
    begun, mapped = time.perf_counter(), 0
    split = FeatureSplit(
        name="train",
        views=[parts.read()],
        labels=labels,
        class_counts=torch.bincount(labels, minlength=_CLASSES),
        sampler=EpochSampler(parts.rows, 0, shuffle=True),
        batch_size=64,
        ranks=Ranks(),
    )
    for number, (features, of_batch) in enumerate(split.batches(1)):
        learn(features, of_batch)
        if number % 20 == 0:
            peak, mapped = max(peak, _resident("RssAnon")), max(mapped, _resident("RssFile"))
    return {
        "before": before,
        "peak": max(peak, _resident("RssAnon")),
        "mapped": mapped,
        "in_memory": 4 * parts.rows * parts.width,
        "seconds": time.perf_counter() - begun,
    }


def _resident(kind: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return 1024 * int(line.split()[1])
    raise SystemExit(f"/proc/self/status has no {kind}")


if __name__ == "__main__":
    main()
