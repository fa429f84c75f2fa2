"""What is trained, how and on what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from sagemaker_dogbreed.container import hparams, metrics
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs import aws_fields
from sagemaker_dogbreed.specs.compute import NAME_PATTERN, ComputeSpec
from sagemaker_dogbreed.specs.debugger import DebuggerSpec, ProfilerSpec
from sagemaker_dogbreed.specs.network import NetworkSpec
from sagemaker_dogbreed.specs.validation import (
    choice,
    hyperparameter,
    path_text,
    spec,
    text,
    text_mapping,
    text_validator,
)

NAMED_WEIGHTS = ("imagenet", "none")


def _metric_definition(field: str, name: str, regex: str) -> None:
    if not re.fullmatch(r".{1,255}", name) or not re.fullmatch(r".{1,500}", regex):
        raise SpecError(
            f"{field}: a name has 1 to 255 characters, an expression 1 to 500 characters, and neither a "
            f"line break; got {name!r}"
        )
    if name in metrics.NAMES:
        raise SpecError(f"{field}: {name!r} is reported by the training script itself; choose another name")
    try:
        groups = re.compile(regex).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise SpecError(f"{field}: the expression of {name!r} is not valid: {error}") from None
    if groups < 1:
        raise SpecError(f"{field}: the expression of {name!r} needs a group (in brackets) that is the value")


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
    dropout: float = hyperparameter("dropout")
    finetune: str = hyperparameter("finetune")
    head_epochs: int = hyperparameter("head_epochs")
    backbone_rate: float | None = hyperparameter("backbone_rate")
    image_size: int | None = hyperparameter("image_size")
    augmentation: str = hyperparameter("augmentation")
    views: int = hyperparameter("views")
    epochs: int = hyperparameter("epochs")
    batch_size: int = hyperparameter("batch_size")
    learning_rate: float = hyperparameter("learning_rate")
    optimizer: str = hyperparameter("optimizer")
    weight_decay: float = hyperparameter("weight_decay")
    schedule: str = hyperparameter("schedule")
    warmup: float = hyperparameter("warmup")
    label_smoothing: float = hyperparameter("label_smoothing")
    class_weights: str = hyperparameter("class_weights")
    mixup: float = hyperparameter("mixup")
    ema_decay: float = hyperparameter("ema_decay")
    patience: int = hyperparameter("patience")
    seed: int = hyperparameter("seed")
    precision: str = hyperparameter("precision")
    compile: str = hyperparameter("compile")
    feature_cache: str = hyperparameter("feature_cache")
    engine: str = hyperparameter("engine")
    num_workers: int | None = hyperparameter("num_workers")

    name: str | None = text(
        "start of the job's name; default: dogbreed", default=None, pattern=NAME_PATTERN, example="my-job"
    )
    compute: ComputeSpec = spec("instances", ComputeSpec, factory=ComputeSpec)
    network: NetworkSpec | None = spec("VPC or isolation", NetworkSpec, default=None)
    framework_version: str = aws_fields.framework_version(
        "2.10.0", "PyTorch of AWS's training image; passed over where image_uri is given"
    )
    image_uri: str | None = aws_fields.image_uri("container image; default: AWS's PyTorch training image")
    environment: Mapping[str, str] = aws_fields.environment("environment variables of the job")
    input_mode: str = choice(
        "how a job reads its data: File copies it to the disk first, FastFile streams it",
        ("File", "FastFile"),
        "File",
    )
    input_source: str = choice(
        "what names a job's data: prefix (all objects beneath it) or manifest (the listed objects, no other)",
        ("prefix", "manifest"),
        "prefix",
    )
    metric_definitions: Mapping[str, str] = text_mapping(
        "further metrics: names and the regular expressions that find their values in the log",
        _metric_definition,
        most=40 - len(metrics.NAMES),
    )
    volume_kms_key: str | None = aws_fields.kms_key("KMS key of the instances' disks")
    output_kms_key: str | None = aws_fields.kms_key("KMS key of the model artifact")
    tags: Mapping[str, str] = aws_fields.tags("tags of the job, beside the library's own")
    debugger: DebuggerSpec | None = spec(
        "what is recorded, and training rules; null: neither",
        DebuggerSpec,
        factory=DebuggerSpec,
        optional=True,
    )
    profiler: ProfilerSpec | None = spec(
        "system monitoring and profiler rules; null: neither",
        ProfilerSpec,
        factory=ProfilerSpec,
        optional=True,
    )

    def __attrs_post_init__(self) -> None:
        if self.weights == "none" and self.finetune != "full":
            raise SpecError(
                f"weights: none with finetune: {self.finetune} would train on a random, frozen backbone; "
                "use finetune: full, or pretrained weights"
            )
        if self.compile != "off" and self.debugger is not None and self.debugger.hook == "smdebug":
            raise SpecError("debugger.hook: smdebug breaks up what compile makes; use one of the two")
        if self.weights == "imagenet" and self.network is not None and self.network.isolation:
            raise SpecError(
                "weights: imagenet are downloaded by the job, which network.isolation prevents; give the "
                "weights as a file"
            )
        if self.volume_kms_key is not None and self.compute.has_own_disk:
            raise SpecError(
                f"volume_kms_key cannot be used with {self.compute.instance_type}, whose disk is its own "
                "and encrypted by the hardware; leave the key out"
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
