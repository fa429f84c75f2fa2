"""The inspection of a data set: every image decoded, and the whole checked for what spoils training."""

from __future__ import annotations

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sagemaker_dogbreed.container.metrics import SPLITS
from sagemaker_dogbreed.data import checks
from sagemaker_dogbreed.data.examination import Examined, Look, judge, look_at
from sagemaker_dogbreed.data.examination_index import ExaminationIndex
from sagemaker_dogbreed.data.image_file import Candidate, ImageFile
from sagemaker_dogbreed.data.keys import object_key
from sagemaker_dogbreed.data.report import ALWAYS_ERRORS, Finding, InspectionReport, Spread
from sagemaker_dogbreed.data.split import divide
from sagemaker_dogbreed.specs.dataset import CHECKS, DatasetSpec, SplitSpec

_BATCH = 1024  # files handed to the threads at a time, so that an interruption is soon heeded


class Inspection(NamedTuple):
    """The report, and the images that can be used, in order of their keys."""

    report: InspectionReport
    images: tuple[ImageFile, ...]


def inspect(
    spec: DatasetSpec,
    candidates: Sequence[Candidate],
    *,
    root: Path,
    class_names: Iterable[str],
    strays: Sequence[Path] = (),
    nested: Sequence[Path] = (),
    missing: Sequence[str] = (),
    cache_dir: Path | None = None,
    progress: bool = True,
) -> Inspection:
    """Decode all candidates, divide them where splits are missing, and check the data set they make up.

    A file that an earlier call has seen, and that has not changed since, is neither read nor decoded.

    Args:
        spec: Says how severe each kind of finding is, and how many pixels an image may have.
        candidates: The files in class folders.
        root: The data set's folder; the report names files relative to it.
        class_names: The names of all class folders, empty ones included.
        strays: Images and folders that are in no class folder.
        nested: Folders that are in a class folder.
        missing: Splits to be carved from the usable images of ``train``.
        cache_dir: Where what is found in the files is kept for the next time; default: it is not.
        progress: Whether to draw a progress bar.
    """
    index = ExaminationIndex(cache_dir, root, max_pixels=int(spec.max_image_megapixels * 1e6))
    examined = _examine_all(candidates, index, progress=progress)
    images = sorted(
        (result.image for result in examined if result.image is not None), key=lambda image: image.key
    )
    classes = sorted(set(class_names))
    found = [
        *(
            checks.Found(result.kind, result.message, (result.candidate.path,))
            for result in examined
            if result.kind is not None
        ),
        *checks.misplaced(strays, nested),
        *checks.collisions(images, classes),
    ]
    images = _divided(checks.without_clashes(images), spec.split, missing)
    found += checks.coverage(images, classes, missing)
    images = checks.trainable(images)
    found += [*checks.duplicates(images), *checks.balance(images)]
    used = {image.path for image in images}
    report = InspectionReport(
        name=spec.dataset_name,
        root=root,
        findings=_graded(spec, found),
        counts=_counts(images, classes),
        image_count=len(images),
        total_bytes=sum(image.size for image in images),
        width=_spread([image.width for image in images]),
        height=_spread([image.height for image in images]),
        left_out=tuple(candidate.path for candidate in candidates if candidate.path not in used),
        leaked=checks.leaked(images),
    )
    return Inspection(report=report, images=tuple(images))


def _examine_all(
    candidates: Sequence[Candidate], index: ExaminationIndex, *, progress: bool
) -> list[Examined]:
    known = [index.find(candidate.path) for candidate in candidates]
    unknown = [candidate.path for candidate, look in zip(candidates, known, strict=True) if look is None]
    seen: dict[Path, Look] = {}
    if unknown:
        try:
            for path, found in _look_at_all(unknown, index.max_pixels, progress=progress):
                seen[path] = found
                index.add(path, found)
        finally:  # what was seen before an interruption need not be seen again
            index.save()
    pairs = zip(candidates, known, strict=True)
    return [judge(candidate, look or seen[candidate.path]) for candidate, look in pairs]


def _look_at_all(paths: Sequence[Path], max_pixels: int, *, progress: bool) -> Iterator[tuple[Path, Look]]:
    from concurrent.futures import ThreadPoolExecutor

    from tqdm.auto import tqdm

    bar = tqdm(total=len(paths), unit="image", desc="inspect", disable=not progress)
    # Threads do: decoders release Python's lock.
    with bar, ThreadPoolExecutor(os.cpu_count() or 1) as pool, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")  # damage is reported as a finding
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            for path, look in zip(batch, pool.map(look_at, batch, [max_pixels] * len(batch)), strict=True):
                yield path, look
                bar.update()


def _divided(images: Sequence[ImageFile], split: SplitSpec, missing: Sequence[str]) -> list[ImageFile]:
    """Return the images with those of ``train`` divided, class by class, in order of the new keys."""
    if not missing:
        return list(images)
    by_class: dict[str, dict[str, ImageFile]] = defaultdict(dict)
    for image in images:
        if image.split == "train":
            by_class[image.class_name][image.key.rpartition("/")[2]] = image
    divided = [image for image in images if image.split != "train"]
    for class_name, by_name in by_class.items():
        for name, part in divide(by_name, class_name, split, missing).items():
            divided.append(by_name[name]._replace(split=part, key=object_key(part, class_name, name)))
    return sorted(divided, key=lambda image: image.key)


def _graded(spec: DatasetSpec, found: Iterable[checks.Found]) -> tuple[Finding, ...]:
    """Return the findings with their severities, in the order of CHECKS, without ignored ones."""
    order = list(CHECKS)
    severities = {kind: "error" if kind in ALWAYS_ERRORS else spec.severity(kind) for kind in order}
    return tuple(
        Finding(kind=item.kind, severity=severities[item.kind], message=item.message, paths=item.paths)
        for item in sorted(found, key=lambda item: order.index(item.kind))
        if severities[item.kind] != "ignore"
    )


def _counts(images: Iterable[ImageFile], classes: Iterable[str]) -> dict[str, dict[str, int]]:
    number = Counter((image.class_name, image.split) for image in images)
    return {name: {split: number[name, split] for split in SPLITS} for name in classes}


def _spread(values: Sequence[int]) -> Spread | None:
    if not values:
        return None
    ordered = sorted(values)
    return Spread(minimum=ordered[0], median=ordered[(len(ordered) - 1) // 2], maximum=ordered[-1])
