"""Training jobs of the local SageMaker: a real boto3 client, real processes."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError
from support import archive, eventually, put, training_request, wait_for_job

from sagemaker_dogbreed.local.service import LocalSageMaker


def _run(service: LocalSageMaker, client: Any, name: str, script: str, **changes: Any) -> dict[str, Any]:
    client.create_training_job(**training_request(service, name, script, **changes))
    return wait_for_job(client, name)


def _log(service: LocalSageMaker, name: str) -> list[str]:
    (path,) = (service.root / "logs" / "TrainingJobs" / name).iterdir()
    return [json.loads(line)["message"] for line in path.read_text().splitlines()]


def test_a_job_that_succeeds(service: LocalSageMaker, client: Any) -> None:
    """It is Completed, with the last value of each metric, its artifacts, its times and its steps."""
    script = """
        import os, pathlib, sys
        print("Loss: 0.5")
        print("Loss: 0.25", file=sys.stderr)
        print("Loss: nan, Top: 1")
        pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").mkdir()
        pathlib.Path(os.environ["SM_MODEL_DIR"], "weights", "w.bin").write_bytes(b"w")
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt").write_text("fine")
    """
    request = training_request(service, "success", script)
    definitions = [{"Name": "Loss", "Regex": "Loss: ([0-9.]+|nan)"}, {"Name": "Never", "Regex": "never (.*)"}]
    request["AlgorithmSpecification"]["MetricDefinitions"] = definitions
    arn = client.create_training_job(**request)["TrainingJobArn"]
    client.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName="success", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    job = client.describe_training_job(TrainingJobName="success")
    assert arn == job["TrainingJobArn"] == "arn:aws:sagemaker:us-east-1:000000000000:training-job/success"
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("Loss", 0.25)]
    steps = job["SecondaryStatusTransitions"]
    expected = ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [step["Status"] for step in steps] == expected
    assert all(step["StartTime"] <= step["EndTime"] for step in steps)
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["BillableTimeInSeconds"] >= 1
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifact == "s3://bucket/output/success/output/model.tar.gz"
    with tarfile.open(service.store.path(artifact)) as tar:
        assert tar.getnames() == ["weights/w.bin"]
    with tarfile.open(service.store.path("s3://bucket/output/success/output/output.tar.gz")) as tar:
        assert tar.getnames() == ["report.txt"]


def test_the_container_contract(
    service: LocalSageMaker, client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The script gets its arguments, variables, files and channels, and nothing of the caller's AWS."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "caller")
    monkeypatch.setenv("SM_MODEL_DIR", "caller")
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "caller")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    put(service, "s3://bucket/data/train/dog/1.jpg", b"1")
    put(service, "s3://bucket/data/one.bin", b"22")
    script = """
        import json, os, pathlib, sys
        base = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent
        json.dump({
            "argv": sys.argv, "cwd": os.getcwd(), "env": dict(os.environ), "base": str(base),
            "config": {path.stem: json.loads(path.read_text()) for path in (base / "input/config").iterdir()},
            "data": sorted(str(p.relative_to(base)) for p in (base / "input/data").rglob("*") if p.is_file()),
        }, open(base / "model" / "seen.json", "w"))
    """
    channels = [
        {"ChannelName": "train", "DataSource": _s3("s3://bucket/data/train")},
        {"ChannelName": "my-weights", "ContentType": "x/y", "DataSource": _s3("s3://bucket/data/one.bin")},
    ]
    job = _run(
        service, client, "contract", script, InputDataConfig=channels,
        hyperparameters={"lr": "0.1", "epochs": '"3"', "d": "null", "flag": "true", "name": "it's"},
        Environment={"MINE": "yes", "AWS_REGION": "eu-west-1"},
    )  # fmt: skip
    assert job["TrainingJobStatus"] == "Completed"
    with tarfile.open(service.store.path(job["ModelArtifacts"]["S3ModelArtifacts"])) as tar:
        file = tar.extractfile("seen.json")
        assert file is not None
        seen = json.load(file)
    base, env = seen["base"], seen["env"]
    arguments = ["-d", "", "--epochs", "3", "--flag", "True", "--lr", "0.1", "--name", "it's"]
    assert seen["argv"] == ["train.py", *arguments]
    assert seen["cwd"] == f"{base}/code"
    assert seen["data"] == ["input/data/my-weights/one.bin", "input/data/train/dog/1.jpg"]
    assert seen["config"]["hyperparameters"]["epochs"] == '"3"'
    assert seen["config"]["inputdataconfig"]["my-weights"]["ContentType"] == "x/y"
    assert seen["config"]["resourceconfig"]["hosts"] == ["algo-1"]
    expected = {
        "SM_CHANNEL_TRAIN": f"{base}/input/data/train",
        "SM_CHANNELS": '["my-weights","train"]',
        "SM_MODEL_DIR": f"{base}/model",
        "SM_OUTPUT_DIR": f"{base}/output",
        "SM_OUTPUT_DATA_DIR": f"{base}/output/data",
        "SM_HP_EPOCHS": "3",
        "SM_HP_FLAG": "true",
        "SM_HP_D": "",
        "SM_HPS": '{"d":null,"epochs":"3","flag":true,"lr":0.1,"name":"it\'s"}',
        "SM_USER_ARGS": json.dumps(arguments, separators=(",", ":")),
        "SM_CURRENT_HOST": "algo-1",
        "SM_NUM_GPUS": env["SM_NUM_GPUS"],
        "TRAINING_JOB_NAME": "contract",
        "TRAINING_JOB_ARN": job["TrainingJobArn"],
        "AWS_REGION": "eu-west-1",
        "MINE": "yes",
    }
    assert {name: env.get(name) for name in expected} == expected
    assert json.loads(env["SM_TRAINING_ENV"])["model_dir"] == f"{base}/model"
    assert not {"AWS_SECRET_ACCESS_KEY", "SAGEMAKER_PROGRAM", "PYTHONPATH"} & env.keys()


def _s3(uri: str) -> dict[str, Any]:
    return {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}


@pytest.mark.parametrize(
    ("name", "script", "reason"),
    [
        (
            "said-why",
            'import os; open(os.environ["SM_OUTPUT_DIR"] + "/failure", "w").write("x" * 2000); exit(1)',
            "x" * 1024,
        ),
        (
            "raised",
            'raise ValueError("no images")',
            "the training script ended with exit code 1; its last log line: ValueError: no images",
        ),
        (
            "killed",
            "import os; os.kill(os.getpid(), 9)",
            "the training script was killed by signal 9 (SIGKILL), which often means out of memory",
        ),
    ],
)
def test_a_script_that_fails(
    service: LocalSageMaker, client: Any, name: str, script: str, reason: str
) -> None:
    """The job is Failed for the reason the script gave, or else the one its end tells; no artifact."""
    job = _run(service, client, name, script)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == f"AlgorithmError: {reason}"
    assert "ModelArtifacts" not in job
    with pytest.raises(WaiterError):
        client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)


def test_code_that_cannot_run_fails_the_job(service: LocalSageMaker, client: Any, tmp_path: Path) -> None:
    """As on AWS the job is accepted, and Failed with what is wrong with its code."""
    cases = {
        "escape": (archive({"../escaped.py": "", "train.py": ""}), "leads out of the folder"),
        "damaged": (b"no archive", "neither a zip nor a tar file"),
        "no-script": (archive({"other.py": ""}), "there is no train.py"),
        "missing": (None, "there is no object s3://bucket/missing/sourcedir.tar.gz"),
    }
    for name, (data, _) in cases.items():
        request = training_request(service, name)
        service.store.delete(f"s3://bucket/{name}/sourcedir.tar.gz")
        if data is not None:
            put(service, f"s3://bucket/{name}/sourcedir.tar.gz", data)
        client.create_training_job(**request)
    for name, (_, reason) in cases.items():
        job = wait_for_job(client, name)
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("AlgorithmError: Framework Error: ")
        assert reason in job["FailureReason"]
    assert list(service.root.rglob("escaped.py")) == []


def test_a_program_outside_the_code_is_not_run(service: LocalSageMaker, client: Any) -> None:
    """sagemaker_program cannot lead out of the code folder."""
    job = _run(service, client, "outside", "", hyperparameters={"sagemaker_program": "../../../state.json"})
    assert job["FailureReason"].startswith("AlgorithmError: Framework Error: there is no ../../../state.json")


def test_what_cannot_be_uploaded_fails_the_job(service: LocalSageMaker, client: Any) -> None:
    """A job whose artifact or checkpoints have no place in S3 is Failed, and says which."""
    put(service, "s3://bucket/output/no-place", b"an object where a folder has to be")
    put(service, "s3://bucket/one-object", b"likewise")
    write = "import os; open(os.environ['SM_MODEL_DIR'] + '/../checkpoints/state', 'w').close()"
    no_place = _run(service, client, "no-place", "")
    taken = _run(service, client, "taken", write, CheckpointConfig={"S3Uri": "s3://bucket/one-object"})
    assert no_place["TrainingJobStatus"] == taken["TrainingJobStatus"] == "Failed"
    assert no_place["FailureReason"].startswith("ClientError: Artifact upload failed: cannot store")
    assert taken["FailureReason"].startswith("ClientError: Checkpoint upload failed: cannot store")


def test_checkpoints_come_back_and_are_kept(service: LocalSageMaker, client: Any) -> None:
    """A second job finds what the first one left, and each one's last state is stored."""
    script = """
        import os, pathlib
        path = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints" / "deep" / "state"
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write("x")
        print("length", len(path.read_text()))
        raise SystemExit(1)
    """
    config = {"S3Uri": "s3://bucket/checkpoints/run"}
    for name, length in (("first", 1), ("second", 2)):
        _run(service, client, name, script, CheckpointConfig=config)
        assert _log(service, name) == [f"length {length}"]
        assert service.store.list("s3://bucket/checkpoints/run/") == [
            ("s3://bucket/checkpoints/run/deep/state", length)
        ]


def test_checkpoints_are_stored_while_the_job_runs(service: LocalSageMaker, client: Any) -> None:
    """What a killed job had written before is not lost."""
    script = """
        import os, pathlib, time
        (pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints" / "state").write_text("1")
        time.sleep(60)
    """
    request = training_request(service, "live", script, CheckpointConfig={"S3Uri": "s3://bucket/live/"})
    client.create_training_job(**request)
    eventually(lambda: service.store.exists("s3://bucket/live/state"))
    client.stop_training_job(TrainingJobName="live")
    assert wait_for_job(client, "live")["TrainingJobStatus"] == "Stopped"


def test_a_metric_expression_without_end_does_not_stop_the_job(service: LocalSageMaker, client: Any) -> None:
    """An expression that backtracks for ever is given up; the other metrics are still read."""
    request = training_request(service, "slow-regex", 'print("a" * 60 + " Loss: 2")')
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "Slow", "Regex": "(a+)+$"},
        {"Name": "Loss", "Regex": "Loss: (.*)"},
    ]
    client.create_training_job(**request)
    job = wait_for_job(client, "slow-regex")
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("Loss", 2.0)]
    assert "'Slow' takes too long" in _log(service, "slow-regex")[-1]


def test_a_channel_is_the_jobs_own(service: LocalSageMaker, client: Any) -> None:
    """A job that deletes and replaces its input files leaves the stored objects as they were."""
    put(service, "s3://bucket/precious/a", b"a")
    put(service, "s3://bucket/precious/b", b"b")
    script = """
        import os, pathlib
        folder = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
        (folder / "a").unlink()
        (folder / "new").write_text("longer")
        (folder / "new").replace(folder / "b")
    """
    channels = [{"ChannelName": "train", "DataSource": _s3("s3://bucket/precious")}]
    job = _run(service, client, "careless", script, InputDataConfig=channels)
    assert job["TrainingJobStatus"] == "Completed"
    assert service.store.list("s3://bucket/precious") == [
        ("s3://bucket/precious/a", 1),
        ("s3://bucket/precious/b", 1),
    ]


def test_an_ended_job_can_be_deleted_and_its_name_used_again(service: LocalSageMaker, client: Any) -> None:
    """Deleting takes the job away and leaves its artifact."""
    artifact = _run(service, client, "again", "")["ModelArtifacts"]["S3ModelArtifacts"]
    client.delete_training_job(TrainingJobName="again")
    with pytest.raises(ClientError) as caught:
        client.describe_training_job(TrainingJobName="again")
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert 'Could not find training job "arn:' in str(caught.value)
    assert service.store.exists(artifact)
    assert _run(service, client, "again", "")["TrainingJobStatus"] == "Completed"
