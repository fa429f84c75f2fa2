"""The images of the channels train, valid and test, as batches."""

from __future__ import annotations

import dataclasses
import signal
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.images import ImageError, open_rgb_file
from sagemaker_dogbreed.container.metrics import SPLITS
from sagemaker_dogbreed.container.preprocessing import Preprocessing, Transform
from sagemaker_dogbreed.container.sampling import EpochSampler, Place, ShareSampler
from sagemaker_dogbreed.container.shards import unpacked

MAX_PIXELS = 200_000_000
"""Larger training images are refused: 600 MB decoded."""

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
MANY_IMAGES = 64
"""For fewer, starting processes takes longer than loading."""

UNCOUNTED = -100
"""The class number of an image that only fills a share: losses of torch pass over it."""

Batch = tuple[torch.Tensor, torch.Tensor]
"""Images (batch, 3, size, size) and class numbers (batch,)."""


class DataError(Exception):
    """The data of a channel cannot be used; the message names the file or folder."""


class Bad(NamedTuple):
    """Stands for a batch that could not be loaded (a worker process cannot raise our errors intact)."""

    message: str


class ImageFolder(Dataset[tuple[torch.Tensor, int]]):
    """Image files below class folders, with the class's number."""

    def __init__(
        self, files: Sequence[tuple[Path, int]], transform: Transform, least_side: int | None = None
    ) -> None:
        """Name the files and what becomes of an image; see ``open_rgb_file`` for ``least_side``."""
        self.files, self.transform, self.least_side = files, transform, least_side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: Place) -> tuple[torch.Tensor, int] | Bad:  # type: ignore[override]  # by sampler
        path, label = self.files[place.number]
        try:
            image = open_rgb_file(path, max_pixels=MAX_PIXELS, least_side=self.least_side)
        except (ImageError, OSError) as error:
            return Bad(str(error))
        generator = torch.default_generator  # the one that torchvision's transforms draw from
        state = generator.get_state()
        generator.manual_seed(place.seed)
        try:
            return self.transform(image), label if place.counts else UNCOUNTED
        finally:
            generator.set_state(state)


@dataclasses.dataclass(frozen=True)
class Split:
    """One channel's batches, or this process's shares of them; iterate over it once an epoch.

    ``class_counts`` (classes,) are the numbers of its images of each class.
    """

    name: str
    dataset: ImageFolder
    loader: DataLoader[tuple[torch.Tensor, int]]
    sampler: EpochSampler
    class_counts: torch.Tensor

    def batches(self, epoch: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch.

        Raises:
            DataError: An image cannot be decoded.
        """
        self.sampler.epoch = epoch
        for batch in self.loader:
            if isinstance(batch, Bad):
                raise DataError(f"channel {self.name}: {batch.message}; repair or remove the file")
            yield batch


def class_names(train: Path) -> tuple[str, ...]:
    """Return the names of the class folders, sorted.

    Raises:
        DataError: There are fewer than two.
    """
    names = tuple(sorted(path.name for path in _entries(train) if path.is_dir()))
    if len(names) < 2:
        raise DataError(
            f"channel train ({train}) must hold a folder for each of two or more classes, found {len(names)}"
        )
    return names


def load_splits(
    channels: Mapping[str, Path],
    hyperparameters: Hyperparameters,
    preprocessing: Preprocessing,
    ranks: Ranks = Ranks(),  # noqa: B008 - a value
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Return the splits by name, and the class names.

    Raises:
        DataError: A channel is missing, empty or has a class that train does not have.
        ShardError: A channel is packed in tar shards that are damaged or unsafe.
    """
    missing = [name for name in SPLITS if name not in channels]
    if missing:
        raise DataError(
            f"input channel{'s' * (len(missing) > 1)} {', '.join(missing)} missing; "
            f"training needs {', '.join(SPLITS)}, each with one folder of images for each class"
        )
    channels = {name: unpacked(channels[name]) for name in SPLITS}
    classes = class_names(channels["train"])
    splits = {}
    for name in SPLITS:
        files = _files(name, channels[name], classes)
        training = name == "train"
        augmentation = hyperparameters.augmentation if training else "none"
        transform = preprocessing.training_transform(augmentation)
        dataset = ImageFolder(files, transform, preprocessing.least_side)
        sampler = EpochSampler(len(files), hyperparameters.seed, shuffle=training)
        shares = ShareSampler(
            sampler,
            hyperparameters.batch_size,
            ranks,
            # Batch normalisation cannot train on a single image.
            leave_out_lone_last=training and hyperparameters.finetune != "head",
        )
        workers = hyperparameters.num_workers
        if workers is None:
            workers = worker_count(len(files) // ranks.size, ranks.processors)
        counts = torch.bincount(torch.tensor([label for _, label in files]), minlength=len(classes))
        splits[name] = Split(name, dataset, loader(dataset, shares, workers), sampler, counts)
    return splits, classes


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error


def _files(name: str, channel: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    numbers = {class_name: number for number, class_name in enumerate(classes)}
    files = []
    for folder in (path for path in _entries(channel) if path.is_dir()):
        if folder.name not in numbers:
            raise DataError(
                f"channel {name} has the class {folder.name!r}, which channel train does not have"
            )
        found = [path for path in _entries(folder) if path.suffix.lower() in _SUFFIXES]
        if name == "train" and not found:
            raise DataError(f"channel train: {folder} holds no images ({', '.join(sorted(_SUFFIXES))})")
        files += [(path, numbers[folder.name]) for path in found]
    if not files:
        raise DataError(f"channel {name} ({channel}) holds no images in class folders")
    return files


def loader(
    dataset: ImageFolder, batches: Iterable[Sequence[Place]], workers: int
) -> DataLoader[tuple[torch.Tensor, int]]:
    """Return what loads batches of images in so many worker processes."""
    with warnings.catch_warnings():
        # More workers than processors is the user's choice where it is made.
        warnings.simplefilter("ignore", UserWarning)
        return DataLoader(
            dataset,
            batch_sampler=batches,  # type: ignore[arg-type]  # any iterable will do
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            collate_fn=_collate,
            worker_init_fn=_start_worker,
        )


def worker_count(images: int, processors: int) -> int:
    """Return how many processes load so many images fastest."""
    return 0 if processors == 1 or images < MANY_IMAGES else min(processors, 8)


def _collate(items: Sequence[tuple[torch.Tensor, int] | Bad]) -> Batch | Bad:
    images, labels = [], []
    for item in items:
        if isinstance(item, Bad):
            return item
        images.append(item[0])
        labels.append(item[1])
    return torch.stack(images), torch.tensor(labels)


def _start_worker(_number: int) -> None:
    # A signal to the whole process group is for the main process, which ends its workers itself.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
