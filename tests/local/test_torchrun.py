"""Training jobs of several processes under torchrun, and what a request may ask of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError
from PIL import Image
from support import end_processes, eventually, put, training_request, wait_for_job

from sagemaker_dogbreed import packaging
from sagemaker_dogbreed.local import entry_point, locks
from sagemaker_dogbreed.local.service import LocalSageMaker

TWO = {
    "sagemaker_torch_distributed_enabled": "true",
    "sagemaker_mpi_num_of_processes_per_host": "2",
}
SCRIPT = """
    import os, pathlib, signal, sys, time
    def stop(*_):
        print("stopped", os.environ["RANK"], flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    places = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR"]
    print(*(os.environ[name] for name in places), *sys.argv, flush=True)
    while "--wait" in sys.argv:
        time.sleep(0.05)
"""


def _log(service: LocalSageMaker, name: str) -> list[str]:
    paths = (service.root / "logs" / "TrainingJobs" / name).glob("*")
    return [json.loads(line)["message"] for path in paths for line in path.read_text().splitlines()]


def _wait(service: LocalSageMaker, client: Any, name: str) -> dict[str, Any]:
    """Return the description of an ended job; torchrun takes its time to load torch."""
    eventually(lambda: not locks.is_held(service.root / "training-job" / name / "supervisor.lock"), 120)
    return wait_for_job(client, name)


def _start(service: LocalSageMaker, client: Any, name: str, script: str) -> None:
    """Start a job of two processes that wait, and return once both are at work."""
    hyperparameters = {**TWO, "wait": "1"}
    client.create_training_job(**training_request(service, name, script, hyperparameters=hyperparameters))

    eventually(lambda: sum("train.py" in line for line in _log(service, name)) == 2, 120)


def test_a_script_in_two_processes(
    service: LocalSageMaker, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each gets its rank, the job's own address and the job's arguments; the caller's ranks stay out."""
    monkeypatch.setenv("WORLD_SIZE", "7")
    monkeypatch.setenv("MASTER_ADDR", "caller")
    hyperparameters = {**TWO, "lr": "0.1"}
    client.create_training_job(**training_request(service, "two", SCRIPT, hyperparameters=hyperparameters))
    job = _wait(service, client, "two")
    assert job["TrainingJobStatus"] == "Completed", job
    lines = [line for line in _log(service, "two") if "train.py" in line]
    expected = [f"{rank} 2 {rank} 2 127.0.0.1 train.py --lr 0.1" for rank in (0, 1)]
    assert sorted(lines) == expected


def test_stopping_reaches_every_process(service: LocalSageMaker, client: Any) -> None:
    """SIGTERM gets to each, and the job is Stopped."""
    _start(service, client, "stopped-two", SCRIPT)
    client.stop_training_job(TrainingJobName="stopped-two")
    assert _wait(service, client, "stopped-two")["TrainingJobStatus"] == "Stopped"
    assert {"stopped 0", "stopped 1"} <= set(_log(service, "stopped-two"))


def test_the_bundled_script_in_two_processes(tmp_path: Path) -> None:
    """It trains one model; stopped, both ranks end in time and the model so far is the artifact."""
    service = LocalSageMaker(tmp_path / "root", grace_seconds=60)
    client = service.boto_session().client("sagemaker")
    random = np.random.default_rng(0)
    channels = []
    for channel in ("train", "valid", "test"):
        uri = f"s3://bucket/noise/{channel}/"
        for name in ("a/0", "a/1", "b/0", "b/1", "b/2"):
            Image.fromarray(random.integers(0, 255, (36, 36, 3), dtype="uint8")).save(tmp_path / "0.png")
            put(service, f"{uri}{name}.png", (tmp_path / "0.png").read_bytes())
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
        channels.append({"ChannelName": channel, "DataSource": source})
    hyperparameters = {
        **TWO, "backbone": "squeezenet1_1", "weights": "none", "finetune": "full", "image_size": "32",
        "batch_size": "4", "patience": "0", "epochs": "10000", "num_workers": "0",
    }  # fmt: skip
    request = training_request(
        service,
        "bundled",
        hyperparameters=hyperparameters,
        InputDataConfig=channels,
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    code = packaging.source_archive(tmp_path).read_bytes()
    put(service, "s3://bucket/bundled/sourcedir.tar.gz", code)
    client.create_training_job(**request)
    try:
        eventually(lambda: any("Epoch 1/10000 - took" in line for line in _log(service, "bundled")), 240)
        client.stop_training_job(TrainingJobName="bundled")
        job = _wait(service, client, "bundled")
    finally:
        end_processes(service.root)
    log = _log(service, "bundled")
    assert job["TrainingJobStatus"] == "Stopped", log
    assert service.store.exists(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert sum("Training on cpu, 2 processes: 2 classes, images: 5 train" in line for line in log) == 1
    assert sum("Epoch 1/10000 - Valid Loss" in line for line in log) == 1


def test_without_torchrun_the_variables_are_not_there(service: LocalSageMaker, client: Any) -> None:
    """A job that does not ask for torchrun has one process and no rank, even where processes are counted."""
    count = {"sagemaker_mpi_num_of_processes_per_host": "2"}
    script = "import os; print('rank', os.environ.get('RANK'))"
    client.create_training_job(**training_request(service, "alone", script, hyperparameters=count))
    assert wait_for_job(client, "alone")["TrainingJobStatus"] == "Completed"
    assert _log(service, "alone") == ["rank None"]


@pytest.mark.parametrize("count", ["0", "65", "-1", "2.5", '"two"', "true", "[2]", "9" * 400, "\u0662"])
def test_a_number_of_processes_that_is_none_is_refused(
    service: LocalSageMaker, client: Any, count: str
) -> None:
    """The message names the hyperparameter and its range."""
    hyperparameters = {**TWO, "sagemaker_mpi_num_of_processes_per_host": count}
    with pytest.raises(ClientError, match="processes_per_host must be a whole number from 1 to 64"):
        client.create_training_job(**training_request(service, "bad", hyperparameters=hyperparameters))


def test_how_many_processes() -> None:
    """As many as asked; else one for each GPU; one where there are none."""
    count = entry_point.PROCESSES_PER_HOST
    assert entry_point.process_count({count: 3}) == entry_point.process_count({count: "3"}) == 3
    assert entry_point.process_count({}) == max(1, entry_point.gpu_count())
    enabled = entry_point.DISTRIBUTED
    for value, asked in ((True, True), ("True", True), ("true", True), (False, False), ("false", False)):
        assert entry_point.is_distributed({enabled: value}) is asked
    assert not entry_point.is_distributed({})


def test_more_instances_are_refused_with_a_way_out(service: LocalSageMaker, client: Any) -> None:
    """This machine is one instance; several processes on it are offered instead."""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    with pytest.raises(ClientError, match=r"InstanceCount must be 1\. Several processes .*enabled: true"):
        client.create_training_job(**training_request(service, "many", ResourceConfig=resources))
