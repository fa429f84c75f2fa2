"""One program, two places: what a user writes against this machine holds against AWS, word for word."""

from __future__ import annotations

import datetime as dt
import json
import tarfile
from pathlib import Path

import botocore.session
import botocore.validate
import pytest

import sagemaker_dogbreed as sdb
from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.requests import tags

pytestmark = pytest.mark.filterwarnings("ignore::sagemaker_dogbreed.ImagePatchWarning")

TINY = sdb.TrainingSpec(
    backbone="squeezenet1_1",
    weights="none",
    finetune="full",
    head="linear",
    image_size=32,
    epochs=1,
    batch_size=8,
    num_workers=0,
    tags={"team": "dogs"},
)

SEARCH = sdb.TuningSpec(
    ranges={
        "learning_rate": sdb.CategoricalRange(values=[0.01, 0.02]),
        "batch_size": sdb.CategoricalRange(values=[8]),
    },
    max_jobs=2,
    max_parallel_jobs=2,
    name="search",
    tags={"purpose": "learning"},
)


class Contract:
    """What holds wherever the flow runs; the subclasses say where."""

    @pytest.fixture
    def dataset(self, session, photos):
        """The uploaded data set; uploading it again sends nothing."""
        return session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)

    @pytest.fixture
    def job(self, session, dataset, memory):
        """A finished training job, the same one for all tests of a place."""
        if "job" not in memory:
            memory["job"] = session.train(TINY, dataset).name
        return session.training_job(memory["job"]).wait(timeout_seconds=240)

    @pytest.fixture
    def tuning(self, session, dataset, memory):
        """A finished tuning job, the same one for all tests of a place."""
        if "tuning" not in memory:
            memory["tuning"] = session.tune(SEARCH, TINY, dataset).name
        return session.tuning_job(memory["tuning"]).wait(timeout_seconds=300, progress=False)

    @pytest.fixture
    def predictor(self, session, job):
        """An endpoint in service."""
        spec = sdb.EndpointSpec(name="dogs", top_k=2, expires_hours=1)
        with session.deploy(spec, job.model) as predictor:
            yield predictor

    def test_a_data_set_is_a_version_in_the_bucket(self, session, dataset, photos):
        """The same images are the same version, with a channel for each split and a manifest for each."""
        again = session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)
        assert again.version == dataset.version
        assert dataset.uri == f"s3://{session.bucket}/data/dogs/{dataset.version}"
        assert set(dataset.channels) == {"train", "valid", "test"}
        for uri in [*dataset.channels.values(), f"{dataset.uri}/train.manifest"]:
            assert session.store.list(uri)
        loaded = session.dataset(dataset.uri)
        assert session.dataset(f"{dataset.uri}/manifest.json") == loaded
        assert (loaded.version, loaded.classes, loaded.channels) == (
            dataset.version,
            dataset.classes,
            dataset.channels,
        )

    def test_a_job_ends_with_a_model(self, session, job):
        """A finished job tells its result, and another handle of the same name tells the same."""
        result = job.result()
        assert result.status == "Completed"
        assert result.model.uri.startswith("s3://")
        assert session.training_job(job.name).result() == result
        assert job.status == "Completed"

    def test_a_search_ends_with_hyperparameters(self, session, tuning):
        """Each trial has its values and its objective; the best ones make a training, from any handle."""
        assert tuning.status == "Completed"
        results = tuning.results
        assert sorted(trial.hyperparameters["learning_rate"] for trial in results) == [0.01, 0.02]
        assert {trial.status for trial in results} == {"Completed"}
        best = session.tuning_job(tuning.name).best_hyperparameters
        assert best == results.best_hyperparameters
        training = TINY.with_hyperparameters(best)
        assert (training.batch_size, training.learning_rate) == (
            8,
            results.best.hyperparameters["learning_rate"],
        )
        assert results.best.value == min(trial.value for trial in results)
        assert tuning.best_training_job_name.startswith(f"{tuning.name}-00")
        assert str(results).splitlines()[1].startswith(results.best.name)
        card = tuning._repr_html_()
        assert tuning.name in card
        assert f"{results.best.value:.4g}" in card

    def test_a_search_carries_the_librarys_tags(self, session, tuning, dataset):
        """The tags tell project, run and data set version, and the user's own of training and search."""
        arn = tuning.describe()["HyperParameterTuningJobArn"]
        found = session.clients.sagemaker.list_tags(ResourceArn=arn)["Tags"]
        told = {tag["Key"]: tag["Value"] for tag in found}
        assert told[tags.PROJECT] == tags.PROJECT_VALUE
        assert (told[tags.RUN], told[tags.DATASET]) == (tuning.name, dataset.version)
        assert (told["team"], told["purpose"]) == ("dogs", "learning")

    def test_stopping_a_search_that_has_ended_changes_nothing(self, tuning):
        """A finished search stays finished, with its results."""
        assert tuning.stop().status == "Completed"
        assert len(tuning.results) == 2

    def test_what_a_search_cannot_have_is_refused(self, session, dataset):
        """Whatever would fail, or cost too much, is told before anything is sent."""
        debugger = sdb.TrainingSpec(debugger=sdb.DebuggerSpec(backend="aws"))
        with pytest.raises(sdb.SpecError, match=r"training\.debugger"):
            session.tune(SEARCH, debugger, dataset)
        with pytest.raises(sdb.SpecError, match="resume_from is for execution: single_job"):
            session.tune(SEARCH, TINY, dataset, resume_from="search")
        with pytest.raises(sdb.SpecError, match="tune takes a TuningSpec"):
            session.tune(TINY, TINY, dataset)
        with pytest.raises(sdb.JobError, match="there is no tuning job 'nope'"):
            session.tuning_job("nope").wait(progress=False)

    def test_a_model_can_be_downloaded(self, session, job, tmp_path):
        """The artifact comes as a file, or unpacked to a new folder; a missing one is named."""
        if not session.store.exists(job.model.uri):  # moto runs no job
            archive = tmp_path / "made.tar.gz"
            with tarfile.open(archive, "w:gz") as made:
                made.add(__file__, "model.json")
            session.store.put_file(archive, job.model.uri)
        packed = session.download(job.model, tmp_path / "model.tar.gz")
        with tarfile.open(packed) as archive:
            assert "model.json" in archive.getnames()
        folder = session.download(job.model, tmp_path / "model", extract=True)
        assert (folder / "model.json").is_file()
        with pytest.raises(sdb.ArchiveError, match="exists"):
            session.download(job.model, tmp_path / "model", extract=True)
        with pytest.raises(sdb.StoreError, match="nothing"):
            session.download(sdb.ModelArtifact(uri=f"s3://{session.bucket}/nothing"), tmp_path / "other")
        assert not (tmp_path / "other").exists()

    def test_a_job_carries_the_librarys_tags(self, session, job, dataset):
        """The tags tell project, run, data set version and the user's own."""
        found = session.clients.sagemaker.list_tags(ResourceArn=job.describe()["TrainingJobArn"])["Tags"]
        told = {tag["Key"]: tag["Value"] for tag in found}
        assert told[tags.PROJECT] == tags.PROJECT_VALUE
        assert told[tags.RUN] == job.name
        assert told[tags.DATASET] == dataset.version
        assert told["team"] == "dogs"

    def test_a_log_can_be_read(self, job):
        """The log of a job that has ended is there to be read, whole or followed."""
        assert list(job.logs()) == list(job.logs(follow=True))

    def test_stopping_what_has_ended_changes_nothing(self, job):
        """A finished job stays finished."""
        assert job.stop().status == "Completed"

    def test_what_is_not_there_is_named(self, session):
        """A wrong name is an error that names it."""
        with pytest.raises(sdb.JobError, match="there is no training job 'nope'"):
            session.training_job("nope").describe()
        with pytest.raises(sdb.EndpointError, match="there is no endpoint 'nope'"):
            session.predictor("nope").describe()

    def test_an_endpoint_answers_and_goes(self, session, predictor, photos):
        """An endpoint in service tells breeds and probabilities; deleted, nothing of it is left."""
        prediction = predictor.predict(photos / "pug" / "pug_0001.jpg")
        assert {each.class_name for each in prediction.classes} == {"pug", "husky"}
        assert sum(each.probability for each in prediction.classes) == pytest.approx(1, abs=1e-4)
        predictor.delete()
        assert session.resources() == []

    def test_a_name_in_use_is_refused(self, session, predictor, job):
        """A second endpoint of the same name is refused, and the first one stays as it is."""
        with pytest.raises(sdb.EndpointError, match="of this name already"):
            session.deploy(sdb.EndpointSpec(name="dogs"), job.model)
        assert predictor.status == "InService"

    def test_what_was_made_is_listed_and_swept(self, session, predictor):
        """Endpoint, config and model are listed with their expiry; a sweep shows first, and deletes then."""
        now = dt.datetime.now(dt.UTC)
        found = {resource.kind: resource for resource in session.resources()}
        assert set(found) == {"endpoint", "endpoint config", "model"}
        endpoint = found["endpoint"]
        assert endpoint.instance_type == "ml.m5.large"
        assert now < endpoint.expires <= now + dt.timedelta(hours=1)
        assert session.sweep(older_than=dt.timedelta(hours=1)).swept == ()
        shown = session.sweep(older_than=dt.timedelta(0))
        assert {resource.name for resource in shown.swept} == {"dogs"}
        assert predictor.status == "InService"
        session.sweep(older_than=dt.timedelta(0), dry_run=False)
        predictor.delete()  # waits until it is gone
        assert session.resources() == []

    def test_a_plan_shows_what_is_sent(self, session, photos):
        """Each planned request is one that SageMaker's model accepts, and nothing is made by planning."""
        spec = sdb.WorkflowSpec(
            dataset=sdb.DatasetSpec(source=str(photos)),
            tuning=SEARCH,
            training=TINY,
            endpoint=sdb.EndpointSpec(),
        )
        before = session.resources()
        plan = sdb.Workflow(spec).plan(session)
        service = botocore.session.get_session().get_service_model("sagemaker")
        for request in plan.requests:
            shape = service.operation_model(request.operation).input_shape
            report = botocore.validate.ParamValidator().validate(request.parameters, shape)
            assert report.generate_report() == ""
            assert json.loads(json.dumps(request.parameters)) == request.parameters
        assert [cost.what for cost in plan.costs] == ["tuning job", "training job", "endpoint"]
        assert plan.requests[1].parameters["HyperParameters"]["learning_rate"] == "<best learning_rate>"
        assert "in all" in str(plan)
        assert session.resources() == before

    def test_preflight_finds_the_data_set(self, session, photos):
        """The data set is found, or its absence told, before anything is spent."""
        good = session.preflight(dataset=sdb.DatasetSpec(source=str(photos)))
        assert good.ok
        bad = session.preflight(dataset=sdb.DatasetSpec(source="nowhere"))
        assert not bad.ok
        with pytest.raises(sdb.PreflightError, match="nowhere"):
            bad.raise_for_errors()

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            (TINY.with_hyperparameters({"backbone": "resnet51"}), "resnet50"),
            (sdb.TrainingSpec(weights="nope.pth"), "there is no file 'nope.pth'"),
            (sdb.TrainingSpec(debugger=sdb.DebuggerSpec(rule_file="no.py")), "there is no file 'no.py'"),
        ],
    )
    def test_preflight_finds_what_a_job_would_die_of(self, session, spec, words):
        """A misspelt backbone, missing weights or rules of one's own: told before it costs."""
        report = session.preflight(training=spec)
        assert words in "".join(check.message for check in report.errors)

    def test_what_was_tampered_with_does_not_train(self, session, dataset):
        """An object added to, or missing in, an uploaded version stops a job before it starts."""
        listed = session.store.list(f"{dataset.uri}/train/")
        uri = listed[0][0]
        stray = f"{dataset.uri}/train/pug/stray.jpg"
        session.store.put_file(Path(__file__), stray)
        with pytest.raises(sdb.DatasetError, match="stray"):
            session.train(TINY, dataset)
        session.store.delete(stray)
        session.store.delete(uri)
        with pytest.raises(sdb.DatasetError, match="missing or was replaced"):
            session.train(TINY, dataset)

    def test_resuming_another_spec_is_refused_at_once(self, session, job, dataset):
        """Checkpoints of another learning rate are refused before a job is paid for."""
        other = TINY.with_hyperparameters({"learning_rate": 0.5})
        with pytest.raises(sdb.JobError, match=r"learning_rate \(was 0\.001, is 0\.5\)"):
            session.train(other, dataset, resume_from=job.name)

    def test_wrong_arguments_are_told(self, session):
        """What is no spec, URI or duration is named with what is expected."""
        for wrong in (
            lambda: session.dataset(None),
            lambda: session.download("s3://a/b", "z"),
            lambda: session.sweep(older_than=3),
        ):
            with pytest.raises(sdb.SpecError):
                wrong()

    def test_the_whole_flow_is_one_call(self, session, photos, capsys):
        """A workflow uploads, tunes, trains with the best and deploys."""
        spec = sdb.WorkflowSpec(
            dataset=sdb.DatasetSpec(source=str(photos)),
            tuning=SEARCH,
            training=TINY,
            endpoint=sdb.EndpointSpec(),
        )
        result = sdb.Workflow(spec).run(session, progress=False)
        assert result.predictor.status == "InService"
        result.predictor.delete()
        trained = result.training_job.describe()["HyperParameters"]
        best = result.tuning.best_hyperparameters
        assert {name: trained[name] for name in best} == {name: str(value) for name, value in best.items()}
        assert result.tuning_job.best_hyperparameters == best
        said = capsys.readouterr().out
        assert "is in service" in said
        assert f"Best hyperparameters: learning_rate {best['learning_rate']}" in said.replace(
            "batch_size 8, ", ""
        )


@pytest.fixture(scope="class")
def memory():
    """What the tests of one place leave for each other: the name of the job."""
    return {}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder of the local SageMaker, and of caches."""
    return tmp_path_factory.mktemp("root")


class TestLocal(Contract):
    """This machine."""

    @pytest.fixture
    def session(self, root):
        """A session on this machine."""
        return sdb.Session.local(root / "local")


class TestAws(Contract):
    """AWS as moto plays it, over the wire."""

    @pytest.fixture
    def session(self, aws, root):
        """A session on AWS that does not pause between looks."""
        place = sdb.Session.aws(cache_dir=root / "aws").place
        session = sdb.Session(place, cache_dir=root / "aws", poller=Poller(sleep=lambda _: None))
        session.ensure_role()
        return session

    def test_debugger_needs_an_image_that_has_it(self, session, dataset):
        """On AWS's own images its hook would be missing, so that rules would cost and find nothing."""
        debugger = sdb.DebuggerSpec(rules=["Overfit"], backend="aws")
        with pytest.raises(sdb.UnsupportedError, match="needs smdebug in the image"):
            session.train(sdb.TrainingSpec(debugger=debugger), dataset)
        own = sdb.TrainingSpec(debugger=debugger, image_uri="mine:1")
        request = session.train(own, dataset).describe()
        assert request["TrainingJobStatus"] == "Completed"
        assert session.preflight(training=own).ok
