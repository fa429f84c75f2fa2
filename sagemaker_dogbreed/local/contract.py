"""What a training container finds when it starts: folders, configuration files, variables, arguments.

As AWS's training toolkit sets them, beneath a base folder that stands for ``/opt/ml``:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from sagemaker_dogbreed.local.entry_point import gpu_count
from sagemaker_dogbreed.local.records import REGION, write_json

_HOST = "algo-1"
_NETWORK_INTERFACE = "lo"
_GROUP = "homogeneousCluster"
_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_", "TORCHELASTIC_")
_KEPT_OUT = ("AWS_", "SM_", "SAGEMAKER_", "PYTHONPATH", "PYTHONSAFEPATH", "TRAINING_JOB_", *_TORCHRUN)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what belongs to its own AWS, Python and torchrun set-up.

    Jobs and endpoints share the machine's cores with each other and with the caller. Where cores are
    short, threads of torch that spin while they wait take twice as long as ones that soon sleep; where
    they are not, this short spin costs nothing. A value that the caller has set is kept.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_OUT)}
    return {"GOMP_SPINCOUNT": "20000", **kept, "PYTHONUNBUFFERED": "1"}


def decode_hyperparameters(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Return hyperparameters as values: the SageMaker SDK sends them as JSON, others as they are.

    >>> decode_hyperparameters({"sagemaker_program": '"train.py"', "epochs": "3", "head": "mlp"})
    {'sagemaker_program': 'train.py', 'epochs': 3, 'head': 'mlp'}
    """

    def decode(text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    return {name: decode(text) for name, text in hyperparameters.items()}


def script_hyperparameters(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that reach the script, without the toolkit's own."""
    own = ("sagemaker_", "_tuning_objective_metric")
    return {name: value for name, value in hyperparameters.items() if not name.startswith(own)}


def arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Return ``--name value`` arguments in the order of the names, one-letter names with one dash.

    >>> arguments({"lr": 0.1, "d": None, "layers": {"b": 2, "a": 1}})
    ['-d', '', '--layers', 'a=1,b=2', '--lr', '0.1']
    """
    result = []
    for name, value in sorted(hyperparameters.items()):
        if isinstance(value, dict):
            text = ",".join(f"{key}={item}" for key, item in sorted(value.items()))
        else:
            text = "" if value is None else str(value)
        result += [f"--{name}" if len(name) > 1 else f"-{name}", text]
    return result


@attrs.frozen
class Container:
    """The folders of one training container.

    Attributes:
        base: Stands for ``/opt/ml``.
        description: The job, as DescribeTrainingJob answers.
    """

    base: Path
    description: Mapping[str, Any]

    @property
    def code(self) -> Path:
        """Where the training script is, and its working directory."""
        return self.base / "code"

    @property
    def model(self) -> Path:
        """What becomes model.tar.gz."""
        return self.base / "model"

    @property
    def output(self) -> Path:
        """Where ``failure`` and ``data`` are."""
        return self.base / "output"

    @property
    def checkpoints(self) -> Path:
        """What is kept in step with ``CheckpointConfig.S3Uri``."""
        return self.base / "checkpoints"

    def channel(self, name: str) -> Path:
        """Return the folder of an input channel."""
        return self.base / "input" / "data" / name

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters as values, the toolkit's own included."""
        return decode_hyperparameters(self.description.get("HyperParameters", {}))

    @property
    def _resources(self) -> dict[str, Any]:
        instance_type = self.description.get("ResourceConfig", {}).get("InstanceType", "local")
        group = {"instance_group_name": _GROUP, "instance_type": instance_type, "hosts": [_HOST]}
        return {
            "current_host": _HOST,
            "current_instance_type": instance_type,
            "current_group_name": _GROUP,
            "hosts": [_HOST],
            "instance_groups": [group],
            "network_interface_name": _NETWORK_INTERFACE,
        }

    @property
    def _inputs(self) -> dict[str, dict[str, str]]:
        mode = self.description["AlgorithmSpecification"].get("TrainingInputMode", "File")
        return {
            channel["ChannelName"]: {
                **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
                "TrainingInputMode": channel.get("InputMode", mode),
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            }
            for channel in self.description.get("InputDataConfig", [])
        }

    def create(self) -> None:
        """Make the folders and write the files of ``input/config``."""
        for folder in (self.model, self.output / "data", self.checkpoints, self.base / "input" / "config"):
            folder.mkdir(parents=True, exist_ok=True)
        config = self.base / "input" / "config"
        write_json(config / "hyperparameters.json", self.description.get("HyperParameters", {}))
        write_json(config / "inputdataconfig.json", self._inputs)
        write_json(config / "resourceconfig.json", self._resources)

    def environment(self, program: str) -> dict[str, str]:
        """Return the whole environment of the training script, the request's last."""
        name, arn = self.description["TrainingJobName"], self.description["TrainingJobArn"]
        hyperparameters = script_hyperparameters(self.hyperparameters)
        instance_type = self._resources["current_instance_type"]
        settings: dict[str, Any] = {
            "CHANNELS": sorted(self._inputs),
            "CURRENT_HOST": _HOST,
            "CURRENT_INSTANCE_GROUP": _GROUP,
            "CURRENT_INSTANCE_GROUP_HOSTS": [_HOST],
            "CURRENT_INSTANCE_TYPE": instance_type,
            "FRAMEWORK_PARAMS": {},
            "HOSTS": [_HOST],
            "HPS": hyperparameters,
            "INPUT_CONFIG_DIR": self.base / "input" / "config",
            "INPUT_DATA_CONFIG": self._inputs,
            "INPUT_DIR": self.base / "input",
            "INSTANCE_GROUPS": [_GROUP],
            "INSTANCE_GROUPS_DICT": {_GROUP: self._resources["instance_groups"][0]},
            "IS_HETERO": False,
            "LOG_LEVEL": 20,
            "MODEL_DIR": self.model,
            "MODULE_DIR": self.hyperparameters.get("sagemaker_submit_directory", ""),
            "MODULE_NAME": Path(program).stem,
            "NETWORK_INTERFACE_NAME": _NETWORK_INTERFACE,
            "NUM_CPUS": os.cpu_count() or 1,
            "NUM_GPUS": gpu_count(),
            "NUM_NEURONS": 0,
            "OUTPUT_DATA_DIR": self.output / "data",
            "OUTPUT_DIR": self.output,
            "OUTPUT_INTERMEDIATE_DIR": self.output / "intermediate",
            "RESOURCE_CONFIG": self._resources,
            "USER_ARGS": arguments(hyperparameters),
            "USER_ENTRY_POINT": program,
            **{f"CHANNEL_{channel.upper()}": self.channel(channel) for channel in self._inputs},
            **{f"HP_{key.upper()}": value for key, value in hyperparameters.items()},
        }
        settings["TRAINING_ENV"] = {key.lower(): _plain(value) for key, value in settings.items()}
        return {
            **clean_environment(),
            **{f"SM_{key}": _variable(value) for key, value in settings.items()},
            "AWS_REGION": REGION,
            "CURRENT_HOST": _HOST,
            "SAGEMAKER_BASE_DIR": str(self.base),
            "SAGEMAKER_JOB_NAME": name,
            "SAGEMAKER_REGION": REGION,
            "TRAINING_JOB_ARN": arn,
            "TRAINING_JOB_NAME": name,
            **self.description.get("Environment", {}),
        }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _variable(value: Any) -> str:
    """Return a setting as the toolkit writes it to a variable."""
    if value is None:
        return ""
    if isinstance(value, (str, Path)):
        return str(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
