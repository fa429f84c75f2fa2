"""A search in one training job, and features from job to job, on this machine and on AWS."""

from __future__ import annotations

import json
import tarfile
import time

import attrs
import pytest
import torch
from torchvision import models

import sagemaker_dogbreed as sdb
from sagemaker_dogbreed.container.hparams import read_tuning
from sagemaker_dogbreed.jobs.polling import Poller

pytestmark = pytest.mark.filterwarnings("ignore::sagemaker_dogbreed.ImagePatchWarning")

SEARCH = sdb.TuningSpec(
    execution="single_job", max_jobs=3, strategy="Random", seed=2, tags={"purpose": "learning"}
)


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A training of a head on a small frozen backbone."""
    path = tmp_path_factory.mktemp("weights") / "backbone.pth"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        torch.save(models.get_model("shufflenet_v2_x0_5", weights=None).state_dict(), path)
    return sdb.TrainingSpec(
        backbone="shufflenet_v2_x0_5",
        weights=str(path),
        image_size=32,
        epochs=2,
        num_workers=0,
        tags={"team": "dogs"},
    )


def test_a_search_in_one_job_on_this_machine(tmp_path, photos, head):
    """Its handle tells trials, best values and model, from any session; another job keeps what ended."""
    session = sdb.Session.local(tmp_path)
    dataset = session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)
    search = session.tune(SEARCH, head, dataset)
    assert search.wait(timeout_seconds=240, progress=False).status == "Completed"
    results = search.results
    assert [trial.name for trial in results] == [f"{search.name}-{number:03}" for number in (1, 2, 3)]
    best = results.best
    assert best.value == min(trial.value for trial in results)
    again = sdb.Session.local(tmp_path).tuning_job(search.name)
    assert isinstance(again, sdb.SingleJobTuning)
    assert again.results == results
    assert again.best_hyperparameters == best.hyperparameters
    assert search.job.result().metrics["Test Loss"] == pytest.approx(best.value, abs=1e-6)
    folder = session.download(search.best_model, tmp_path / "model", extract=True)
    assert json.loads((folder / "model.json").read_text())["metrics"]["test_loss"] == best.value
    assert len(json.loads((folder / "study.json").read_text())["trials"]) == 3

    more = session.tune(SEARCH, head, dataset, resume_from=search.name).wait(240, progress=False)
    assert [trial.value for trial in more.results] == [trial.value for trial in results]
    assert not [line for line in more.job.logs() if line.startswith("Passing")]
    third = attrs.evolve(SEARCH, max_jobs=4)
    last = session.tune(third, head, dataset, resume_from=more.name).wait(240, progress=False)
    assert [trial.value for trial in last.results][:3] == [trial.value for trial in results]
    assert len(last.results) == 4
    for changed in (attrs.evolve(head, epochs=3), attrs.evolve(head, image_size=48)):
        with pytest.raises(sdb.JobError, match="of another spec"):
            session.tune(SEARCH, changed, dataset, resume_from=search.name)
    with pytest.raises(sdb.JobError, match="another search"):
        session.tune(sdb.TuningSpec(execution="single_job"), head, dataset, resume_from=search.name)

    job = session.train(head.with_hyperparameters(best.hyperparameters), dataset).wait(240)
    assert job.result().metrics["Test Loss"] == pytest.approx(best.value, abs=1e-6)
    with pytest.raises(sdb.JobError, match="there is no tuning job"):
        session.tuning_job(job.name)


def test_a_learning_rate_is_suggested(tmp_path, photos, head):
    """A range test on features says which learning rate suits the head; what has no features has no test."""
    session = sdb.Session.local(tmp_path)
    dataset = session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)
    suggested = session.suggest_learning_rate(head, dataset)
    assert 1e-5 < suggested < 1
    assert session.suggest_learning_rate(head, dataset) == suggested
    with pytest.raises(sdb.SpecError, match="needs finetune: head"):
        session.suggest_learning_rate(sdb.TrainingSpec(weights="none", finetune="full"), dataset)


def test_a_workflow_takes_the_model_of_its_search(tmp_path, photos, head):
    """After a search in one job no other training follows: plan and run say so."""
    spec = sdb.WorkflowSpec(dataset=sdb.DatasetSpec(source=str(photos)), tuning=SEARCH, training=head)
    workflow, session = sdb.Workflow(spec), sdb.Session.local(tmp_path)
    planned = workflow.plan(session).requests
    assert [request.operation for request in planned] == ["CreateTrainingJob"]
    assert read_tuning(planned[0].parameters["HyperParameters"]["tuning"])["Strategy"] == "Random"
    result = workflow.run(session, progress=False, report=lambda _: None)
    assert result.training.metrics["Test Loss"] == pytest.approx(result.tuning.best.value, abs=1e-6)
    assert result.training_job.name == result.tuning_job.name


@pytest.fixture
def session(aws, tmp_path):
    """A session on AWS that does not pause between looks."""
    place = sdb.Session.aws(cache_dir=tmp_path / "aws").place
    session = sdb.Session(place, cache_dir=tmp_path / "aws", poller=Poller(sleep=lambda _: None))
    session.ensure_role()
    return session


def tell(session, name: str, *lines: str) -> None:
    """Write lines to the log of a job."""
    group, stream = "/aws/sagemaker/TrainingJobs", f"{name}/algo-1-1700000000"
    logs = session.clients.logs
    found = {item["logGroupName"] for item in logs.describe_log_groups()["logGroups"]}
    if group not in found:
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now + number, "message": line} for number, line in enumerate(lines)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


@pytest.mark.filterwarnings("ignore:.*utcfromtimestamp:DeprecationWarning")
def test_a_search_in_one_job_on_aws(session, photos, head, tmp_path):
    """One training job is submitted, with the search and what it needs; trials are read from its log."""
    dataset = session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)
    search = session.tune(SEARCH, head, dataset)
    request = search.describe()
    values = request["HyperParameters"]
    assert read_tuning(values["tuning"])["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 3
    assert not {"learning_rate", "batch_size"} & set(values)
    session.store.get_file(values["sagemaker_submit_directory"], tmp_path / "code.tar.gz")
    with tarfile.open(tmp_path / "code.tar.gz") as archive:
        assert archive.extractfile("requirements.txt").read() == b"optuna>=4\n"
    trial = {
        "name": f"{search.name}-001",
        "status": "Completed",
        "hyperparameters": {"learning_rate": 0.01},
        "value": 0.5,
        "seconds": 3.5,
        "failure_reason": None,
        "metrics": {"Test Loss": 0.5},
    }
    later = {**trial, "name": f"{search.name}-002", "value": 0.25}
    lines = [json.dumps(trial), json.dumps(later), json.dumps(later), "{", "[]", '{"name": 1, "other": 2}']
    tell(session, search.name, "Hyperparameters: {}", *(f"Trial {line}" for line in lines))
    again = session.tuning_job(search.name)
    assert [each.value for each in again.results] == [0.5, 0.25]
    assert again.wait(progress=False).best_hyperparameters == {"learning_rate": 0.01}


def test_features_go_from_job_to_job_on_aws(session, photos, head):
    """What a job left among its checkpoints is the next job's channel, gathered beside the data set."""
    dataset = session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)
    first = session.train(head, dataset)
    names = [channel["ChannelName"] for channel in first.describe()["InputDataConfig"]]
    assert "features" not in names
    left = f"{session.drafts.checkpoint_uri(first.name)}/features/key/train/plain/part-00000-0a.npy"
    session.store.put_file(photos / "pug" / "pug_0001.jpg", left)
    second = session.tune(SEARCH, head, dataset).describe()
    (features,) = [item for item in second["InputDataConfig"] if item["ChannelName"] == "features"]
    uri = features["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri.startswith(f"{dataset.uri}/features/")
    assert session.store.list(uri)[0][0].endswith("/key/train/plain/part-00000-0a.npy")
    session.dataset(dataset.uri)
    full = session.train(
        sdb.TrainingSpec(backbone="shufflenet_v2_x0_5", weights="none", finetune="full"), dataset
    )
    assert "features" not in [item["ChannelName"] for item in full.describe()["InputDataConfig"]]
