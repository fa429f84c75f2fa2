"""Features beside their data set: noted, gathered, offered."""

from __future__ import annotations

import attrs
import pytest

from sagemaker_dogbreed.feature_channel import features_uri, note, offer
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.store.local import LocalStore

DATASET = "s3://bucket/data/dogs/0a1b"


def checkpoints(job_name: str) -> str:
    """Return where a job's checkpoints are."""
    return f"s3://bucket/jobs/{job_name}/checkpoints"


@pytest.fixture
def store(tmp_path):
    """An S3 of its own."""
    return LocalStore(tmp_path / "s3")


def leave(store: LocalStore, tmp_path, job: str, *names: str) -> None:
    """Store features as a job leaves them among its checkpoints."""
    for name in names:
        file = tmp_path / f"{job}-{name.replace('/', '-')}"
        file.write_text(f"{job} {name}")
        store.put_file(file, f"{checkpoints(job)}/features/{name}")


def test_a_later_job_is_offered_what_an_earlier_one_left(store, tmp_path):
    """What noted jobs left is copied beside the data set, once, and offered from there."""
    uri = features_uri(DATASET, TrainingSpec(), None)
    assert uri is not None
    assert uri.startswith(f"{DATASET}/features/")
    assert offer(store, uri, checkpoints) is None
    note(store, uri, "dogbreed-1")
    assert offer(store, uri, checkpoints) is None
    leave(store, tmp_path, "dogbreed-1", "k/train/plain/part-00000-a.npy")
    channel = offer(store, uri, checkpoints)
    assert channel is not None
    assert channel.uri == f"{uri}/parts/"
    note(store, uri, "dogbreed-2")
    leave(store, tmp_path, "dogbreed-2", "k/train/plain/part-00000-a.npy", "k/valid/plain/part-00000-b.npy")
    assert offer(store, uri, checkpoints) == channel
    assert store.read(f"{channel.uri}k/train/plain/part-00000-a.npy", 100).startswith(b"dogbreed-1")
    assert store.read(f"{channel.uri}k/valid/plain/part-00000-b.npy", 100).startswith(b"dogbreed-2")
    store.delete("s3://bucket/jobs")
    assert offer(store, uri, checkpoints) == channel


@pytest.mark.parametrize("change", [{"finetune": "full"}, {"feature_cache": "off"}])
def test_what_has_no_features_is_offered_none(change):
    """Where the backbone trains, or features are not wanted, there is no place for them."""
    assert features_uri(DATASET, TrainingSpec(**change), None) is None


def test_features_of_different_trainings_lie_apart():
    """The place depends on what the features depend on, and on nothing else."""
    base = TrainingSpec()
    one = features_uri(DATASET, base, None)
    assert features_uri(DATASET, attrs.evolve(base, learning_rate=0.5, head="linear"), None) == one
    others = [
        features_uri(DATASET, attrs.evolve(base, backbone="resnet18"), None),
        features_uri(DATASET, attrs.evolve(base, views=3), None),
        features_uri(DATASET, attrs.evolve(base, precision="fp32"), None),
        features_uri(DATASET, base, "s3://bucket/weights/1/"),
        features_uri(DATASET + "c", base, None),
    ]
    assert len({one, *others}) == 6
