"""CreateTrainingJob requests of the library, carried out by AWS's training toolkit."""

from __future__ import annotations

import json

import attrs
import pytest
import torch
from conftest import BUCKET, TINY
from executor import Instance, run
from torchvision import models

import sagemaker_dogbreed as sdb
from sagemaker_dogbreed.container import metrics


def test_the_toolkit_runs_the_job_from_the_request_alone(outcome):
    """Code and data come from S3, the script from the code, and the job ends well."""
    assert outcome.exit_code == 0, outcome.log
    assert outcome.failure is None


def test_metrics_are_found_by_the_requests_own_expressions(outcome):
    """Each epoch's and the test's metrics are in the log as the request says they are."""
    counts = {name: len(values) for name, values in outcome.metrics.items()}
    assert counts == {name: 1 if name.startswith("Test") else TINY.epochs for name in metrics.NAMES}
    assert all(0 <= value <= 1 for name in metrics.NAMES if "Top" in name for value in outcome.metrics[name])


def test_the_model_artifact_is_complete(outcome, requests, load):
    """The archive holds weights, card and serving code, and its model loads."""
    loaded = load(outcome)
    assert loaded.class_names == ("husky", "pug")
    assert loaded.card["job_name"] == outcome.job_name
    assert loaded.card["dataset_version"] == requests.dataset.version
    assert loaded.card["metrics"]["test_loss"] == pytest.approx(outcome.metrics["Test Loss"][0], abs=1e-6)


def test_manifests_bring_the_files_that_they_list(requests, cloud, base, load):
    """Channels by manifest bring a job the same files as channels by prefix."""
    request = requests.train(attrs.evolve(TINY, input_source="manifest", epochs=1))
    sources = [channel["DataSource"]["S3DataSource"] for channel in request["InputDataConfig"]]
    assert {source["S3DataType"] for source in sources} == {"ManifestFile"}
    ended = run(request, base, cloud)
    assert ended.exit_code == 0, ended.log
    files = [path for path in (base / "input" / "data").rglob("*") if path.is_file()]
    assert len(files) == requests.dataset.image_count
    assert load(ended).class_names == ("husky", "pug")


def test_a_damaged_image_is_the_jobs_reason_to_fail(requests, cloud, base):
    """``output/failure`` has our sentence, with the file's name; the toolkit leaves it as it is."""
    request = requests.train(TINY)
    # Put there once the job is submitted: a data set that was tampered with before is refused.
    key = f"{requests.dataset.uri.removeprefix(f's3://{BUCKET}/')}/train/pug/broken.jpg"
    cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=b"\xff\xd8 no picture")
    try:
        ended = run(request, base, cloud)
    finally:
        cloud.s3.delete_object(Bucket=BUCKET, Key=key)
    assert ended.exit_code == 1
    assert ended.failure.startswith("DataError: ")
    assert "broken.jpg" in ended.failure
    assert ended.artifact_uri is None


def test_an_unusable_weights_file_is_the_jobs_reason_to_fail(requests, cloud, base, tmp_path):
    """A weights file that holds no weights is named, with the way out."""
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"no weights")
    ended = run(requests.train(attrs.evolve(TINY, weights=str(weights))), base, cloud)
    assert ended.exit_code == 1
    assert ended.failure.startswith("WeightsError: ")
    assert "torch.save" in ended.failure


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A training of a head on a small frozen backbone."""
    path = tmp_path_factory.mktemp("weights") / "backbone.pth"
    torch.manual_seed(2)
    torch.save(models.get_model("squeezenet1_1", weights=None).state_dict(), path)
    return attrs.evolve(TINY, finetune="head", weights=str(path))


def test_one_job_runs_a_whole_search(requests, cloud, base, head, load):
    """The search comes through the toolkit whole, with what it needs, and the best trial is the model."""
    search = sdb.TuningSpec(execution="single_job", max_jobs=3, strategy="Random", seed=1)
    ended = run(requests.tune(search, head), base, cloud)
    assert ended.exit_code == 0, ended.log
    told = [line for line in ended.log.splitlines() if line.startswith("Trial ")]
    assert len(told) == 3
    best = min(json.loads(line.removeprefix("Trial "))["value"] for line in told)
    assert load(ended).card["metrics"]["test_loss"] == best
    assert ended.metrics["Test Loss"][-1] == pytest.approx(best, abs=1e-6)


def test_features_reach_the_next_job(requests, cloud, base, head, tmp_path):
    """What one job computes of the images, the next one finds in its channel, on an instance of its own."""
    head = attrs.evolve(head, seed=5)
    first = run(requests.train(head), base, cloud)
    assert first.exit_code == 0, first.log
    assert first.log.count("Passing") == 3
    request = requests.train(attrs.evolve(head, learning_rate=0.01))
    assert "features" in [channel["ChannelName"] for channel in request["InputDataConfig"]]
    second = run(request, tmp_path / "second", cloud)
    assert second.exit_code == 0, second.log
    assert second.log.count("Passing") == 0


def test_a_job_goes_on_after_its_instance_is_gone(requests, cloud, base, tmp_path):
    """What a killed job left at its checkpoint location is where the next one begins."""
    endless = attrs.evolve(TINY, epochs=10_000, patience=0)
    request = requests.train(endless)
    lost = Instance(request, base, cloud)
    for line in lost.lines():
        if "Epoch 2/10000 - took" in line:
            break
    else:
        pytest.fail(f"no second epoch: {lost.failure}")
    lost.reclaim()
    done = max(int(path.name.split("-")[1]) for path in (base / "checkpoints").glob("checkpoint-*.pt"))

    more = attrs.evolve(endless, epochs=done + 1)
    ended = run(requests.train(more, resume_from=request["TrainingJobName"]), tmp_path / "again", cloud)
    assert ended.exit_code == 0, ended.log
    assert f"Resuming after epoch {done}" in ended.log
    assert len(ended.metrics["Train Loss"]) == 1
