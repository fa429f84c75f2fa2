"""Where the flow runs, and its verbs: upload, tune, train, deploy."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sagemaker_dogbreed.aws.spending.costs import check_budget
from sagemaker_dogbreed.data.versions.dataset import Dataset
from sagemaker_dogbreed.drafts import Drafts
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.jobs.endpoint import start_endpoint
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.training_job import ModelArtifact
from sagemaker_dogbreed.places.place import Place
from sagemaker_dogbreed.predictor import Predictor
from sagemaker_dogbreed.readiness import check_endpoint_name
from sagemaker_dogbreed.requests.names import unique_name
from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.store.location import parse_s3_uri
from sagemaker_dogbreed.training_verbs import TrainingVerbs, expect

HOME_VARIABLE = "SAGEMAKER_DOGBREED_HOME"
DEFAULT_HOME = ".sagemaker_dogbreed"


class Session(TrainingVerbs):
    """The place where jobs and endpoints run; make one with ``Session.local()`` or ``Session.aws()``."""

    def __init__(self, place: Place, *, cache_dir: Path, poller: Poller | None = None) -> None:
        self.place = place
        self.clients, self.store = place.clients, place.store
        self.drafts = Drafts(place)
        self._cache_dir = cache_dir
        self.poller = poller or place.poller

    def __repr__(self) -> str:
        return f"{type(self).__name__}(store={self.store!r})"

    @property
    def bucket(self) -> str:
        """The bucket for everything, unless a spec names another; on AWS it is made if need be."""
        return self.place.bucket

    @staticmethod
    def local(root: str | os.PathLike[str] | None = None) -> Session:
        """Return a session on this machine's own SageMaker: no account, no Docker, no cost.

        Jobs and endpoints are processes that outlive the caller; their state is files below ``root``
        (default: ``SAGEMAKER_DOGBREED_HOME``, else ``.sagemaker_dogbreed`` in the working directory), so
        that any process with the same root can attach to them.

        Raises:
            MissingExtraError: torch or another package of the ``local`` extra is not installed.
        """
        from sagemaker_dogbreed.places.local import LocalPlace

        home = _home(root)
        return Session(LocalPlace.at(home), cache_dir=home / "cache")

    @staticmethod
    def aws(
        *,
        role: str | None = None,
        bucket: str | None = None,
        bucket_owner: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> Session:
        """Return a session on Amazon SageMaker. Nothing is asked of AWS until it is needed.

        Args:
            role: ARN or name of the execution role of jobs and endpoints; default: ``AWS_ROLE_ARN``, or
                the role of the SageMaker notebook this runs in; ``ensure_role()`` makes one.
            bucket: S3 bucket for data, code and models; default: ``sagemaker-dogbreed-<region>-<account>``,
                which is made when first needed: encrypted, closed to the public.
            bucket_owner: Account that owns the bucket, 12 digits, where it is another; a bucket in any
                other hands is refused.
            region: AWS region; default: as boto3 finds it (``AWS_DEFAULT_REGION``, the profile).
            profile: Profile of the AWS configuration; default: as boto3 finds credentials.
            cache_dir: Where downloads and indexes are kept; default: ``SAGEMAKER_DOGBREED_HOME``, else
                ``.sagemaker_dogbreed`` in the working directory.

        Raises:
            StoreError: The bucket's name is none.
            SpecError: ``bucket_owner`` is no account.
            AccountError: There is no such profile.
        """
        if bucket is not None:
            parse_s3_uri(f"s3://{bucket}/")
        if bucket_owner is not None and not re.fullmatch(r"\d{12}", bucket_owner):
            raise SpecError(f"bucket_owner must be an account's 12 digits, got {bucket_owner!r}")
        from sagemaker_dogbreed.aws.connection import connect
        from sagemaker_dogbreed.places.aws import AwsPlace

        clients = connect(region=region, profile=profile)
        place = AwsPlace(clients, role=role, bucket=bucket, bucket_owner=bucket_owner)
        return Session(place, cache_dir=_home(cache_dir) / "cache")

    def upload(self, spec: DatasetSpec, *, progress: bool = True) -> Dataset:
        """Fetch, check and upload a data set.

        Raises:
            DownloadError: The source cannot be fetched.
            ArchiveError: The archive is damaged or unsafe.
            InspectionError: The images have problems of severity "error"; with the whole report.
            DatasetError: The folder holds no data set.
            AccountError: The bucket cannot be had, or is somebody else's.
            StoreError: The bucket cannot be written.
        """
        from sagemaker_dogbreed.data.prepare import prepare
        from sagemaker_dogbreed.data.versions.sync import sync

        expect(spec, DatasetSpec, "upload")
        self.store.check_writable()
        if spec.bucket is not None:
            self.place.check_bucket(spec.bucket)
        prepared = prepare(spec, self._cache_dir, progress=progress)
        return sync(prepared, self.store, self.bucket, cache_dir=self._cache_dir, progress=progress)

    def dataset(self, uri: str) -> Dataset:
        """Return a data set that was uploaded earlier, here or elsewhere, by its URI or its manifest's.

        All of it must still be there, unchanged, and nothing beside it.

        Raises:
            DatasetError: Something is missing, was replaced, or does not belong to it.
            StoreError: There is no such manifest, or it cannot be read.
        """
        from sagemaker_dogbreed.data.versions.load import load_dataset

        expect(uri, str, "dataset")
        return load_dataset(self.store, uri)

    def deploy(self, spec: EndpointSpec, model: ModelArtifact, *, max_cost: float | None = None) -> Predictor:
        """Create an endpoint for a model and return its predictor at once.

        Use it as a context manager to have the endpoint deleted at the end::

            with session.deploy(EndpointSpec(), job.model) as predictor:
                print(predictor.predict("dog.jpg"))

        Args:
            spec: The endpoint.
            model: What answers.
            max_cost: USD that the endpoint may cost until it expires.

        Raises:
            BudgetError: It may cost more, does not expire, or its price is not known.
            AccountError: The role cannot be had.
            ImageUriError: AWS has no image as the spec asks for.
            EndpointError: The name is in use, or SageMaker refused a request; with its reason.
        """
        expect(spec, EndpointSpec, "deploy")
        expect(model, ModelArtifact, "deploy")
        self.place.check_specs(endpoint=spec)
        if max_cost is not None:
            check_budget(self.costs(endpoint=spec), max_cost)
        name = spec.name or unique_name("dogbreed")
        check_endpoint_name(self.clients.sagemaker, name)
        requests = self.drafts.endpoint(spec, name, model_uri=model.uri, run=model.job_name)
        start_endpoint(self.clients.sagemaker, requests, poller=self.poller)
        return self.predictor(name)

    def predictor(self, endpoint_name: str) -> Predictor:
        """Return the predictor of an endpoint that was created earlier, here or elsewhere."""
        return Predictor(endpoint_name, self.clients, self.poller)

    def download(
        self, model: ModelArtifact, destination: str | os.PathLike[str], *, extract: bool = False
    ) -> Path:
        """Write a model's ``model.tar.gz`` to a file, or its content to a new folder; return the path.

        Args:
            model: The model artifact.
            destination: Name of the file; with ``extract`` of a folder that is not there yet.
            extract: Unpack it: weights, ``model.json`` and code.

        Raises:
            StoreError: There is no such artifact, or the file cannot be written.
            ArchiveError: The archive is damaged or unsafe, or the folder exists; nothing is left of it.
        """
        expect(model, ModelArtifact, "download")
        path = Path(destination)
        if not extract:
            self.store.get_file(model.uri, path)
            return path
        from sagemaker_dogbreed.data.job_archive import get_unpacked

        return get_unpacked(self.store, model.uri, path)


def _home(given: str | os.PathLike[str] | None) -> Path:
    return Path(given or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().resolve()
