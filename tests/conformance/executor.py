"""What SageMaker does with a CreateTrainingJob request, with AWS's own training toolkit on this machine.

A folder stands for ``/opt/ml``; in it the toolkit's ``train`` is started, as in AWS's PyTorch image. What
the toolkit finds there is made of the request and of nothing else.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transfers

HOST = "algo-1"
GROUP = "homogeneousCluster"


@dataclasses.dataclass(frozen=True)
class Cloud:
    """The AWS that an instance sees.

    ``environment`` has the variables by which AWS's container code finds S3 and credentials (on
    SageMaker, the role's).
    """

    region: str
    s3: Any
    environment: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a training job ended, as DescribeTrainingJob would tell it."""

    job_name: str
    exit_code: int
    log: str
    metrics: dict[str, list[float]]
    failure: str | None
    artifact_uri: str | None


class Instance:
    """One instance with one training container, from the start to the upload of its results."""

    def __init__(self, request: dict[str, Any], base: Path, cloud: Cloud) -> None:
        self.request, self.base, self._cloud = request, base, cloud
        self._log: list[str] = []
        for folder in ("input/config", "model", "output/data", "checkpoints"):
            (base / folder).mkdir(parents=True)
        for channel in request["InputDataConfig"]:
            source = channel["DataSource"]["S3DataSource"]
            transfers.get_channel(cloud.s3, source, base / "input" / "data" / channel["ChannelName"])
        transfers.get_tree(cloud.s3, self._checkpoint_uri, base / "checkpoints")
        for name, content in self._configuration().items():
            (base / "input" / "config" / f"{name}.json").write_text(json.dumps(content))
        self._process = self._start()

    @property
    def failure(self) -> str | None:
        """What ``output/failure`` says; the beginning of it becomes the job's FailureReason."""
        path = self.base / "output" / "failure"
        return path.read_text() if path.is_file() else None

    def lines(self) -> Iterator[str]:
        """Yield the container's output, line by line, as it comes."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._log.append(line)
            yield line

    def reclaim(self) -> None:
        """Take the instance away, as happens to spot instances; checkpoints are in S3 by then."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        transfers.put_tree(self._cloud.s3, self.base / "checkpoints", self._checkpoint_uri)

    def finish(self) -> Outcome:
        """Wait for the end, upload the results and return how it went."""
        with self._process:
            for _ in self.lines():
                pass
        exit_code = self._process.returncode
        transfers.put_tree(self._cloud.s3, self.base / "checkpoints", self._checkpoint_uri)
        log = "".join(self._log)
        return Outcome(
            job_name=self.request["TrainingJobName"],
            exit_code=exit_code,
            log=log,
            metrics=self._metrics(log),
            failure=self.failure,
            artifact_uri=self._upload_model(),
        )

    @property
    def _checkpoint_uri(self) -> str:
        return self.request["CheckpointConfig"]["S3Uri"].rstrip("/") + "/"

    def _configuration(self) -> dict[str, Any]:
        """Return the files of ``input/config`` by name.

        https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
        """
        resources = self.request["ResourceConfig"]
        assert resources["InstanceCount"] == 1, "one machine stands for one instance"
        instance_type = resources["InstanceType"]
        group = {"instance_group_name": GROUP, "instance_type": instance_type, "hosts": [HOST]}
        return {
            "hyperparameters": self.request["HyperParameters"],
            "inputdataconfig": {
                channel["ChannelName"]: {
                    "TrainingInputMode": channel["InputMode"],
                    "S3DistributionType": channel["DataSource"]["S3DataSource"]["S3DataDistributionType"],
                    "RecordWrapperType": channel.get("RecordWrapperType", "None"),
                }
                for channel in self.request["InputDataConfig"]
            },
            "resourceconfig": {
                "current_host": HOST,
                "current_instance_type": instance_type,
                "current_group_name": GROUP,
                "hosts": [HOST],
                "instance_groups": [group],
                "network_interface_name": "lo",
            },
        }

    def _environment(self) -> dict[str, str]:
        name = self.request["TrainingJobName"]
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
            "HOME": str(self.base),
            **self._cloud.environment,
            "TRAINING_JOB_NAME": name,
            "TRAINING_JOB_ARN": f"arn:aws:sagemaker:{self._cloud.region}:000000000000:training-job/{name}",
            # As AWS's PyTorch image sets them; the name of a host is known to no resolver here.
            "SAGEMAKER_BASE_DIR": str(self.base),
            "SAGEMAKER_TRAINING_MODULE": "sagemaker_pytorch_container.training:main",
            "SM_STUDIO_LOCAL_MODE": "True",
            # The toolkit runs pip for requirements.txt, into an environment that must stay as it is:
            # whatever would be downloaded fails the job.
            "PIP_NO_INDEX": "1",
            # torchrun's port; a fixed one may be in use.
            "PET_MASTER_PORT": str(free_port()),
            # Several processes share the cores.
            "OMP_NUM_THREADS": "1",
            **self.request["Environment"],
        }

    def _start(self) -> subprocess.Popen[str]:
        train = shutil.which("train", path=str(Path(sys.executable).parent))
        assert train is not None, "the console script of sagemaker-training is not installed"
        return subprocess.Popen(
            [train],
            cwd=self.base,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def _metrics(self, log: str) -> dict[str, list[float]]:
        return {
            definition["Name"]: [float(value) for value in re.findall(definition["Regex"], log)]
            for definition in self.request["AlgorithmSpecification"]["MetricDefinitions"]
        }

    def _upload_model(self) -> str | None:
        """Pack ``model/`` as SageMaker does, with its files at the archive's root."""
        if not any((self.base / "model").iterdir()):
            return None
        archive = self.base / "model.tar.gz"
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(self.base / "model", arcname=".")
        output = self.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        uri = f"{output}/{self.request['TrainingJobName']}/output/model.tar.gz"
        bucket, key = transfers.split(uri)
        self._cloud.s3.upload_file(str(archive), bucket, key)
        return uri


def run(request: dict[str, Any], base: Path, cloud: Cloud) -> Outcome:
    """Carry out a request from start to end."""
    return Instance(request, base, cloud).finish()


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
