"""The whole flow on the local SageMaker, as a user's program runs it."""

from __future__ import annotations

import functools
import http.server
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import attrs
import pytest
import torch
from PIL import Image

import sagemaker_dogbreed as sdb
from sagemaker_dogbreed.cli import main

TINY = sdb.TrainingSpec(
    backbone="squeezenet1_1",
    weights="none",
    finetune="full",
    head="linear",
    image_size=32,
    epochs=1,
    batch_size=8,
    num_workers=0,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A flat folder of two breeds."""
    folder = tmp_path_factory.mktemp("photos") / "dogs"
    return sdb.draw_cartoon_dogs(folder, images_per_breed=12, image_size=32, breeds=["pug", "husky"])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The root of a local SageMaker that all tests of this module share."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def session(root):
    """A session on that root."""
    return sdb.Session.local(root)


@pytest.fixture(scope="module")
def dataset(session, photos):
    """The uploaded data set."""
    return session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)


@pytest.fixture(scope="module")
def job(session, dataset):
    """A finished training job."""
    return session.train(TINY, dataset).wait(timeout_seconds=240)


@pytest.fixture(scope="module")
def served(photos):
    """The photos over HTTP on this machine; gives ``host:port``."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(photos))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def predictor(session, job, served):
    """The predictor of an endpoint in service."""
    spec = sdb.EndpointSpec(name="dogs", top_k=2, allowed_url_hosts=[served])
    with session.deploy(spec, job.model) as predictor:
        yield predictor


def test_a_data_set_version_is_named_by_its_content(session, dataset, photos):
    """Uploading the same images again gives the same version, and the three channels."""
    again = session.upload(sdb.DatasetSpec(source=str(photos)), progress=False)
    assert again.version == dataset.version
    assert dataset.uri == f"s3://local/data/dogs/{dataset.version}"
    assert set(dataset.channels) == {"train", "valid", "test"}
    assert dataset.classes == ("husky", "pug")
    assert dataset.image_count == 24


def test_training_delivers_metrics_and_a_model(session, job, tmp_path):
    """The result holds every metric of the script and an artifact that can be downloaded."""
    result = job.result()
    assert result.status == "Completed"
    assert "Test Loss" in result.metrics
    assert "Valid Top-1" in result.metrics
    assert str(result).startswith(f"{job.name}: Completed; Train Loss")
    with tarfile.open(session.download(job.model, tmp_path / "model.tar.gz")) as archive:
        assert {"model.json", "model.pth", "code/inference.py"} <= set(archive.getnames())


def test_logs_can_be_read_after_the_end(job):
    """The handle gives the log of a job that has ended."""
    assert any("Test Loss" in line for line in job.logs())
    assert list(job.logs(follow=True)) == list(job.logs())


def test_another_process_attaches_by_name(job, root):
    """A program that knows the root and the job's name gets the same result."""
    program = (
        "import sys, sagemaker_dogbreed as sdb; "
        "print(sdb.Session.local(sys.argv[1]).training_job(sys.argv[2]).wait().model.uri)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(root), job.name], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == job.model.uri


def test_a_file_a_url_bytes_and_an_image_get_the_same_answer(predictor, photos, served):
    """However a picture is given, the endpoint says the same of it."""
    path = photos / "pug" / "pug_0001.jpg"
    with Image.open(path) as image:
        image.load()
        first = predictor.predict(path)
        others = predictor.predict(
            [
                str(path),
                f"http://{served}/pug/pug_0001.jpg",
                path.read_bytes(),
                bytearray(path.read_bytes()),
                image,
            ]
        )
    assert {each.class_name for each in first.classes} == {"husky", "pug"}
    assert sum(each.probability for each in first.classes) == pytest.approx(1, abs=1e-4)
    assert others == [first] * 5
    assert len(first.top(1).classes) == 1


def test_a_picture_the_endpoint_refuses_is_an_invocation_error(predictor, tmp_path):
    """The error carries the container's status and code and names the picture."""
    text = tmp_path / "notes.jpg"
    text.write_text("no picture")
    with pytest.raises(sdb.InvocationError) as caught:
        predictor.predict(text)
    assert caught.value.status == 422
    assert caught.value.code == "not_an_image"
    assert str(text) in str(caught.value)


def test_the_endpoint_does_not_fetch_from_private_addresses(predictor):
    """A URL of this machine that is not on the allow-list is refused."""
    with pytest.raises(sdb.InvocationError) as caught:
        predictor.predict("http://127.0.0.1:1/latest/meta-data?token=secret")
    assert caught.value.code == "url_blocked"
    assert "secret" not in str(caught.value)


def test_what_is_no_picture_never_reaches_the_endpoint(predictor):
    """One thing in a list that is no picture, and nothing is sent."""
    with pytest.raises(sdb.InvocationError, match=r"'missing\.jpg' cannot be read"):
        predictor.predict([Image.new("RGB", (8, 8)), "missing.jpg"])


def test_an_open_file_and_an_iterator_are_understood(predictor, photos):
    """An open file is one picture; an iterator is many."""
    path = photos / "pug" / "pug_0001.jpg"
    with path.open("rb") as file:
        assert predictor.predict(file) == predictor.predict(path)
    assert predictor.predict(iter([path])) == [predictor.predict(path)]


def test_an_endpoint_is_attached_by_name(session, predictor, photos):
    """A predictor made from the endpoint's name answers."""
    again = session.predictor("dogs")
    assert again.status == "InService"
    picture = photos / "pug" / "pug_0002.jpg"
    assert again.predict(picture) == predictor.predict(picture)


def test_an_endpoint_name_in_use_leaves_everything_as_it_was(session, predictor, job):
    """Deploying under a name that is taken fails, and the endpoint that has it goes on."""
    with pytest.raises(sdb.EndpointError, match="'dogs' was not created"):
        session.deploy(sdb.EndpointSpec(name="dogs"), job.model)
    assert predictor.status == "InService"
    assert session.clients.sagemaker.describe_model(ModelName="dogs")["ModelName"] == "dogs"


def test_a_deployment_that_fails_leaves_nothing(session):
    """A model that does not exist: the error says so, and endpoint, config and model are gone."""
    model = sdb.ModelArtifact(uri="s3://local/jobs/nowhere/model.tar.gz")
    with (
        pytest.raises(sdb.DogbreedError, match="nowhere"),
        session.deploy(sdb.EndpointSpec(name="gone"), model),
    ):
        pass
    sagemaker = session.clients.sagemaker
    assert "gone" not in [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]]
    assert "gone" not in [each["ModelName"] for each in sagemaker.list_models()["Models"]]
    configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert "gone" not in [each["EndpointConfigName"] for each in configs]


def test_a_failed_job_tells_why(session, dataset):
    """The error of a job that failed holds the script's own reason and the last log lines."""
    job = session.train(sdb.TrainingSpec(backbone="resnet5", weights="none", finetune="full"), dataset)
    with pytest.raises(sdb.JobFailedError) as caught:
        job.wait(timeout_seconds=240)
    assert "resnet5" in caught.value.reason
    assert "resnet50" in caught.value.reason
    assert caught.value.log_tail
    assert job.status == "Failed"


def test_a_killed_job_is_seen_as_failed(session, dataset):
    """A job whose processes are killed ends as Failed, with a reason."""
    job = session.train(TINY.with_hyperparameters({"epochs": 10_000}), dataset)
    lines = job.logs(follow=True)
    assert any("Train Loss" in line for line in lines)
    folder = next(iter(Path(session.store.root).rglob(f"*{job.name}*/opt")))
    killed = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(folder.parent) in _command_or_folder(entry)
    ]
    assert killed
    for process in killed:
        os.kill(process, signal.SIGKILL)
    with pytest.raises(sdb.JobFailedError) as caught:
        job.wait(timeout_seconds=60)
    assert "killed" in caught.value.reason


def _command_or_folder(entry):
    try:
        return (entry / "cmdline").read_bytes().decode("utf-8", "replace") + str((entry / "cwd").readlink())
    except OSError:
        return ""


def test_a_stopped_job_keeps_the_best_model_so_far(session, dataset):
    """Stopping sends SIGTERM; the script saves what it has, and the job is Stopped with a model."""
    job = session.train(TINY.with_hyperparameters({"epochs": 10_000, "patience": 0}), dataset)
    with pytest.raises(sdb.JobError, match="still InProgress"):
        job.result()
    assert any("Valid Loss" in line for line in job.logs(follow=True))
    result = job.stop().wait(timeout_seconds=120).result()
    assert result.status == "Stopped"
    assert session.store.exists(result.model.uri)
    assert job.stop().status == "Stopped"


def test_waiting_can_end_before_the_job(session, dataset):
    """A timeout leaves the job running and says so."""
    job = session.train(TINY, dataset)
    with pytest.raises(sdb.WaitTimeoutError, match="goes on"):
        job.wait(timeout_seconds=0)
    job.stop()


def test_names_that_do_not_exist_are_named(session):
    """Attaching to nothing says that there is nothing of this name."""
    with pytest.raises(sdb.JobError, match="there is no training job 'nope'"):
        session.training_job("nope").wait()
    with pytest.raises(sdb.JobError, match="there is no training job 'nope'"):
        list(session.training_job("nope").logs())
    with pytest.raises(sdb.EndpointError, match="there is no endpoint 'nope'"):
        session.predictor("nope").predict(b"x")
    session.predictor("nope").delete()


def test_going_on_from_a_job_that_does_not_exist_is_refused(session, dataset, job):
    """A wrong name never trains from the beginning in silence."""
    with pytest.raises(sdb.JobError, match="there is no training job 'nope'"):
        session.train(TINY, dataset, resume_from="nope")
    again = session.train(TINY.with_hyperparameters({"epochs": 2}), dataset, resume_from=job.name)
    assert any("Resuming after epoch 1" in line for line in again.wait(timeout_seconds=240).logs())


def test_what_a_verb_does_not_take_is_named(session, dataset, job):
    """A handle in place of a model, or a mapping in place of a spec, says what is wanted."""
    with pytest.raises(sdb.SpecError, match=r"takes a ModelArtifact \(a finished job has one: job\.model\)"):
        session.deploy(sdb.EndpointSpec(), job)
    with pytest.raises(sdb.SpecError, match="upload takes a DatasetSpec"):
        session.upload({"source": "photos"})


def test_rules_that_only_aws_evaluates_are_refused(session, dataset):
    """Rules of AWS's are not passed over in silence, whichever way the job is started."""
    spec = attrs.evolve(TINY, debugger=sdb.DebuggerSpec(rules=["Overfit"], backend="aws"))
    with pytest.raises(sdb.UnsupportedError, match=r"training\.debugger\.backend=native"):
        session.train(spec, dataset)


@pytest.mark.parametrize("name", ["../x", "a b", "", None, "under_score"])
def test_names_that_cannot_be_are_refused(session, name):
    """A name that SageMaker could not have given is an error of ours, at once."""
    with pytest.raises(sdb.JobError, match="is not the name of a training job"):
        session.training_job(name)
    with pytest.raises(sdb.EndpointError, match="is not the name of an endpoint"):
        session.predictor(name)


def test_a_job_that_runs_out_of_time_says_so(session, dataset):
    """The error names the limit, not somebody who stopped the job."""
    spec = attrs.evolve(TINY, compute=sdb.ComputeSpec(max_runtime_seconds=1))
    with pytest.raises(sdb.JobStoppedError, match="max_runtime_seconds"):
        session.train(spec, dataset).wait(timeout_seconds=120)


@pytest.mark.parametrize(
    ("weights", "error"), [("missing.pth", sdb.SpecError), ("s3://local/missing/", sdb.StoreError)]
)
def test_weights_that_do_not_exist_are_refused_before_the_job(session, dataset, weights, error):
    """A weights file or prefix that is not there never starts a job."""
    with pytest.raises(error, match="missing"):
        session.train(sdb.TrainingSpec(weights=weights), dataset)


def test_a_weights_file_reaches_the_job(session, dataset, job, tmp_path):
    """The backbone of an earlier model, as a file, is what a later job starts from."""
    with tarfile.open(session.download(job.model, tmp_path / "model.tar.gz")) as archive:
        state = torch.load(io.BytesIO(archive.extractfile("model.pth").read()), weights_only=True)
    backbone = {
        name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")
    }
    torch.save(backbone, tmp_path / "backbone.pth")
    spec = attrs.evolve(TINY, weights=str(tmp_path / "backbone.pth"), finetune="head")
    tuned = session.train(spec, dataset).wait(timeout_seconds=240)
    with tarfile.open(session.download(tuned.model, tmp_path / "tuned.tar.gz")) as archive:
        frozen = torch.load(io.BytesIO(archive.extractfile("model.pth").read()), weights_only=True)
    assert all(torch.equal(frozen[f"backbone.{name}"], value) for name, value in backbone.items())


CONFIG = """
dataset: {{source: {photos}}}
training:
  {{backbone: squeezenet1_1, weights: none, finetune: full, image_size: 32, epochs: 1, num_workers: 0}}
endpoint: {{name: from-file}}
"""


def test_the_command_line_runs_the_whole_flow(photos, tmp_path, capfd):
    """Running trains and serves what a file describes; predict asks the endpoint; delete takes it away."""
    config = tmp_path / "job.yaml"
    config.write_text(CONFIG.format(photos=photos))
    options = ["--root", str(tmp_path / "root")]
    assert main([*options, "run", str(config), "--set", "endpoint.top_k=1", "--logs"]) == 0
    output = capfd.readouterr().out
    assert "24 images, 2 classes" in output
    assert "Test Loss" in output
    assert "predict from-file" in output
    assert main([*options, "predict", "from-file", str(photos / "pug" / "pug_0001.jpg")]) == 0
    assert "%" in capfd.readouterr().out
    assert main([*options, "predict", "from-file", "missing.jpg"]) == 1
    assert "error: picture 'missing.jpg' cannot be read" in capfd.readouterr().err
    assert main([*options, "run", str(config)]) == 1
    assert "there is an endpoint of this name already" in capfd.readouterr().err
    assert main([*options, "delete", "from-file"]) == 0
    assert main([*options, "list"]) == 0
    listed = capfd.readouterr().out.splitlines()
    name = next(line.split()[-1] for line in listed if line.startswith("training job  Completed"))
    for _ in range(2):  # once deleted, the name is free again
        assert main([*options, "deploy", name, "--name", "by-hand"]) == 0
        assert main([*options, "delete", "by-hand"]) == 0
    assert main(["--root", str(tmp_path / "elsewhere"), "list"]) == 0
    assert "no jobs and no endpoints" in capfd.readouterr().out
    assert main([*options, "delete", "../x"]) == 1
    assert "is not the name of an endpoint" in capfd.readouterr().err
    assert main([*options, "delete", "nope"]) == 1
    assert "there is no endpoint 'nope'" in capfd.readouterr().err


def test_a_reader_that_leaves_early_is_no_error_of_ours(tmp_path):
    """Output into a closed pipe, or onto a full disk, ends without a stack trace."""
    command = [sys.executable, "-m", "sagemaker_dogbreed", "schema"]
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr


def test_a_plan_sends_nothing(photos, tmp_path, capsys):
    """Planning prints each request as JSON and leaves no file behind."""
    config = tmp_path / "job.yaml"
    config.write_text(CONFIG.format(photos=photos))
    root = tmp_path / "root"
    assert main(["--root", str(root), "plan", str(config), "--set", "training.weights=w.pth"]) == 0
    output = capsys.readouterr().out
    for operation in ("CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "CreateEndpoint"):
        assert operation in output
    assert "s3://local/data/dogs/<version>/train/" in output
    assert not root.exists()


def test_what_cannot_be_run_yet_is_refused_before_anything_starts(photos, tmp_path, capsys):
    """Rules of AWS's are not passed over in silence, before a search neither."""
    config = tmp_path / "job.yaml"
    config.write_text(CONFIG.format(photos=photos) + "tuning: {}\n")
    rules = ["--set", "training.debugger.backend=aws"]
    for command in ("run", "tune"):
        assert main(["--root", str(tmp_path / "root"), command, str(config), *rules]) == 1
        assert "--set training.debugger.backend=native" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()


def test_a_bad_file_or_data_set_is_reported_without_a_stack_trace(tmp_path, capsys):
    """The command line answers a user's mistake with one message and exit code 1."""
    config = tmp_path / "job.yaml"
    config.write_text("dataset: {source: nowhere, split: 3}\ntraning: {}")
    assert main(["run", str(config)]) == 1
    message = capsys.readouterr().err
    assert "did you mean 'training'?" in message
    config.write_text("dataset: {source: nowhere}")
    assert main(["--root", str(tmp_path / "root"), "run", str(config)]) == 1
    assert "nowhere" in capsys.readouterr().err
