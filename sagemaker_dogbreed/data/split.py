"""A division of files that is the same on every machine."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Iterable, Sequence

from sagemaker_dogbreed.specs.dataset import SplitSpec


def divide(
    names: Iterable[str], class_name: str, spec: SplitSpec, missing: Sequence[str] = ("valid", "test")
) -> dict[str, str]:
    """Return the split of each file of one class: train, valid or test.

    The files are put in an order that only seed, class and name decide, by SHA-256. The first go to
    test, the next to valid, the others to train. The two boundaries lie at ``test`` and ``test +
    valid`` times the number of files, rounded (halves up), so that no share is off by more than one
    file (one and a half beside a split that would be empty otherwise). If there are at least as many
    files as splits, every split has at least one; if there are fewer, all are for training. One file
    more or less moves at most two others.

    Args:
        names: The files' names, in any order; each only once.
        class_name: The class they belong to.
        spec: The shares and the seed.
        missing: The splits to be carved from these files; the shares of others count as 0.

    >>> sorted(divide(["a.jpg", "b.jpg", "c.jpg"], "beagle", SplitSpec()).values())
    ['test', 'train', 'valid']
    """
    ordered = sorted(names, key=lambda name: (_rank(spec.seed, class_name, name), name))
    count = len(ordered)
    if count <= len(missing):
        return dict.fromkeys(ordered, "train")
    test_share = spec.test if "test" in missing else 0.0
    valid_share = spec.valid if "valid" in missing else 0.0
    least_test, least_valid = int("test" in missing), int("valid" in missing)
    test_end = max(least_test, min(_rounded(test_share * count), count - 1 - least_valid))
    valid_end = max(test_end + least_valid, min(_rounded((test_share + valid_share) * count), count - 1))
    return {
        name: "test" if place < test_end else "valid" if place < valid_end else "train"
        for place, name in enumerate(ordered)
    }


def _rank(seed: int, class_name: str, name: str) -> bytes:
    # Composed characters, as some file systems hand out names in decomposed form.
    text = unicodedata.normalize("NFC", f"{seed}\0{class_name}\0{name}")
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _rounded(number: float) -> int:
    return math.floor(number + 0.5)
