"""CreateTrainingJob requests of the library, carried out by AWS's training toolkit."""

from __future__ import annotations

import json

import attrs
import pytest
from conftest import BUCKET, TINY
from executor import Instance, run

from sagemaker_dogbreed.container import metrics
from sagemaker_dogbreed.requests.channels import Channel


def test_the_toolkit_runs_the_job_from_the_request_alone(outcome):
    """Code and data come from S3, the script from the code, and the job ends well."""
    assert outcome.exit_code == 0, outcome.log
    assert outcome.failure is None


def test_metrics_are_found_by_the_requests_own_expressions(outcome):
    """Each epoch's and the test's metrics are in the log as the request says they are."""
    counts = {name: len(values) for name, values in outcome.metrics.items()}
    assert counts == {name: 1 if name.startswith("Test") else TINY.epochs for name in metrics.NAMES}
    assert all(0 <= value <= 1 for name in metrics.NAMES if "Top" in name for value in outcome.metrics[name])


def test_the_model_artifact_is_complete(outcome, load):
    """The archive holds weights, card and serving code, and its model loads."""
    loaded = load(outcome)
    assert loaded.class_names == ("husky", "pug")
    assert loaded.card["job_name"] == "tiny"
    assert loaded.card["metrics"]["test_loss"] == pytest.approx(outcome.metrics["Test Loss"][0], abs=1e-6)


def test_channels_hold_what_their_manifests_list_and_no_more(requests, cloud, base, load):
    """Channels by manifest bring the same files as by prefix; what was added later stays out."""
    manifests = {}
    for name, channel in requests.channels.items():
        prefix = channel.uri.split(BUCKET + "/", 1)[1]
        found = cloud.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
        listed = [{"prefix": channel.uri}, *(each["Key"].removeprefix(prefix) for each in found)]
        cloud.s3.put_object(Bucket=BUCKET, Key=f"manifests/{name}", Body=json.dumps(listed))
        manifests[name] = Channel(uri=f"s3://{BUCKET}/manifests/{name}", is_manifest=True)
    ended = run(
        requests.train(attrs.evolve(TINY, input_source="manifest"), "listed", **manifests), base, cloud
    )
    assert ended.exit_code == 0, ended.log
    assert load(ended).class_names == ("husky", "pug")


def test_a_damaged_image_is_the_jobs_reason_to_fail(requests, cloud, base):
    """``output/failure`` has our sentence, with the file's name; the toolkit leaves it as it is."""
    for found in cloud.s3.list_objects_v2(Bucket=BUCKET, Prefix="data/train/")["Contents"]:
        key = found["Key"].replace("data/", "damaged/", 1)
        cloud.s3.copy_object(Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": found["Key"]})
    cloud.s3.put_object(Bucket=BUCKET, Key="damaged/train/pug/broken.jpg", Body=b"\xff\xd8 no picture")
    request = requests.train(TINY, "damaged", train=Channel(uri=f"s3://{BUCKET}/damaged/train/"))
    ended = run(request, base, cloud)
    assert ended.exit_code == 1
    assert ended.failure.startswith("DataError: ")
    assert "broken.jpg" in ended.failure
    assert ended.artifact_uri is None


def test_an_unusable_weights_file_is_the_jobs_reason_to_fail(requests, cloud, base, tmp_path):
    """A weights file that holds no weights is named, with the way out."""
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"no weights")
    ended = run(requests.train(attrs.evolve(TINY, weights=str(weights)), "weights"), base, cloud)
    assert ended.exit_code == 1
    assert ended.failure.startswith("WeightsError: ")
    assert "torch.save" in ended.failure


def test_a_job_goes_on_after_its_instance_is_gone(requests, cloud, base, tmp_path):
    """What a killed job left at its checkpoint location is where the next one begins."""
    endless = attrs.evolve(TINY, epochs=10_000, patience=0)
    lost = Instance(requests.train(endless, "lost"), base, cloud)
    for line in lost.lines():
        if "Epoch 2/10000 - took" in line:
            break
    else:
        pytest.fail(f"no second epoch: {lost.failure}")
    lost.reclaim()
    done = max(int(path.name.split("-")[1]) for path in (base / "checkpoints").glob("checkpoint-*.pt"))

    request = requests.train(attrs.evolve(endless, epochs=done + 1), "resumed", resume_from="lost")
    ended = run(request, tmp_path / "again", cloud)
    assert ended.exit_code == 0, ended.log
    assert f"Resuming after epoch {done}" in ended.log
    assert len(ended.metrics["Train Loss"]) == 1
