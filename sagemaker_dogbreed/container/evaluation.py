"""What a model gets right and wrong on the test split: by class, by pair of classes, by image.

The result is of bounded size: of very many classes, pairs or images, those with the most errors are kept.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sagemaker_dogbreed.container.data import UNCOUNTED
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.files import write_json
from sagemaker_dogbreed.container.thumbnails import thumbnail

MOST_CLASSES, MOST_CELLS = 1_000, 10_000
WORST_IMAGES, CONFUSED_PAIRS, EXAMPLES = 12, 10, 3
CALIBRATION_BINS = 15
_LONGEST_NAME = 200  # characters


class Evaluation:
    """Collects what is said of each test image, batch by batch, in the order of the split's files."""

    def __init__(
        self,
        class_names: Sequence[str],
        files: Sequence[Path] = (),
        ranks: Ranks = Ranks(),  # noqa: B008 - a value
    ) -> None:
        """Name the classes and the images; images have no names where there is not one file for each."""
        self._classes = [_shown(name) for name in class_names]
        self._files, self._ranks = files, ranks
        self._rows: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._images = 0

    def add(self, scores: torch.Tensor, labels: torch.Tensor, images: int | None = None) -> None:
        """Add a batch, or this rank's share of it; an image that does not count is passed over.

        Args:
            scores: Logits (batch, classes), on any device.
            labels: Class numbers (batch,).
            images: How many images the batch has on all ranks; needed where there are several.
        """
        counted = labels != UNCOUNTED
        scores, labels = scores.detach()[counted].float().cpu(), labels[counted].cpu()
        logs = nn.functional.log_softmax(torch.nan_to_num(scores, posinf=1e30, neginf=-1e30), dim=1)
        best, predicted = logs.max(dim=1)
        losses = -logs.gather(1, labels.unsqueeze(1)).squeeze(1)
        places = self._images + self._ranks.rank + self._ranks.size * torch.arange(len(labels))
        self._rows.append((places, torch.stack([labels, predicted, losses, best.exp()], dim=1).double()))
        self._images += len(labels) if images is None else images

    def write(self, path: Path, job_name: str = "") -> None:
        """Write the summary as JSON; the leading rank does, but all have to call.

        Raises:
            OSError: The file cannot be written.
        """
        summary = {"job_name": job_name} | self.summary()
        if self._ranks.leads:
            write_json(path, summary)

    def summary(self) -> dict[str, Any]:
        """Return the evaluation in values that JSON has; all ranks have to call, and get the same numbers.

        Keys: ``images``, ``loss`` (mean, nats), ``top_1``, ``calibration_error``, ``calibration`` (its
        bins), ``class_count``, ``classes`` (a row each), ``confusion`` (errors as triples of true class,
        predicted class and count; classes by their place in ``classes``), ``worst`` (images with the
        highest loss) and ``confused`` (pairs of classes with examples). A rate of nothing is None.
        """
        labels, predicted, losses, confidences = self._all_rows().unbind(1)
        labels, predicted = labels.long(), predicted.long()
        right = labels == predicted
        error, bins = _calibration(confidences, right)
        pairs = Counter(zip(labels[~right].tolist(), predicted[~right].tolist(), strict=True))
        images = _Images(self._classes, self._names(), labels, predicted, losses, confidences)
        worst = losses.argsort(descending=True, stable=True)
        by_loss: dict[tuple[int, int], list[int]] = {}
        for number in worst[~right[worst]].tolist():
            by_loss.setdefault((int(labels[number]), int(predicted[number])), []).append(number)
        # Of pairs that occur as often, the one with the worst image comes first.
        most = sorted(by_loss, key=lambda pair: -pairs[pair])[:CONFUSED_PAIRS]
        rows, cells = _table(self._classes, labels, predicted, pairs)
        return {
            "images": len(labels),
            "loss": _mean(losses),
            "top_1": _mean(right.double()),
            "calibration_error": error,
            "calibration": bins,
            "class_count": len(self._classes),
            "classes": rows,
            "confusion": cells,
            "worst": [images.row(number) for number in worst[:WORST_IMAGES].tolist()],
            "confused": [
                {
                    "true": self._classes[pair[0]],
                    "predicted": self._classes[pair[1]],
                    "images": pairs[pair],
                    "examples": [images.row(number) for number in by_loss[pair][:EXAMPLES]],
                }
                for pair in most
            ],
        }

    def _all_rows(self) -> torch.Tensor:
        """Return label, predicted class, loss and confidence (images, 4), of all ranks."""
        rows = torch.zeros(self._images, 4, dtype=torch.float64)
        for places, values in self._rows:
            rows[places] = values
        # Each image is one rank's only, so the sums are what the ranks have.
        summed = self._ranks.sum(rows.flatten().tolist())
        return torch.tensor(summed, dtype=torch.float64).reshape(-1, 4)

    def _names(self) -> Sequence[Path]:
        return self._files if len(self._files) == self._images else ()


@dataclasses.dataclass
class _Images:
    """Describes images by their numbers; each is decoded once."""

    classes: Sequence[str]
    files: Sequence[Path]
    labels: torch.Tensor
    predicted: torch.Tensor
    losses: torch.Tensor
    confidences: torch.Tensor
    thumbnails: dict[int, str | None] = dataclasses.field(default_factory=dict)

    def row(self, number: int) -> dict[str, Any]:
        file = self.files[number] if self.files else None
        if number not in self.thumbnails:
            self.thumbnails[number] = thumbnail(file) if file else None
        loss = self.losses[number]
        return {
            "file": _shown("/".join(file.parts[-2:])) if file else None,
            "true": self.classes[int(self.labels[number])],
            "predicted": self.classes[int(self.predicted[number])],
            "confidence": float(self.confidences[number]),
            "true_probability": float((-loss).exp()),
            "loss": float(loss),
            "thumbnail": self.thumbnails[number],
        }


def _table(
    names: Sequence[str], labels: torch.Tensor, predicted: torch.Tensor, pairs: Counter[tuple[int, int]]
) -> tuple[list[dict[str, Any]], list[list[int]]]:
    """Return the classes' rows and the errors' cells, both of those with most errors."""
    there = torch.bincount(labels, minlength=len(names)).tolist()
    said = torch.bincount(predicted, minlength=len(names)).tolist()
    right = torch.bincount(labels[labels == predicted], minlength=len(names)).tolist()
    wrong = sorted(range(len(names)), key=lambda one: 2 * right[one] - there[one] - said[one])
    kept = sorted(wrong[:MOST_CLASSES])
    places = {number: place for place, number in enumerate(kept)}
    rows = [
        {
            "name": names[number],
            "images": there[number],
            "predicted": said[number],
            "right": right[number],
            "precision": right[number] / said[number] if said[number] else None,
            "recall": right[number] / there[number] if there[number] else None,
        }
        for number in kept
    ]
    cells = [
        [places[true], places[other], count]
        for (true, other), count in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
        if true in places and other in places
    ]
    return rows, cells[:MOST_CELLS]


def _calibration(confidences: torch.Tensor, right: torch.Tensor) -> tuple[float | None, list[dict[str, Any]]]:
    """Return the expected calibration error, over bins of equal width, and the bins that hold images.

    https://arxiv.org/abs/1706.04599, section 2
    """
    numbers = (confidences * CALIBRATION_BINS).ceil().clamp(1, CALIBRATION_BINS) - 1
    bins, error = [], 0.0
    for number in sorted(set(numbers.tolist())):
        inside = numbers == number
        confidence, accuracy = float(confidences[inside].mean()), float(right[inside].double().mean())
        bins.append({"confidence": confidence, "accuracy": accuracy, "images": int(inside.sum())})
        error += abs(accuracy - confidence) * int(inside.sum()) / len(confidences)
    return (error if bins else None), bins


def _mean(values: torch.Tensor) -> float | None:
    return float(values.mean()) if len(values) else None


def _shown(name: str) -> str:
    """Return a name as text that every file can hold, and not too long."""
    text = name.encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
