"""An AWS on this machine (moto's server), and the requests that the library's session sends to it."""

from __future__ import annotations

import json
import os
import tarfile
from typing import Any

import attrs
import boto3
import pytest
import torch
from executor import Cloud, Outcome, run
from moto.server import ThreadedMotoServer
from transfers import get_file

import sagemaker_dogbreed as sdb
from sagemaker_dogbreed.container import artifact

REGION = "eu-west-1"
BUCKET = "conformance"
ROLE = "arn:aws:iam::123456789012:role/dogbreed"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}

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


@pytest.fixture(scope="session", autouse=True)
def _no_ambient_settings():
    """Keep the caller's AWS account out, and let moto's server be AWS for this process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("AWS_", "SM_", "SAGEMAKER_")):
                patch.delenv(name)
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        yield
    server.stop()


@pytest.fixture(scope="session")
def cloud(_no_ambient_settings):
    """What instances see of AWS."""
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    environment = {**KEYS, "AWS_REGION": REGION, "S3_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
    return Cloud(REGION, s3, environment)


@attrs.frozen
class Requests:
    """The requests of a session, as they go over the wire."""

    session: sdb.Session
    dataset: sdb.Dataset
    _sent: dict[str, dict[str, Any]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        # moto answers, but does not keep every member of a request.
        self.session.clients.sagemaker.meta.events.register("before-send.sagemaker.*", self._note)

    def train(self, spec: sdb.TrainingSpec, **choices: Any) -> dict[str, Any]:
        """Submit a training job and return its CreateTrainingJob request."""
        self.session.train(spec, choices.pop("dataset", self.dataset), **choices)
        return self._sent["CreateTrainingJob"]

    def tune(self, search: sdb.TuningSpec, spec: sdb.TrainingSpec) -> dict[str, Any]:
        """Submit a search in one job and return its CreateTrainingJob request."""
        self.session.tune(search, spec, self.dataset)
        return self._sent["CreateTrainingJob"]

    def deploy(self, spec: sdb.EndpointSpec, outcome: Outcome) -> dict[str, Any]:
        """Deploy a job's model and return the CreateModel request."""
        self.session.deploy(spec, sdb.ModelArtifact(uri=outcome.artifact_uri))
        return self._sent["CreateModel"]

    def _note(self, request: Any, **_: Any) -> None:
        target = request.headers["X-Amz-Target"]
        operation = (target if isinstance(target, str) else target.decode()).rpartition(".")[2]
        self._sent[operation] = json.loads(request.body)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A flat folder of two breeds."""
    folder = tmp_path_factory.mktemp("photos") / "dogs"
    return sdb.draw_cartoon_dogs(folder, images_per_breed=12, image_size=32, breeds=["pug", "husky"])


@pytest.fixture(scope="session")
def requests(cloud, photos, tmp_path_factory):
    """A session on AWS with an uploaded data set."""
    session = sdb.Session.aws(
        role=ROLE, bucket=BUCKET, region=REGION, cache_dir=tmp_path_factory.mktemp("cache")
    )
    return Requests(session, session.upload(sdb.DatasetSpec(source=str(photos)), progress=False))


@pytest.fixture
def base(tmp_path):
    """Stands for ``/opt/ml``."""
    return tmp_path / "opt-ml"


@pytest.fixture(scope="session")
def outcome(requests, cloud, tmp_path_factory):
    """The end of a training job."""
    return run(requests.train(TINY), tmp_path_factory.mktemp("job") / "opt-ml", cloud)


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
        archive = get_file(cloud.s3, outcome.artifact_uri, tmp_path / outcome.job_name / "model.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(archive.parent, filter="data")
        return artifact.load(archive.parent)

    return load
