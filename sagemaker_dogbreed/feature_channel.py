"""Features that earlier jobs computed, kept beside their data set and offered to later jobs.

A job with a frozen backbone leaves the features of all images among its checkpoints. That it may have
is noted beside the data set when it is submitted; when the next such job is, they are copied there::

    <data set>/features/<key>/jobs/<training job>    an empty object: the job's checkpoints may have features
    <data set>/features/<key>/parts/...              the channel "features"

The job itself decides, by everything they depend on, which of them it can use.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from sagemaker_dogbreed.requests.channels import Channel
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.store.interface import Store

CHANNEL = "features"
"""Name of the input channel, and of the folder among the checkpoints."""

_JOBS_LOOKED_AT = 3
_FIELDS = ("backbone", "image_size", "augmentation", "views", "seed", "engine", "precision")


def features_uri(dataset_uri: str, spec: TrainingSpec, weights_uri: str | None) -> str | None:
    """Return the prefix of what is kept for trainings like this one; None where the backbone trains.

    Args:
        dataset_uri: Of the version that is trained on.
        spec: The training.
        weights_uri: Where the backbone's weights are, if they come from a file.
    """
    if spec.finetune != "head" or spec.feature_cache == "off":
        return None
    values = [weights_uri or spec.weights, *(getattr(spec, name) for name in _FIELDS)]
    return f"{dataset_uri}/features/{hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]}"


def offer(store: Store, uri: str, checkpoint_uri: Callable[[str], str]) -> Channel | None:
    """Return the channel of the features that are kept, with those of noted jobs; None while there are none.

    Args:
        store: Where they are.
        uri: As ``features_uri`` returned it.
        checkpoint_uri: Returns the prefix of a job's checkpoints.

    Raises:
        StoreError: They cannot be listed or copied.
    """
    there = _names(store, f"{uri}/parts")
    jobs = sorted(_names(store, f"{uri}/jobs"))
    for job in jobs[-_JOBS_LOOKED_AT:]:
        source = f"{checkpoint_uri(job)}/{CHANNEL}"
        new = sorted(_names(store, source) - there)
        if new:
            store.copy_tree(((f"{source}/{name}", name) for name in new), f"{uri}/parts")
            there.update(new)
    return Channel(uri=f"{uri}/parts/") if there else None


def note(store: Store, uri: str, job_name: str) -> None:
    """Note that a job is submitted whose checkpoints will have features.

    Raises:
        StoreError: It cannot be noted.
    """
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "job"
        empty.touch()
        store.put_file(empty, f"{uri}/jobs/{job_name}")


def _names(store: Store, prefix: str) -> set[str]:
    return {item.uri[len(prefix) + 1 :] for item in store.objects(f"{prefix}/")}
