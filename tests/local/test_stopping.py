"""Training jobs that are stopped, run out of time, or lose their processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support import eventually, training_request, wait_for_job

from sagemaker_dogbreed.local import locks
from sagemaker_dogbreed.local.service import LocalSageMaker

HONOURS = """
    import os, pathlib, signal, sys, time
    def stop(*_):
        pathlib.Path(os.environ["SM_MODEL_DIR"], "half").write_text("trained")
        print("stopping", flush=True)
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    print("ready", flush=True)
    time.sleep(60)
"""
IGNORES = """
    import os, signal, socket, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    open(os.environ["SM_OUTPUT_DIR"] + "/port", "w").write(str(listener.getsockname()[1]))
    print("ready", flush=True)
    time.sleep(60)
"""


def _start(service: LocalSageMaker, client: Any, name: str, script: str, **changes: Any) -> Path:
    """Start a job, wait until its script is at work, and return the job's folder."""
    client.create_training_job(**training_request(service, name, script, **changes))
    logs = service.root / "logs" / "TrainingJobs" / name
    eventually(lambda: any("ready" in path.read_text() for path in logs.glob("*")))
    return service.root / "training-job" / name


def _kill(lock: Path) -> None:
    pid = locks.read_holder(lock)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def _lives(folder: Path) -> bool:
    """Return whether the script of IGNORES, or what it started, still holds its port."""
    with socket.socket() as visitor:
        port = int((folder / "opt" / "ml" / "output" / "port").read_text())
        return visitor.connect_ex(("127.0.0.1", port)) == 0


def test_stopping_a_script_that_honours_sigterm(service: LocalSageMaker, client: Any) -> None:
    """It gets the time to save, the job is Stopped, and what it saved is its artifact."""
    _start(service, client, "honours", HONOURS)
    client.stop_training_job(TrainingJobName="honours")
    assert client.describe_training_job(TrainingJobName="honours")["TrainingJobStatus"] in {
        "Stopping",
        "Stopped",
    }
    client.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName="honours", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    job = client.describe_training_job(TrainingJobName="honours")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert service.store.exists(job["ModelArtifacts"]["S3ModelArtifacts"])
    statuses = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]


def test_stopping_a_script_that_ignores_sigterm(service: LocalSageMaker, client: Any) -> None:
    """After the grace period it is killed, with everything it started; no model means no artifact."""
    folder = _start(service, client, "ignores", IGNORES)
    assert _lives(folder)
    client.stop_training_job(TrainingJobName="ignores")
    client.stop_training_job(TrainingJobName="ignores")
    job = wait_for_job(client, "ignores")
    assert job["TrainingJobStatus"] == "Stopped"
    assert "ModelArtifacts" not in job
    assert not _lives(folder)
    with pytest.raises(ClientError, match="job is in status Stopped"):
        client.stop_training_job(TrainingJobName="ignores")


def test_stopping_a_job_that_has_hardly_begun(service: LocalSageMaker, client: Any) -> None:
    """However early the stop comes, the job is Stopped and its script is not at work."""
    client.create_training_job(**training_request(service, "hasty", "import time; time.sleep(60)"))
    client.stop_training_job(TrainingJobName="hasty")
    assert wait_for_job(client, "hasty")["TrainingJobStatus"] == "Stopped"
    assert not locks.is_held(service.root / "training-job" / "hasty" / "program.lock")


def test_a_job_that_takes_too_long(service: LocalSageMaker, client: Any) -> None:
    """MaxRuntimeInSeconds ends it as a stop does, and the record says why."""
    _start(service, client, "slow", HONOURS, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = wait_for_job(client, "slow")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert service.store.exists(job["ModelArtifacts"]["S3ModelArtifacts"])


def test_a_killed_script_is_a_failed_job(service: LocalSageMaker, client: Any) -> None:
    """Who kills the script fails the job, with the signal in the reason."""
    folder = _start(service, client, "script-killed", HONOURS)
    _kill(folder / "program.lock")
    job = wait_for_job(client, "script-killed")
    assert job["TrainingJobStatus"] == "Failed"
    assert "killed by signal 9 (SIGKILL)" in job["FailureReason"]


@pytest.mark.parametrize("both", [False, True])
def test_a_job_whose_supervisor_is_killed(service: LocalSageMaker, client: Any, both: bool) -> None:
    """Whoever looks next sees it Failed with a reason, and nothing of it is left running."""
    name = f"supervisor-killed-{both}"
    folder = _start(service, client, name, IGNORES)
    _kill(folder / "supervisor.lock")
    if both:
        _kill(folder / "program.lock")
    job = wait_for_job(client, name)
    assert job["TrainingJobStatus"] == "Failed"
    assert "ended without reporting, e.g. it was killed or the machine restarted" in job["FailureReason"]
    assert job["TrainingEndTime"] >= job["TrainingStartTime"]
    assert not _lives(folder)
    with pytest.raises(ClientError, match="job is in status Failed"):
        client.stop_training_job(TrainingJobName=name)


def test_a_supervisor_that_is_told_to_end_takes_its_job_along(service: LocalSageMaker, client: Any) -> None:
    """SIGTERM to the supervisor, as at a shutdown, ends the script and is reported."""
    folder = _start(service, client, "shutdown", IGNORES)
    pid = locks.read_holder(folder / "supervisor.lock")
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    job = wait_for_job(client, "shutdown")
    assert "its process was told to end (SIGTERM)" in job["FailureReason"]
    assert not _lives(folder)


def test_another_session_and_another_process_see_and_control_the_job(
    service: LocalSageMaker, client: Any
) -> None:
    """A job started by a process that is gone is described and stopped from elsewhere."""
    request = training_request(service, "elsewhere", HONOURS)
    code = (
        "from sagemaker_dogbreed.local.service import LocalSageMaker\n"
        f"service = LocalSageMaker({str(service.root)!r}, grace_seconds=5)\n"
        "client = service.boto_session().client('sagemaker')\n"
        f"client.create_training_job(**{request!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    other = LocalSageMaker(service.root).boto_session().client("sagemaker")
    assert other.describe_training_job(TrainingJobName="elsewhere")["TrainingJobStatus"] == "InProgress"
    other.stop_training_job(TrainingJobName="elsewhere")
    assert wait_for_job(client, "elsewhere")["TrainingJobStatus"] == "Stopped"


def _create_elsewhere(root: Path, request: dict[str, Any]) -> str:
    return _create(LocalSageMaker(root).boto_session().client("sagemaker"), request)


def _create(client: Any, request: dict[str, Any]) -> str:
    try:
        arn: str = client.create_training_job(**request)["TrainingJobArn"]
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return arn


def test_of_many_creates_of_one_name_one_wins(service: LocalSageMaker, client: Any) -> None:
    """Threads and processes that take the same name at the same time get one job and ResourceInUse."""
    request = training_request(service, "wanted", "print(1)")
    spawn = multiprocessing.get_context("spawn")
    with ThreadPoolExecutor(4) as threads, spawn.Pool(1) as processes:
        asked = processes.starmap_async(_create_elsewhere, [(service.root, request)] * 2)
        answers = list(threads.map(lambda _: _create(client, request), range(8)))
        answers += asked.get(timeout=60)
    arn = "arn:aws:sagemaker:us-east-1:000000000000:training-job/wanted"
    assert sorted(answers) == sorted([arn, *["ResourceInUse"] * 9])
    assert wait_for_job(client, "wanted")["TrainingJobStatus"] == "Completed"
    assert not [path for path in (service.root / "training-job").iterdir() if path.name.startswith(".")]
