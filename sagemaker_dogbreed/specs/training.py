"""What is trained, how and on what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.compute import NAME_PATTERN, ComputeSpec
from sagemaker_dogbreed.specs.debugger import DebuggerSpec, ProfilerSpec
from sagemaker_dogbreed.specs.validation import (
    hyperparameter,
    path_text,
    spec,
    text,
    text_mapping,
    text_validator,
)

NAMED_WEIGHTS = ("imagenet", "none")


def environment_entry(field: str, key: str, value: str) -> None:
    """Refuse environment variables that SageMaker would refuse, or that break its containers."""
    if len(key) > 512 or len(value) > 512 or not key.replace("_", "a").isalnum() or key[:1].isdigit():
        raise SpecError(
            f"{field}: {key!r} must be letters, digits and underscores, name and value at most 512 characters"
        )
    if key.startswith(("SM_", "SAGEMAKER_", "AWS_")):
        raise SpecError(f"{field}: {key!r} is a name that SageMaker sets itself; choose another")


@attrs.frozen(kw_only=True)
class TrainingSpec:
    """A training job: backbone and head, recipe, compute.

    The fields from ``backbone`` to ``num_workers`` are the hyperparameters of the bundled script.

    >>> TrainingSpec(backbone="resnet18").with_hyperparameters({"learning_rate": 0.01}).learning_rate
    0.01
    """

    backbone: str = hyperparameter("backbone")
    weights: str = attrs.field(
        default="imagenet",
        converter=path_text,
        validator=text_validator(),
        metadata={
            "help": "imagenet (torchvision's pretrained weights), none (random), or a weights file's path or "
            "s3:// URI"
        },
    )
    head: str = hyperparameter("head")
    head_units: int = hyperparameter("head_units")
    finetune: str = hyperparameter("finetune")
    image_size: int | None = hyperparameter("image_size")
    augmentation: str = hyperparameter("augmentation")
    epochs: int = hyperparameter("epochs")
    batch_size: int = hyperparameter("batch_size")
    learning_rate: float = hyperparameter("learning_rate")
    optimizer: str = hyperparameter("optimizer")
    weight_decay: float = hyperparameter("weight_decay")
    patience: int = hyperparameter("patience")
    seed: int = hyperparameter("seed")
    num_workers: int | None = hyperparameter("num_workers")

    name: str | None = text(
        "start of the job's name; default: dogbreed", default=None, pattern=NAME_PATTERN, example="my-job"
    )
    compute: ComputeSpec = spec("instances", ComputeSpec, factory=ComputeSpec)
    image_uri: str | None = text("container image; default: AWS's PyTorch training image", default=None)
    environment: Mapping[str, str] = text_mapping("environment variables of the job", environment_entry)
    debugger: DebuggerSpec | None = spec("training rules", DebuggerSpec, default=None)
    profiler: ProfilerSpec | None = spec("system monitoring", ProfilerSpec, default=None)

    def __attrs_post_init__(self) -> None:
        if self.weights == "none" and self.finetune == "head":
            raise SpecError(
                "weights: none with finetune: head would train a head on a random, frozen backbone; "
                "use finetune: full, or pretrained weights"
            )

    @property
    def weights_source(self) -> str | None:
        """The weights file's path or s3:// URI, or None where the weights are named (imagenet, none)."""
        return None if self.weights in NAMED_WEIGHTS else self.weights

    @property
    def hyperparameters(self) -> hparams.Hyperparameters:
        """The hyperparameters as the training script receives them."""
        values = {name: getattr(self, name) for name in hparams.names()}
        if self.weights_source is not None:
            values["weights"] = "channel"
        return hparams.Hyperparameters(**values)

    def with_hyperparameters(self, values: Mapping[str, Any]) -> TrainingSpec:
        """Return a copy with some hyperparameters changed; texts such as ``"0.01"`` are read.

        Raises:
            SpecError: A name is no hyperparameter, or a value is not acceptable.
        """
        unknown = sorted(set(values) - set(hparams.names()))
        if unknown:
            raise SpecError(
                f"no such hyperparameter: {', '.join(unknown)}; there are {', '.join(hparams.names())}"
            )
        try:
            read = {
                name: hparams.parse(name, value) if isinstance(value, str) else value
                for name, value in values.items()
            }
        except ValueError as error:
            raise SpecError(str(error)) from None
        return attrs.evolve(self, **read)
