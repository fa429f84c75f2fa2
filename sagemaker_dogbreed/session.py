"""Where the flow runs, and its verbs: upload, train, deploy."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

from sagemaker_dogbreed import packaging
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.data.dataset import Dataset
from sagemaker_dogbreed.errors import MissingExtraError, SpecError
from sagemaker_dogbreed.jobs.endpoint import start_endpoint
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.training_job import ModelArtifact, TrainingJob, submit
from sagemaker_dogbreed.predictor import Predictor
from sagemaker_dogbreed.preflight import check_checkpoints, check_endpoint_name, check_training
from sagemaker_dogbreed.requests.endpoint import EndpointRequests, create_endpoint
from sagemaker_dogbreed.requests.names import unique_name
from sagemaker_dogbreed.requests.training_job import TrainingLocations, create_training_job
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.store.interface import Store

HOME_VARIABLE = "SAGEMAKER_DOGBREED_HOME"
DEFAULT_HOME = ".sagemaker_dogbreed"
LOCAL_ROLE = "arn:aws:iam::000000000000:role/local"
LOCAL_IMAGE = "local/pytorch"


class Session:
    """The place where jobs and endpoints run; make one with ``Session.local()``."""

    def __init__(
        self,
        *,
        clients: Clients,
        store: Store,
        bucket: str,
        role: str,
        training_image: str,
        inference_image: str,
        cache_dir: Path,
        poller: Poller,
    ) -> None:
        self.clients = clients
        self.store = store
        self.bucket = bucket
        self.role = role
        self._training_image = training_image
        self._inference_image = inference_image
        self._cache_dir = cache_dir
        self._poller = poller

    def __repr__(self) -> str:
        return f"Session(store={self.store!r}, bucket={self.bucket!r})"

    @classmethod
    def local(cls, root: str | os.PathLike[str] | None = None) -> Session:
        """Return a session on this machine's own SageMaker: no account, no Docker, no cost.

        Jobs and endpoints are processes that outlive the caller; their state is files below ``root``
        (default: ``SAGEMAKER_DOGBREED_HOME``, else ``.sagemaker_dogbreed`` in the working directory), so
        that any process with the same root can attach to them.

        Raises:
            MissingExtraError: torch or another package of the ``local`` extra is not installed.
        """
        for package in ("torch", "torchvision", "uvicorn"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(package, "local", "training and serving on this machine")
        from sagemaker_dogbreed.local.service import LocalSageMaker
        from sagemaker_dogbreed.store.local import LocalStore

        home = Path(root or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().resolve()
        return cls(
            clients=Clients(LocalSageMaker(home).boto_session),
            store=LocalStore(home),
            bucket="local",
            role=LOCAL_ROLE,
            training_image=LOCAL_IMAGE,
            inference_image=LOCAL_IMAGE,
            cache_dir=home / "cache",
            poller=Poller(interval_seconds=0.5),
        )

    def upload(self, spec: DatasetSpec, *, progress: bool = True) -> Dataset:
        """Fetch, check and upload a data set.

        Raises:
            DownloadError: The source cannot be fetched.
            ArchiveError: The archive is damaged or unsafe.
            InspectionError: The images have problems of severity "error"; with the whole report.
            DatasetError: The folder holds no data set.
            StoreError: The bucket cannot be written.
        """
        from sagemaker_dogbreed.data.prepare import prepare
        from sagemaker_dogbreed.data.sync import sync

        _expect(spec, DatasetSpec, "upload")
        self.store.check_writable()
        prepared = prepare(spec, self._cache_dir, progress=progress)
        return sync(prepared, self.store, self.bucket, progress=progress)

    def train(self, spec: TrainingSpec, dataset: Dataset, *, resume_from: str | None = None) -> TrainingJob:
        """Submit a training job and return its handle at once.

        Args:
            spec: What to train.
            dataset: What to train on.
            resume_from: Name of an earlier job of the same spec and data set whose checkpoints are
                continued, after it was killed, say; default: start from the beginning.

        Raises:
            UnsupportedError: The spec asks for what is not carried out yet.
            SpecError: The weights file does not exist.
            StoreError: Code or weights cannot be uploaded.
            JobError: There is nothing to resume from, or SageMaker refused the request; with its reason.
        """
        _expect(spec, TrainingSpec, "train")
        _expect(dataset, Dataset, "train")
        check_training(spec, self.store)
        if resume_from is not None:
            self.training_job(resume_from).describe()
            check_checkpoints(self.store, self._checkpoint_uri(resume_from), resume_from)
        name = unique_name(spec.name or "dogbreed")
        channels = dict(dataset.channels)
        if spec.weights_source is not None:
            channels["weights"] = self._upload_weights(spec.weights_source)
        request = self.training_request(
            spec,
            name,
            channels=channels,
            source_archive_uri=self._upload_source(),
            dataset_version=dataset.version,
            resume_from=resume_from,
        )
        submit(self.clients.sagemaker, request)
        return self.training_job(name)

    def training_request(
        self,
        spec: TrainingSpec,
        job_name: str,
        *,
        channels: dict[str, str],
        source_archive_uri: str,
        dataset_version: str,
        resume_from: str | None = None,
    ) -> dict[str, Any]:
        """Return the CreateTrainingJob request this session sends for a spec."""
        locations = TrainingLocations(
            role=self.role,
            image_uri=spec.image_uri or self._training_image,
            source_archive_uri=source_archive_uri,
            channels=channels,
            output_uri=f"s3://{self.bucket}/jobs",
            checkpoint_uri=self._checkpoint_uri(resume_from or job_name),
            dataset_version=dataset_version,
        )
        return create_training_job(spec, job_name, locations)

    def training_job(self, name: str) -> TrainingJob:
        """Return the handle of a training job that was submitted earlier, here or elsewhere."""
        return TrainingJob(name, self.clients, self._poller)

    def deploy(self, spec: EndpointSpec, model: ModelArtifact) -> Predictor:
        """Create an endpoint for a model and return its predictor at once.

        Use it as a context manager to have the endpoint deleted at the end::

            with session.deploy(EndpointSpec(), job.model) as predictor:
                print(predictor.predict("dog.jpg"))

        Raises:
            EndpointError: The name is in use, or SageMaker refused a request; with its reason.
        """
        _expect(spec, EndpointSpec, "deploy")
        _expect(model, ModelArtifact, "deploy")
        name = spec.name or unique_name("dogbreed")
        check_endpoint_name(self.clients.sagemaker, name)
        start_endpoint(self.clients.sagemaker, self.endpoint_requests(spec, name, model))
        return self.predictor(name)

    def endpoint_requests(self, spec: EndpointSpec, name: str, model: ModelArtifact) -> EndpointRequests:
        """Return the requests this session sends to bring a model into service."""
        return create_endpoint(
            spec,
            name,
            role=self.role,
            image_uri=spec.image_uri or self._inference_image,
            model_data_uri=model.uri,
        )

    def predictor(self, endpoint_name: str) -> Predictor:
        """Return the predictor of an endpoint that was created earlier, here or elsewhere."""
        return Predictor(endpoint_name, self.clients, self._poller)

    def download(self, model: ModelArtifact, destination: str | os.PathLike[str]) -> Path:
        """Write a model's ``model.tar.gz`` to a file and return its path.

        Raises:
            StoreError: There is no such artifact, or the file cannot be written.
        """
        path = Path(destination)
        self.store.get_file(model.uri, path)
        return path

    def _checkpoint_uri(self, job_name: str) -> str:
        return f"s3://{self.bucket}/jobs/{job_name}/checkpoints"

    def _upload_source(self) -> str:
        """Upload the code of jobs; the same code ends at the same place."""
        with tempfile.TemporaryDirectory() as folder:
            archive = packaging.source_archive(Path(folder))
            uri = f"s3://{self.bucket}/code/{_digest(archive)}/sourcedir.tar.gz"
            self.store.put_file(archive, uri)
        return uri

    def _upload_weights(self, source: str) -> str:
        """Return the prefix of a weights file, uploading it if it lies on this machine."""
        if source.startswith("s3://"):
            return source
        path = Path(source).expanduser()
        prefix = f"s3://{self.bucket}/weights/{_digest(path)}"
        self.store.put_file(path, f"{prefix}/{path.name}")
        return prefix + "/"


def _expect(value: object, kind: type, verb: str) -> None:
    if not isinstance(value, kind):
        hint = " (a finished job has one: job.model)" if kind is ModelArtifact else ""
        raise SpecError(f"{verb} takes a {kind.__name__}{hint}, got {value!r}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
