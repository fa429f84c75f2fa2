"""The requests that a session sends for specs: what the specs leave open is filled in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from sagemaker_dogbreed.data.versions.dataset import channel_uris, manifest_uris
from sagemaker_dogbreed.places.place import Defaults
from sagemaker_dogbreed.requests.channels import Channel
from sagemaker_dogbreed.requests.debugger import wants_rules
from sagemaker_dogbreed.requests.endpoint import EndpointRequests, create_endpoint
from sagemaker_dogbreed.requests.tags import Origin, spec_hash
from sagemaker_dogbreed.requests.training_job import TrainingLocations, create_training_job
from sagemaker_dogbreed.requests.tuning_job import check_trials, create_single_job_tuning, create_tuning_job
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec


def data_channels(dataset_uri: str, input_source: str) -> dict[str, Channel]:
    """Return the channels of an uploaded data set: its prefixes, or the manifests that list its files.

    >>> data_channels("s3://b/data/dogs/0a", "manifest")["train"]
    Channel(uri='s3://b/data/dogs/0a/train.manifest', is_manifest=True)
    """
    by_manifest = input_source == "manifest"
    uris = manifest_uris(dataset_uri) if by_manifest else channel_uris(dataset_uri)
    return {name: Channel(uri=uri, is_manifest=by_manifest) for name, uri in uris.items()}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@attrs.frozen
class Drafts:
    """Makes requests from specs and defaults; ``clock`` tells the time from which expiry counts."""

    defaults: Defaults
    clock: Callable[[], dt.datetime] = _now

    def training_job(
        self,
        spec: TrainingSpec,
        job_name: str,
        *,
        channels: Mapping[str, Channel],
        source_archive_uri: str,
        dataset_version: str,
        checkpoint_uri: str | None = None,
    ) -> dict[str, Any]:
        """Return the CreateTrainingJob request of a spec.

        Args:
            spec: What to train.
            job_name: The job's name.
            channels: The job's data, and weights where they come from a file.
            source_archive_uri: ``s3://`` URI of the code.
            dataset_version: The version of the data set that the channels hold.
            checkpoint_uri: Where its checkpoints are, of the job that it goes on from; default: a prefix of
                its own.

        Raises:
            SpecError: The spec asks for a rule that AWS does not have.
            ImageUriError: AWS has no image as the spec asks for.
            AccountError: Role or bucket cannot be had.
        """
        locations = self._locations(
            spec, checkpoint_uri or self.checkpoint_uri(job_name), channels, source_archive_uri
        )
        ends = self.clock() + dt.timedelta(seconds=spec.compute.longest_wait_seconds)
        origin = Origin(
            run=job_name, spec_hash=spec_hash(spec), expires=ends, dataset_version=dataset_version
        )
        return create_training_job(spec, job_name, locations, origin)

    def tuning_job(
        self,
        tuning: TuningSpec,
        training: TrainingSpec,
        job_name: str,
        *,
        channels: Mapping[str, Channel],
        source_archive_uri: str,
        dataset_version: str,
        checkpoint_uri: str | None = None,
    ) -> dict[str, Any]:
        """Return the request of a search: CreateHyperParameterTuningJob, or CreateTrainingJob for one job.

        Arguments are those of a training.

        Raises:
            SpecError: The training asks for what the trials of a tuning job cannot have.
            ImageUriError: AWS has no image as the spec asks for.
            AccountError: Role or bucket cannot be had.
        """
        check_trials(tuning, training)
        locations = self._locations(
            training, checkpoint_uri or self.checkpoint_uri(job_name), channels, source_archive_uri
        )
        longest = training.compute.longest_wait_seconds * tuning.jobs_at_most
        ends = self.clock() + dt.timedelta(seconds=tuning.max_runtime_seconds or longest)
        mark = spec_hash(tuning)
        origin = Origin(run=job_name, spec_hash=mark, expires=ends, dataset_version=dataset_version)
        create = create_single_job_tuning if tuning.execution == "single_job" else create_tuning_job
        return create(tuning, training, job_name, locations, origin)

    def _locations(
        self,
        spec: TrainingSpec,
        checkpoint_uri: str,
        channels: Mapping[str, Channel],
        source_archive_uri: str,
    ) -> TrainingLocations:
        return TrainingLocations(
            role=self.defaults.role,
            image_uri=self.defaults.training_image(spec),
            source_archive_uri=source_archive_uri,
            channels=channels,
            output_uri=f"s3://{self.defaults.bucket}/jobs",
            checkpoint_uri=checkpoint_uri,
            rule_image_uri=self.defaults.rule_image() if wants_rules(spec) else None,
        )

    def checkpoint_uri(self, job_name: str) -> str:
        """Return the prefix of a job's checkpoints."""
        return f"s3://{self.defaults.bucket}/jobs/{job_name}/checkpoints"

    def endpoint(
        self, spec: EndpointSpec, name: str, *, model_uri: str, run: str | None = None
    ) -> EndpointRequests:
        """Return the requests that bring a model into service.

        Args:
            spec: The endpoint.
            name: The name of endpoint, config and model.
            model_uri: ``s3://`` URI of the model artifact.
            run: Name of the training job that made it, for the tags; default: the endpoint's name.

        Raises:
            ImageUriError: AWS has no image as the spec asks for.
            AccountError: The role cannot be had.
        """
        hours = spec.expires_hours
        expires = None if hours is None else self.clock() + dt.timedelta(hours=hours)
        return create_endpoint(
            spec,
            name,
            role=self.defaults.role,
            image_uri=self.defaults.inference_image(spec),
            model_data_uri=model_uri,
            origin=Origin(run=run or name, spec_hash=spec_hash(spec), expires=expires),
        )
