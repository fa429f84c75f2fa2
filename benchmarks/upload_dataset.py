"""One call of this library's ``sync`` as a whole process: ``upload_dataset.py FOLDER BUCKET ENDPOINT CACHE``.

It does what ``Session.upload`` does with a folder that is divided already, except that images are not
decoded and checked: the other tools do not do that either. Hashing the files, or finding in the index
of the last time that they need not be hashed again, is part of it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from sagemaker_dogbreed.aws.connection import connect
from sagemaker_dogbreed.data.examination import Look, judge
from sagemaker_dogbreed.data.examination_index import ExaminationIndex
from sagemaker_dogbreed.data.fetch import fetch
from sagemaker_dogbreed.data.file_stamp import FileStamp
from sagemaker_dogbreed.data.image_file import Candidate
from sagemaker_dogbreed.data.layout import find_layout
from sagemaker_dogbreed.data.prepare import PreparedDataset, fingerprint
from sagemaker_dogbreed.data.report import InspectionReport
from sagemaker_dogbreed.data.versions.sync import sync
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.store.s3 import S3Store


def hashed(path: Path) -> Look:
    """Return what an examination finds in an image, without decoding it."""
    with path.open("rb") as file:
        stamp = FileStamp.of(file.fileno())
        digest = hashlib.sha256(file.read()).hexdigest()
    return Look(sha256=digest, width=1, height=1, image_format="JPEG", size=stamp.size, stamp=stamp)


def prepared(folder: Path, cache: Path) -> PreparedDataset:
    """Return the data set of a folder, its files hashed where the index does not know them."""
    spec = DatasetSpec(source=str(folder), name="dogs")
    layout = find_layout(fetch(spec, cache / "downloads"))
    index = ExaminationIndex(cache, folder, max_pixels=1)
    candidates = [
        Candidate(path=path, split=split, class_name=class_name)
        for split, classes in layout.splits.items()
        for class_name, paths in classes.items()
        for path in paths
    ]
    known = [index.find(candidate.path) for candidate in candidates]
    seen: dict[Path, Look] = {}
    if unknown := [candidate.path for candidate, look in zip(candidates, known, strict=True) if look is None]:
        from concurrent.futures import ThreadPoolExecutor  # as the inspection does: only where needed

        threads = os.cpu_count() or 1
        parts = [unknown[number::threads] for number in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            for part, found in zip(parts, pool.map(lambda paths: [*map(hashed, paths)], parts), strict=True):
                seen.update(zip(part, found, strict=True))
        for path in unknown:
            index.add(path, seen[path])
        index.save()
    pairs = zip(candidates, known, strict=True)
    examined = [judge(candidate, look or seen[candidate.path]) for candidate, look in pairs]
    images = sorted((result.image for result in examined if result.image), key=lambda image: image.key)
    report = InspectionReport(
        name="dogs",
        root=folder,
        findings=(),
        counts={},
        image_count=len(images),
        total_bytes=sum(image.size for image in images),
        width=None,
        height=None,
        left_out=(),
    )
    return PreparedDataset(
        spec=spec,
        name="dogs",
        classes=tuple(sorted({image.class_name for image in images})),
        files=tuple(images),
        report=report,
        fingerprint=fingerprint((image.key, image.sha256) for image in images),
    )


def main() -> None:
    """Upload the folder."""
    folder, bucket, endpoint, cache = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    store = S3Store(connect(), endpoint_url=endpoint)
    sync(prepared(folder, cache), store, bucket, cache_dir=cache, progress=False)


if __name__ == "__main__":
    main()
