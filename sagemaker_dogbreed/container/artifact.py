"""The model artifact: weights, ``model.json`` and the code that serves them; self-sufficient.

::

    model.pth     the classifier's state, plain tensors
    model.json    what it is: backbone, head, preprocessing, class names, metrics, where it came from
    code/         inference.py and the package's container modules
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sagemaker_dogbreed.container import source
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import Classifier, build
from sagemaker_dogbreed.container.preprocessing import Preprocessing

FORMAT_VERSION = 1
WEIGHTS_FILE, CARD_FILE, CODE_FOLDER = "model.pth", "model.json", "code"


class ArtifactError(Exception):
    """A model artifact cannot be used; the message names the file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A classifier in evaluation mode with what it takes to use it; ``card`` is all of model.json."""

    module: Classifier
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    card: Mapping[str, Any]


def save(
    model_dir: Path,
    classifier: Classifier,
    *,
    class_names: Sequence[str],
    preprocessing: Preprocessing,
    hyperparameters: Hyperparameters,
    metrics: Mapping[str, float],
    job_name: str = "",
    dataset_version: str | None = None,
) -> None:
    """Write the artifact; ``model.json`` comes last, so that what has one is complete.

    ``metrics`` are by key (``test_loss``), as ``metrics.key`` gives them.
    """
    code = source.serving_files()
    card = {
        "format_version": FORMAT_VERSION,
        "backbone": hyperparameters.backbone,
        "head": hyperparameters.head,
        "head_units": hyperparameters.head_units,
        "preprocessing": preprocessing.to_dict(),
        "class_names": list(class_names),
        "metrics": dict(metrics),
        "hyperparameters": hyperparameters.to_strings(),
        "job_name": job_name,
        "dataset_version": dataset_version,
        "library_version": source.library_version(),
        "code_sha256": source.digest(code),
        "torch_version": str(torch.__version__),
    }
    model_dir.mkdir(parents=True, exist_ok=True)
    (model_dir / CARD_FILE).unlink(missing_ok=True)

    staged = _beside(model_dir / CODE_FOLDER)
    shutil.rmtree(staged, ignore_errors=True)
    source.write_files(code, staged)
    shutil.rmtree(model_dir / CODE_FOLDER, ignore_errors=True)
    staged.replace(model_dir / CODE_FOLDER)

    state = {name: value.detach().cpu().contiguous() for name, value in classifier.state_dict().items()}
    with _beside(model_dir / WEIGHTS_FILE).open("wb") as stream:
        torch.save(state, stream)
        stream.flush()
        os.fsync(stream.fileno())
    _beside(model_dir / WEIGHTS_FILE).replace(model_dir / WEIGHTS_FILE)

    text = json.dumps(card, indent=2, allow_nan=False) + "\n"
    _beside(model_dir / CARD_FILE).write_text(text, encoding="utf-8")
    _beside(model_dir / CARD_FILE).replace(model_dir / CARD_FILE)


def load(model_dir: Path) -> LoadedModel:
    """Load an artifact onto the CPU; nothing is downloaded, and no code in its files is run.

    Raises:
        ArtifactError: A file is missing, damaged, or does not fit the others.
    """
    card = read_card(model_dir)
    path = model_dir / CARD_FILE
    try:
        class_names = _class_names(card)
        preprocessing = Preprocessing.from_dict(card["preprocessing"])
        hyperparameters = Hyperparameters(
            backbone=card["backbone"], head=card["head"], head_units=card["head_units"], finetune="full"
        )
        module = build(hyperparameters, len(class_names), preprocessing.image_size)
    except KeyError as error:
        raise ArtifactError(f"{path} has no entry {error}; {_WAY_OUT}") from error
    except ValueError as error:
        raise ArtifactError(f"{path}: {error}") from error
    state = _read_state(model_dir / WEIGHTS_FILE)
    try:
        module.load_state_dict(state)
    except Exception as error:  # RuntimeError for names and shapes; anything for values of other types
        raise ArtifactError(
            f"{model_dir / WEIGHTS_FILE} does not fit {CARD_FILE} (a {hyperparameters.backbone} with "
            f"{len(class_names)} classes): {_shortened(str(error))}"
        ) from error
    module.eval().requires_grad_(False)
    return LoadedModel(module=module, class_names=class_names, preprocessing=preprocessing, card=card)


def read_card(model_dir: Path) -> dict[str, Any]:
    """Read ``model.json``.

    Raises:
        ArtifactError: It is missing, damaged, or of another format version.
    """
    path = model_dir / CARD_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); {_WAY_OUT}") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON: {error}; {_WAY_OUT}") from error
    if not isinstance(card, dict):
        raise ArtifactError(f"{path} does not hold a JSON object; {_WAY_OUT}")
    version = card.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise ArtifactError(
            f"{path} has format version {version!r}, this release reads {FORMAT_VERSION}; "
            "serve the model with the code it carries, or train it again"
        )
    return card


_WAY_OUT = "is this folder a model artifact that the bundled training script wrote?"


def _class_names(card: Mapping[str, Any]) -> tuple[str, ...]:
    names = card["class_names"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"class_names must be a list of texts, got {_shortened(repr(names))}")
    if len(set(names)) != len(names):
        raise ValueError("class_names has a name twice")
    return tuple(names)


def _read_state(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); {_WAY_OUT}") from error
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        raise ArtifactError(f"{path} is damaged or not a weights file: {_shortened(str(error))}") from error


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + " ..."
