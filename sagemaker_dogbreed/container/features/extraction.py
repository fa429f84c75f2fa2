"""Passes each image through the frozen backbone once, and keeps what it yields."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.data import Bad, DataError, ImageFolder, Split, loader, worker_count
from sagemaker_dogbreed.container.debugging.watcher import Watcher
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.features.backbone_pass import BackbonePass
from sagemaker_dogbreed.container.features.parts import PartFolder, Rows
from sagemaker_dogbreed.container.features.split import FeatureSplit
from sagemaker_dogbreed.container.heads import feature_count
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.loop import StopRequested
from sagemaker_dogbreed.container.model import Classifier, digest
from sagemaker_dogbreed.container.preprocessing import Preprocessing
from sagemaker_dogbreed.container.sampling import Place, epoch_seed

_FORMAT = 1  # to be raised whenever the same key would hold other features
_EVALUATION_BATCH = 4096  # there is no step to take between


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extraction:
    """What is needed to have features.

    Attributes:
        folder: Where features are kept, those of each key in a folder of its own.
        earlier: A folder of the same layout that is only read, or None.
        dataset_version: Names the content of the channels' files; without it they are read to know.
        stop_requested: Asked with each batch.
        watcher: Records where the time goes.
    """

    classifier: Classifier
    hyperparameters: Hyperparameters
    preprocessing: Preprocessing
    device: torch.device
    ranks: Ranks
    folder: Path
    earlier: Path | None
    dataset_version: str | None
    stop_requested: Callable[[], bool]
    watcher: Watcher = dataclasses.field(default_factory=Watcher.idle)

    def splits(self, splits: Mapping[str, Split]) -> dict[str, FeatureSplit]:
        """Return the features of all images, those that are not kept yet computed now.

        Processes that want the same features at a time share the work, part by part.

        Raises:
            DataError: An image cannot be decoded.
            FeatureError: The backbone yields what cannot be kept.
            EngineError: The engine that was asked for is not installed.
            StopRequested: The job was asked to stop; what is done is kept.
        """
        backbone = BackbonePass(
            self.classifier.backbone,
            self.hyperparameters,
            self.device,
            threads=self.ranks.processors,
            images=sum(len(split.dataset) for split in splits.values()),
        )
        key = self._key(splits)
        return {name: self._split(split, key, backbone) for name, split in splits.items()}

    def _split(self, split: Split, key: str, backbone: BackbonePass) -> FeatureSplit:
        wanted, files = self.hyperparameters, split.dataset.files
        training = split.name == "train"
        views = {"plain": self.preprocessing.evaluation_transform()}
        if training and wanted.augmentation != "none":
            views |= {
                f"{wanted.augmentation}-{wanted.seed}-{number}": self.preprocessing.training_transform(
                    wanted.augmentation
                )
                for number in range(1, wanted.views)
            }
        rows = [
            self._rows(ImageFolder(files, transform), f"{key}/{split.name}/{view}", number, backbone, split)
            for number, (view, transform) in enumerate(views.items())
        ]
        return FeatureSplit(
            name=split.name,
            views=rows,
            labels=torch.tensor([label for _, label in files]),
            class_counts=split.class_counts,
            sampler=split.sampler,
            batch_size=wanted.batch_size if training else _EVALUATION_BATCH,
            ranks=self.ranks,
        )

    def _rows(self, images: ImageFolder, place: str, view: int, backbone: BackbonePass, split: Split) -> Rows:
        width = feature_count(self.classifier.head)
        earlier = None if self.earlier is None else self.earlier / place
        parts = PartFolder(self.folder / place, len(images), width, earlier)
        missing = parts.missing()
        if missing:
            log.line(
                f"Passing {sum(len(parts.span(part)) for part in missing)} {split.name} images through the "
                f"backbone, once{f' (view {view + 1})' if view else ''}"
            )
            begun = time.monotonic()
            with self.watcher.span("extraction"):
                stopped = self._fill(parts, images, view, backbone, split.name)
            if self.ranks.sum([stopped])[0]:
                raise StopRequested
            log.line(f"It took {time.monotonic() - begun:.1f} s")
        return parts.read()

    def _fill(
        self, parts: PartFolder, images: ImageFolder, view: int, backbone: BackbonePass, name: str
    ) -> bool:
        """Write what is missing, and return whether the job was asked to stop before all was there."""
        seed = epoch_seed(self.hyperparameters.seed, view)
        # First what nobody is at. Then the rest, should others not have done it: one part at a time, for
        # who waits while holding another part could wait for ever.
        rounds = [(parts.missing(), False)]
        while rounds:
            numbers, wait = rounds.pop(0)
            with contextlib.closing(_Claims(parts, numbers, seed, backbone.batch_size, wait=wait)) as claims:
                done: list[torch.Tensor] = []
                self.watcher.passes("extract")
                for number, batch in enumerate(loader(images, claims, self._workers(len(images)))):
                    self.watcher.lap("data")
                    if isinstance(batch, Bad):
                        raise DataError(f"channel {name}: {batch.message}; repair or remove the file")
                    if self.stop_requested():
                        return True
                    done.append(backbone(batch[0]))
                    self.watcher.lap("forward")
                    if sum(map(len, done)) == len(parts.span(claims.oldest)):
                        claims.finish(torch.cat(done))
                        done = []
                    self.watcher.batch_ended(number)
            if not wait:
                rounds = [([number], True) for number in parts.missing()]
        return False

    def _workers(self, images: int) -> int:
        wanted = self.hyperparameters.num_workers
        return worker_count(images, self.ranks.processors) if wanted is None else wanted

    def _key(self, splits: Mapping[str, Split]) -> str:
        """Return what stands for everything the features depend on."""
        wanted = self.hyperparameters
        content = {
            "format": _FORMAT,
            "dataset_version": self.dataset_version,
            "files": {name: self._files_digest(split) for name, split in splits.items()},
            "backbone": wanted.backbone,
            "weights": digest(self.classifier.backbone),
            "preprocessing": self.preprocessing.to_dict(),
            "engine": wanted.engine,
            "precision": wanted.precision,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def _files_digest(self, split: Split) -> str:
        total = hashlib.sha256()
        for path, _ in split.dataset.files:
            total.update(f"{path.parent.name}/{path.name}\0{path.stat().st_size}\0".encode())
            if self.dataset_version is None:
                total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()


class _Claims:
    """The images of parts that are claimed as their turn comes, in batches, for a loader."""

    def __init__(
        self, parts: PartFolder, numbers: Sequence[int], seed: int, batch_size: int, *, wait: bool
    ) -> None:
        self._parts, self._numbers, self._batch_size, self._wait = parts, numbers, batch_size, wait
        self._seeds = torch.randint(
            2**62, (parts.rows,), generator=torch.Generator().manual_seed(seed)
        ).tolist()
        self._held: dict[int, contextlib.ExitStack] = {}

    def __iter__(self) -> Iterator[list[Place]]:
        for number in self._numbers:
            with contextlib.ExitStack() as stack:
                if not stack.enter_context(self._parts.claim(number, wait=self._wait)):
                    continue
                self._held[number] = stack.pop_all()
            span = self._parts.span(number)
            for start in range(span.start, span.stop, self._batch_size):
                rows = range(start, min(span.stop, start + self._batch_size))
                yield [Place(row, self._seeds[row]) for row in rows]

    @property
    def oldest(self) -> int:
        """The part whose images come first; of those behind it some may be loaded already."""
        return next(iter(self._held))

    def finish(self, rows: torch.Tensor) -> None:
        """Write the oldest part and release it."""
        self._parts.write(self.oldest, rows)
        self._held.pop(self.oldest).close()

    def close(self) -> None:
        """Release what is still claimed."""
        while self._held:
            self._held.popitem()[1].close()
