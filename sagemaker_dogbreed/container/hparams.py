"""The hyperparameters of the bundled training script, defined once for both sides.

A spec checks and sends them, the container receives them as ``--name value`` strings. Standard
library only, so that specs need no torch.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any


def _hyperparameter(
    default: Any,
    help_text: str,
    *,
    choices: tuple[str, ...] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    metadata = {"help": help_text, "choices": choices, "minimum": minimum, "maximum": maximum}
    return dataclasses.field(default=default, metadata=metadata)


TUNING = "tuning"
"""Name of the hyperparameter with which one training job runs a whole tuning; see ``tuning_text``."""

RATE_TEST = "rate_test"
"""Name of the hyperparameter with which a job only finds out which learning rate suits it."""

SUGGESTION = "Suggested learning rate: "
"""Begins the log line that tells what a range test has found."""

_TUNING_MARK = "json:"  # SageMaker's toolkits take a value that is JSON apart


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What the bundled training script can be told; every value is checked on creation."""

    backbone: str = _hyperparameter("resnet50", "torchvision classification model, by name")
    weights: str = _hyperparameter(
        "imagenet",
        "where the backbone's weights come from: torchvision's download, the input channel 'weights', "
        "or none (random)",
        choices=("imagenet", "channel", "none"),
    )
    head: str = _hyperparameter(
        "linear", "linear: one Linear layer; mlp: Linear, ReLU, Linear", choices=("linear", "mlp")
    )
    head_units: int = _hyperparameter(128, "units of the mlp head's hidden layer", minimum=1, maximum=65536)
    dropout: float = _hyperparameter(
        0.0, "share of the head's inputs dropped at random", minimum=0.0, maximum=0.9
    )
    finetune: str = _hyperparameter(
        "head",
        "what is trained: the head on a frozen backbone, the backbone's last block too, or everything",
        choices=("head", "last_block", "full"),
    )
    head_epochs: int = _hyperparameter(
        1, "first epochs in which a pretrained backbone stays frozen all the same", minimum=0, maximum=10_000
    )
    backbone_rate: float | None = _hyperparameter(
        None,
        "learning rate of the backbone's first block as a share of the head's, the other blocks in between; "
        "default: 0.1, or 1 without pretrained weights",
        minimum=1e-6,
        maximum=1.0,
    )
    image_size: int | None = _hyperparameter(
        None, "side of the square input in pixels; default: the backbone's own", minimum=16, maximum=2048
    )
    augmentation: str = _hyperparameter(
        "flip_crop", "random changes of training images", choices=("none", "flip_crop")
    )
    views: int = _hyperparameter(
        1,
        "views of each training image whose features are kept with a frozen backbone: the image as it is, "
        "and views - 1 changed at random",
        minimum=1,
        maximum=1000,
    )
    epochs: int = _hyperparameter(20, "passes over the training images at most", minimum=1, maximum=10_000)
    batch_size: int = _hyperparameter(64, "images per step", minimum=1, maximum=65536)
    learning_rate: float = _hyperparameter(0.001, "step size of the optimizer", minimum=1e-9, maximum=100.0)
    optimizer: str = _hyperparameter("adam", "optimizer", choices=("adam", "adamw", "sgd"))
    weight_decay: float = _hyperparameter(0.0, "weight decay of the optimizer", minimum=0.0, maximum=10.0)
    schedule: str = _hyperparameter(
        "constant",
        "how the learning rate changes over the training, after the warm-up",
        choices=("constant", "cosine", "one_cycle"),
    )
    warmup: float = _hyperparameter(
        0.0, "share of all steps in which the learning rate rises to its value", minimum=0.0, maximum=0.9
    )
    label_smoothing: float = _hyperparameter(
        0.0, "share of the target that all classes get", minimum=0.0, maximum=0.9
    )
    class_weights: str = _hyperparameter(
        "none",
        "weight of a class in the loss: balanced makes all classes count the same",
        choices=("none", "balanced"),
    )
    mixup: float = _hyperparameter(
        0.0,
        "alpha of mixup, which blends pairs of images and their classes; 0: none",
        minimum=0.0,
        maximum=10.0,
    )
    ema_decay: float = _hyperparameter(
        0.0,
        "decay a step of a moving average of the weights that is used in their place; 0: none",
        minimum=0.0,
        maximum=0.99999,
    )
    patience: int = _hyperparameter(
        5, "epochs without a better validation loss before stopping; 0: never stop early", minimum=0
    )
    seed: int = _hyperparameter(0, "seed of every random number generator", minimum=0, maximum=2**32 - 1)
    precision: str = _hyperparameter(
        "auto",
        "of computation: auto (bf16 where a frozen backbone gains by it, else fp32), fp32, or bf16 (mixed)",
        choices=("auto", "fp32", "bf16"),
    )
    compile: str = _hyperparameter("off", "torch.compile for what is trained in full", choices=("off", "on"))
    feature_cache: str = _hyperparameter(
        "on",
        "with a frozen backbone: pass each image through it once and train the head on what it yields",
        choices=("on", "off"),
    )
    engine: str = _hyperparameter(
        "auto",
        "what passes images through a frozen backbone: auto (openvino where it is installed, on a CPU, for a "
        "thousand images or more), torch, openvino",
        choices=("auto", "torch", "openvino"),
    )
    num_workers: int | None = _hyperparameter(
        None, "processes that load images; default: chosen from the machine", minimum=0, maximum=256
    )

    def __post_init__(self) -> None:
        for name in names():
            check(name, getattr(self, name))

    def to_strings(self) -> dict[str, str]:
        """Return the request's ``HyperParameters``: strings only, unset values left out."""
        values = ((name, getattr(self, name)) for name in names())
        return {name: str(value) for name, value in values if value is not None}

    @classmethod
    def from_strings(cls, strings: Mapping[str, str]) -> Hyperparameters:
        """Read hyperparameters back from strings; names that are not ours are passed over.

        Raises:
            ValueError: A value cannot be read or is out of range; the message names it.
        """
        return cls(**{name: parse(name, strings[name]) for name in names() if name in strings})


def arguments(argv: Sequence[str]) -> dict[str, str]:
    """Return ``--name value`` pairs as SageMaker's toolkits pass them, by name.

    ``--name=value`` and ``--image-size`` are understood too, and what has no name is passed over.

    >>> arguments(["--learning-rate", "-1", "--epochs=3", "extra"])
    {'learning_rate': '-1', 'epochs': '3'}
    """
    strings: dict[str, str] = {}
    position = 0
    while position < len(argv):
        name, has_value, value = argv[position].partition("=")
        position += 1
        if not name.startswith("--"):
            continue
        # A value may begin with one dash (a negative number) but never with two.
        if not has_value and position < len(argv) and not argv[position].startswith("--"):
            value = argv[position]
            position += 1
        strings[name[2:].replace("-", "_")] = value
    return strings


def tuning_text(config: Mapping[str, Any]) -> str:
    """Return SageMaker's HyperParameterTuningJobConfig as the value of the hyperparameter ``tuning``.

    >>> read_tuning(tuning_text({"Strategy": "Random"}))
    {'Strategy': 'Random'}
    """
    return _TUNING_MARK + json.dumps(config, separators=(",", ":"))


def read_tuning(text: str) -> dict[str, Any]:
    """Read what ``tuning_text`` returned.

    Raises:
        ValueError: It is something else.
    """
    try:
        config = json.loads(text.removeprefix(_TUNING_MARK))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the hyperparameter {TUNING} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"the hyperparameter {TUNING} must be a JSON object, got {config!r}")
    return config


def names() -> tuple[str, ...]:
    """Return the names of all hyperparameters."""
    return tuple(Hyperparameters.__dataclass_fields__)


def default(name: str) -> Any:
    """Return the default of one hyperparameter."""
    return Hyperparameters.__dataclass_fields__[name].default


def rules(name: str) -> Mapping[str, Any]:
    """Return ``help``, ``choices``, ``minimum`` and ``maximum`` of one hyperparameter."""
    return Hyperparameters.__dataclass_fields__[name].metadata


def kind(name: str) -> tuple[type, bool]:
    """Return the type of one hyperparameter (int, float or str) and whether it may be None."""
    annotation = typing.get_type_hints(Hyperparameters)[name]
    if isinstance(annotation, types.UnionType):
        (inner,) = (part for part in typing.get_args(annotation) if part is not types.NoneType)
        return inner, True
    return annotation, False


def check(name: str, value: object) -> None:
    """Check one value.

    Raises:
        ValueError: The value is of the wrong type or out of range.
    """
    expected, optional = kind(name)
    if value is None and optional:
        return
    accepted = (int, float) if expected is float else (expected,)
    if isinstance(value, bool) or not isinstance(value, accepted):
        wanted = {int: "a whole number", float: "a number", str: "a text"}[expected]
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    rule = rules(name)
    if rule["choices"] is not None and value not in rule["choices"]:
        raise ValueError(f"{name} must be one of {', '.join(rule['choices'])}; got {value!r}")
    if isinstance(value, str) and not value.strip():
        raise ValueError(f"{name} must not be empty")
    if isinstance(value, str) and not value.isprintable():
        raise ValueError(f"{name} must not hold line breaks or control characters, got {value!r}")
    if isinstance(value, str) and "'" in value:
        # SageMaker's own driver pastes hyperparameters into a shell script, in single quotes.
        raise ValueError(f"{name} must not hold a single quote, got {value!r}")
    if isinstance(value, (int, float)):
        low, high = rule["minimum"], rule["maximum"]
        too_low = low is not None and value < low
        too_high = high is not None and value > high
        if too_low or too_high or not math.isfinite(value):
            bounds = f"at least {low}" if high is None else f"between {low} and {high}"
            raise ValueError(f"{name} must be {bounds}, got {value!r}")


def parse(name: str, text: str) -> Any:
    """Read one value from its string.

    Raises:
        ValueError: The string does not read as the hyperparameter's type.
    """
    expected, optional = kind(name)
    stripped = text.strip().strip('"')
    if optional and stripped in {"", "null", "None"}:
        return None
    if expected is str:
        return stripped
    try:
        number = float(stripped)
    except ValueError:
        number = math.nan
    if expected is float and not math.isnan(number):
        return number
    # A tuner writes whole numbers as "64.0" where its range was continuous.
    if expected is int and number.is_integer():
        return int(number)
    wanted = "a whole number" if expected is int else "a number"
    raise ValueError(f"{name} must be {wanted}, got {text!r}")
