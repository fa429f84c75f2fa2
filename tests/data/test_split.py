from __future__ import annotations

import math
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.data.split import divide
from sagemaker_dogbreed.specs.dataset import SplitSpec

NAMES = st.sets(st.text(max_size=8), max_size=60)
SPLITS = st.builds(
    lambda valid, test, seed: SplitSpec(valid=valid, test=min(test, 0.95 - valid), seed=seed),
    valid=st.floats(0.01, 0.9),
    test=st.floats(0.01, 0.9),
    seed=st.integers(0, 2**64),
)
MISSING = st.sampled_from([("valid", "test"), ("valid",), ("test",)])


def test_the_division_never_changes() -> None:
    """These files are divided like this on every machine and by every version."""
    names = [f"{number}.jpg" for number in range(10)]
    division = divide(names, "beagle", SplitSpec(valid=0.2, test=0.2, seed=7))
    assert {name: split for name, split in division.items() if split != "train"} == {
        "1.jpg": "test",
        "4.jpg": "test",
        "6.jpg": "valid",
        "3.jpg": "valid",
    }


@given(names=NAMES, spec=SPLITS, missing=MISSING, order=st.randoms())
def test_the_order_of_the_files_does_not_matter(
    names: set[str], spec: SplitSpec, missing: tuple[str, ...], order: random.Random
) -> None:
    """File systems list files in any order; the division is the same."""
    shuffled = sorted(names)
    order.shuffle(shuffled)
    assert divide(shuffled, "c", spec, missing) == divide(sorted(names), "c", spec, missing)


@given(names=NAMES, spec=SPLITS, missing=MISSING)
def test_shares_are_exact_and_every_split_has_a_file(
    names: set[str], spec: SplitSpec, missing: tuple[str, ...]
) -> None:
    """No file is lost, the shares are rounded as documented, and no split is empty if that can be."""
    division = divide(names, "c", spec, missing)
    sizes, count = Counter(division.values()), len(names)
    assert set(division) == names
    if count <= len(missing):
        assert sizes["train"] == count
        return
    assert set(sizes) == {"train", *missing}
    for split in missing:
        share = getattr(spec, split) * count
        # Two rounded borders make a share wrong by 1; a neighbour that must not be empty, by half more.
        assert abs(sizes[split] - share) < 1.5 + 1e-9 or sizes[split] == 1 or sizes["train"] == 1
    if missing == ("test",) and 1 <= math.floor(spec.test * count + 0.5) < count:
        assert sizes["test"] == math.floor(spec.test * count + 0.5)


@given(names=NAMES.filter(bool), spec=SPLITS, missing=MISSING)
def test_one_more_file_moves_at_most_two_others(
    names: set[str], spec: SplitSpec, missing: tuple[str, ...]
) -> None:
    """A data set that grows is not divided anew."""
    more = sorted(names)
    before, after = divide(more[1:], "c", spec, missing), divide(more, "c", spec, missing)
    assert sum(after[name] != split for name, split in before.items()) <= 2


def test_seed_and_class_decide() -> None:
    """Another seed, or another class with the same file names, is divided another way."""
    names = [f"{number}.jpg" for number in range(100)]
    divisions = [
        divide(names, "beagle", SplitSpec(seed=0)),
        divide(names, "beagle", SplitSpec(seed=1)),
        divide(names, "pug", SplitSpec(seed=0)),
    ]
    assert len({tuple(sorted(division.items())) for division in divisions}) == 3
    assert [Counter(division.values()) for division in divisions] == [
        Counter(train=70, valid=15, test=15)
    ] * 3


def test_the_encoding_of_accents_does_not_matter() -> None:
    """A file system that decomposes characters gives the same division."""
    composed = [f"caf\u00e9 {number}.jpg" for number in range(20)]
    decomposed = [f"cafe\u0301 {number}.jpg" for number in range(20)]
    assert [divide(composed, "\u00e9", SplitSpec())[name] for name in composed] == [
        divide(decomposed, "e\u0301", SplitSpec())[name] for name in decomposed
    ]
