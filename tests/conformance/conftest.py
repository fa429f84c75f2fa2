"""An AWS on this machine (moto's server), and the library's requests to it."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import attrs
import boto3
import pytest
import torch
from executor import Cloud, run
from moto.server import ThreadedMotoServer
from transfers import get_file

import sagemaker_dogbreed as sdb
from sagemaker_dogbreed import packaging
from sagemaker_dogbreed.container import artifact
from sagemaker_dogbreed.data.prepare import prepare
from sagemaker_dogbreed.requests.channels import Channel
from sagemaker_dogbreed.requests.endpoint import EndpointRequests, create_endpoint
from sagemaker_dogbreed.requests.tags import Origin
from sagemaker_dogbreed.requests.training_job import TrainingLocations, create_training_job

REGION = "eu-west-1"
BUCKET = "conformance"
ROLE = "arn:aws:iam::123456789012:role/dogbreed"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/pytorch:latest"

TINY = sdb.TrainingSpec(
    backbone="squeezenet1_1",
    weights="none",
    finetune="full",
    head="linear",
    image_size=32,
    epochs=2,
    batch_size=8,
    num_workers=0,
)


@attrs.frozen
class Requests:
    """The requests that the library sends for specs."""

    cloud: Cloud
    channels: dict[str, Channel]
    folder: Path

    def train(
        self, spec: sdb.TrainingSpec, name: str, *, resume_from: str | None = None, **channels: Channel
    ) -> dict[str, Any]:
        """Return the CreateTrainingJob request of a spec; what it points at is uploaded."""
        archive = packaging.source_archive(self.folder)
        self.cloud.s3.upload_file(str(archive), BUCKET, "code/sourcedir.tar.gz")
        channels = {**self.channels, **channels}
        if spec.weights_source is not None:
            self.cloud.s3.upload_file(spec.weights_source, BUCKET, "weights/weights.pth")
            channels["weights"] = Channel(uri=f"s3://{BUCKET}/weights/")
        locations = TrainingLocations(
            role=ROLE,
            image_uri=IMAGE,
            source_archive_uri=f"s3://{BUCKET}/code/sourcedir.tar.gz",
            channels=channels,
            output_uri=f"s3://{BUCKET}/jobs",
            checkpoint_uri=f"s3://{BUCKET}/jobs/{resume_from or name}/checkpoints",
        )
        origin = Origin(run=name, spec_hash="0" * 16, dataset_version="1")
        return create_training_job(spec, name, locations, origin)

    def deploy(self, spec: sdb.EndpointSpec, artifact_uri: str) -> EndpointRequests:
        """Return the requests of an endpoint."""
        return create_endpoint(
            spec, "dogs", role=ROLE, image_uri=IMAGE, model_data_uri=artifact_uri,
            origin=Origin(run="dogs", spec_hash="0" * 16),
        )  # fmt: skip


@pytest.fixture(scope="session")
def cloud():
    """S3 and SageMaker on a port of this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    credentials = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    s3 = boto3.client("s3", region_name=REGION, endpoint_url=endpoint, **credentials)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield Cloud(endpoint, REGION, s3)
    server.stop()


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A flat folder of two breeds."""
    folder = tmp_path_factory.mktemp("photos") / "dogs"
    return sdb.draw_cartoon_dogs(folder, images_per_breed=12, image_size=32, breeds=["pug", "husky"])


@pytest.fixture(scope="session")
def requests(cloud, photos, tmp_path_factory):
    """The library's requests, on an uploaded data set."""
    folder = tmp_path_factory.mktemp("upload")
    prepared = prepare(sdb.DatasetSpec(source=str(photos)), folder, progress=False)
    for file in prepared.files:
        cloud.s3.upload_file(str(file.path), BUCKET, f"data/{file.key}")
    channels = {name: Channel(uri=f"s3://{BUCKET}/data/{name}/") for name in ("train", "valid", "test")}
    return Requests(cloud, channels, folder)


@pytest.fixture
def base(tmp_path):
    """Stands for ``/opt/ml``."""
    return tmp_path / "opt-ml"


@pytest.fixture(scope="session")
def outcome(requests, cloud, tmp_path_factory):
    """The end of a training job."""
    return run(requests.train(TINY, "tiny"), tmp_path_factory.mktemp("job") / "opt-ml", cloud)


@pytest.fixture(scope="session")
def backbone_weights(tmp_path_factory):
    """A weights file, as torchvision's are, of a random backbone."""
    from torchvision.models import squeezenet1_1

    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "squeezenet1_1.pth"
    torch.save(squeezenet1_1().state_dict(), path)
    return path


@pytest.fixture
def load(cloud, tmp_path):
    """Download the model artifact of a job and load it."""

    def load(outcome):
        archive = get_file(cloud.s3, outcome.artifact_uri, tmp_path / "artifact" / "model.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(archive.parent, filter="data")
        return artifact.load(archive.parent)

    return load
