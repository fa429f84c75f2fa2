"""A session's verbs about training: tune and train, and the handles on both."""

from __future__ import annotations

from collections.abc import Mapping

from sagemaker_dogbreed import staging
from sagemaker_dogbreed.account_verbs import AccountVerbs
from sagemaker_dogbreed.aws.spending.costs import check_budget
from sagemaker_dogbreed.clients import Clients
from sagemaker_dogbreed.container.hparams import RATE_TEST, SUGGESTION
from sagemaker_dogbreed.data.versions.dataset import Dataset
from sagemaker_dogbreed.drafts import Drafts, data_channels
from sagemaker_dogbreed.errors import JobError, SpecError
from sagemaker_dogbreed.feature_channel import CHANNEL as FEATURES
from sagemaker_dogbreed.feature_channel import features_uri, note, offer
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.single_job_tuning import SingleJobTuning, Tuning, attach_tuning
from sagemaker_dogbreed.jobs.submission import submit, submit_tuning
from sagemaker_dogbreed.jobs.training_job import ModelArtifact, TrainingJob
from sagemaker_dogbreed.jobs.tuning_job import TuningJob
from sagemaker_dogbreed.packaging import OPTUNA
from sagemaker_dogbreed.readiness import check_resumption, check_training
from sagemaker_dogbreed.requests.channels import Channel
from sagemaker_dogbreed.requests.names import MAX_TUNING_NAME_LENGTH, unique_name
from sagemaker_dogbreed.requests.tuning_job import check_trials
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec
from sagemaker_dogbreed.store.interface import Store
from sagemaker_dogbreed.store.location import parse_s3_uri

_SHORT = 80


class TrainingVerbs(AccountVerbs):
    """What a session can have trained."""

    clients: Clients
    store: Store
    drafts: Drafts
    poller: Poller

    def tune(
        self,
        tuning: TuningSpec,
        training: TrainingSpec,
        dataset: Dataset,
        *,
        resume_from: str | None = None,
        max_cost: float | None = None,
    ) -> Tuning:
        """Submit a hyperparameter tuning job, or one job that runs all trials, and return its handle at once.

        Args:
            tuning: The search.
            training: What every trial has in common.
            dataset: What to train on.
            resume_from: Name of an earlier ``execution: single_job`` of the same search, training and data
                set whose trials are kept (there may be more of them); default: start from the beginning.
            max_cost: USD that the trials' instances may cost at most, all their time used up.

        Raises:
            BudgetError: It may cost more, or its price is not known.
            UnsupportedError: A spec asks for what is not carried out yet.
            SpecError: The trials of a tuning job cannot have what the training asks for.
            DogbreedError: As for ``train``.
        """
        expect(tuning, TuningSpec, "tune")
        expect(training, TrainingSpec, "tune")
        expect(dataset, Dataset, "tune")
        check_trials(tuning, training)
        self._check(training)
        if max_cost is not None:
            check_budget(self.costs(training=training, tuning=tuning)[:1], max_cost)
        in_one = tuning.execution == "single_job"
        if resume_from is not None and not in_one:
            raise SpecError("resume_from is for execution: single_job; warm_start learns from tuning jobs")
        name = unique_name(tuning.name or "dogbreed", longest=MAX_TUNING_NAME_LENGTH)
        channels = self._channels(training, dataset, name)
        requirements = [OPTUNA] if in_one else []
        request = self.drafts.tuning_job(
            tuning,
            training,
            name,
            channels=channels,
            source_archive_uri=self._source(training, *requirements),
            dataset_version=dataset.version,
            checkpoint_uri=None if resume_from is None else self._resumed(training, resume_from, tuning),
        )
        if not in_one:
            submit_tuning(self.clients.sagemaker, request, sleep=self.poller.sleep)
            return TuningJob(name, self.clients, self.poller)
        submit(self.clients.sagemaker, request, sleep=self.poller.sleep)
        return SingleJobTuning(name, self.clients, self.poller, self.store)

    def train(
        self,
        spec: TrainingSpec,
        dataset: Dataset,
        *,
        resume_from: str | None = None,
        max_cost: float | None = None,
    ) -> TrainingJob:
        """Submit a training job and return its handle at once.

        Args:
            spec: What to train.
            dataset: What to train on.
            resume_from: Name of an earlier job of the same spec and data set whose checkpoints are
                continued, after it was killed, say; default: start from the beginning.
            max_cost: USD that the job's instances may cost at most, all its time used up.

        Raises:
            BudgetError: It may cost more, or its price is not known.
            UnsupportedError: The spec asks for what is not carried out yet.
            SpecError: The weights file does not exist.
            DatasetError: Objects of the data set were replaced, removed or added since its upload.
            AccountError: Role or bucket cannot be had.
            ImageUriError: AWS has no image as the spec asks for.
            StoreError: Code or weights cannot be uploaded.
            JobError: There is nothing to resume from, it was of another spec, or SageMaker refused the
                request; with its reason.
        """
        expect(spec, TrainingSpec, "train")
        return self._train(spec, dataset, {}, resume_from=resume_from, max_cost=max_cost)

    def _train(
        self,
        spec: TrainingSpec,
        dataset: Dataset,
        more: Mapping[str, str],
        *,
        resume_from: str | None = None,
        max_cost: float | None = None,
    ) -> TrainingJob:
        """Submit a training job with more hyperparameters than the spec has."""
        expect(dataset, Dataset, "train")
        self._check(spec)
        if max_cost is not None:
            check_budget(self.costs(training=spec), max_cost)
        checkpoint_uri = None if resume_from is None else self._resumed(spec, resume_from)
        name = unique_name(spec.name or "dogbreed")
        channels = self._channels(spec, dataset, name)
        request = self.drafts.training_job(
            spec,
            name,
            channels=channels,
            source_archive_uri=self._source(spec),
            dataset_version=dataset.version,
            checkpoint_uri=checkpoint_uri,
        )
        request["HyperParameters"] |= more
        submit(self.clients.sagemaker, request, sleep=self.poller.sleep)
        return self.training_job(name)

    def suggest_learning_rate(
        self, spec: TrainingSpec, dataset: Dataset, *, max_cost: float | None = None
    ) -> float:
        """Find out which learning rate suits the head of a training, and return it.

        That is a range test: a training job of a few seconds, once the features of the images are there.
        Its features are kept for the trainings to come.

        Args:
            spec: The training, with ``finetune: head``.
            dataset: What to train on.
            max_cost: USD that the job may cost at most, all its time used up.

        Raises:
            SpecError: More than the head is to train.
            DogbreedError: As for ``train`` and its handle's ``wait``.
        """
        expect(spec, TrainingSpec, "suggest_learning_rate")
        if spec.finetune != "head" or spec.feature_cache == "off":
            raise SpecError("suggest_learning_rate needs finetune: head and feature_cache: on")
        job = self._train(spec, dataset, {RATE_TEST: "1"}, max_cost=max_cost).wait()
        for line in job.logs():
            text = line.rpartition("] ")[2]  # behind the host, where there are several
            if text.startswith(SUGGESTION):
                return float(text.removeprefix(SUGGESTION))
        raise JobError(f"training job {job.name!r} has not said which learning rate it suggests")

    def training_job(self, name: str) -> TrainingJob:
        """Return the handle of a training job that was submitted earlier, here or elsewhere."""
        return TrainingJob(name, self.clients, self.poller, self.store)

    def tuning_job(self, name: str) -> Tuning:
        """Return the handle of a search that was submitted earlier, here or elsewhere.

        Raises:
            JobError: There is none of this name, or SageMaker refuses to tell.
        """
        return attach_tuning(name, self.clients, self.poller, self.store)

    def _check(self, spec: TrainingSpec) -> None:
        check_training(spec, self.store, runs_aws_rules=self.place.runs_aws_rules)
        self.place.check_specs(training=spec)

    def _source(self, spec: TrainingSpec, *requirements: str) -> str:
        own_rules = spec.debugger.rule_file if spec.debugger else None
        return staging.upload_source(self.store, self.place.bucket, *requirements, own_rules=own_rules)

    def _resumed(self, spec: TrainingSpec, resume_from: str, tuning: TuningSpec | None = None) -> str:
        """Return where the checkpoints are that an earlier job left, or went on from itself.

        Raises:
            JobError: There are none, or they would not fit.
        """
        earlier = self.training_job(resume_from).describe()
        own = self.drafts.checkpoint_uri(resume_from)
        uri: str = (earlier.get("CheckpointConfig") or {}).get("S3Uri") or own
        check_resumption(spec, self.store, uri, resume_from, earlier.get("HyperParameters") or {}, tuning)
        return uri

    def _channels(self, spec: TrainingSpec, dataset: Dataset, job_name: str) -> Mapping[str, Channel]:
        """Return the channels of a job, with its weights, and features, where it can read them."""
        from sagemaker_dogbreed.data.versions.load import load_dataset

        bucket = parse_s3_uri(dataset.uri)[0]
        if bucket != self.place.bucket:
            self.place.check_bucket(bucket)
        load_dataset(self.store, dataset.manifest_uri)  # what was tampered with does not train
        channels = data_channels(dataset.uri, spec.input_source)
        weights = None
        if spec.weights_source is not None:
            weights = staging.upload_weights(self.store, self.place.bucket, spec.weights_source)
            channels["weights"] = Channel(uri=weights)
        uri = features_uri(dataset.uri, spec, weights)
        if uri is not None and not self.place.keeps_features:
            features = offer(self.store, uri, self.drafts.checkpoint_uri)
            if features is not None:
                channels[FEATURES] = features
            note(self.store, uri, job_name)
        return channels


def expect(value: object, kind: type, verb: str) -> None:
    """Raise SpecError unless what a verb was given is of a kind."""
    if not isinstance(value, kind):
        hint = " (a finished job has one: job.model)" if kind is ModelArtifact else ""
        text = repr(value)
        got = text if len(text) <= _SHORT else f"a {type(value).__name__}"
        raise SpecError(f"{verb} takes a {kind.__name__}{hint}, got {got}")
