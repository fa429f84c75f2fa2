"""What may change from one run to the next where the second goes on from the first. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

_FREE = frozenset({"epochs", "num_workers", "patience", "compile"})


def free_to_change(hyperparameters: Mapping[str, object]) -> frozenset[str]:
    """Return the hyperparameters that may change without changing what an epoch computes.

    A learning rate that changes over all steps depends on how many epochs there are.

    >>> "epochs" in free_to_change({"schedule": "cosine"})
    False
    """
    constant = hyperparameters.get("schedule", "constant") == "constant"
    warmup = float(str(hyperparameters.get("warmup", 0.0)))
    return _FREE if constant and not warmup else _FREE - {"epochs"}
