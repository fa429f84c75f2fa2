"""Pretrained weights of the backbone: torchvision's, from a file in the channel ``weights``, or none."""

from __future__ import annotations

import http.client
import pickle
import re
import socket
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torchvision import models  # type: ignore[import-untyped]  # torchvision ships no types

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import AUXILIARY_HEADS, Classifier

SUFFIXES = (".pth", ".pt", ".safetensors")
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_DOWNLOAD_TIMEOUT = 60  # seconds without an answer; a network without a way out often never answers
_OTHER_WAYS = (
    "Give the weights as a file instead (training.weights: path/to/file.pth, which becomes the input channel "
    "'weights'), or train everything from random weights (weights: none with finetune: full)"
)
# DenseNet's files are older than its layers' names.
_DENSENET_KEY = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


class WeightsError(Exception):
    """The backbone's weights cannot be had or do not fit; the message names the ways out."""


def load_backbone(
    classifier: Classifier, hyperparameters: Hyperparameters, channels: Mapping[str, Path]
) -> None:
    """Load the weights that the hyperparameters ask for into the classifier's backbone.

    Raises:
        WeightsError: The file cannot be downloaded, found or read, or is not of this backbone.
    """
    if hyperparameters.weights == "none":
        if hyperparameters.finetune != "full":
            raise WeightsError(
                f"weights: none with finetune: {hyperparameters.finetune} would train on a backbone of which "
                "what is frozen stays random; use finetune: full, or pretrained weights"
            )
        return
    if hyperparameters.weights == "imagenet":
        path = _downloaded(hyperparameters.backbone)
    else:
        path = _in_channel(channels)
    _load_into(classifier, path, hyperparameters.backbone)


def read_file(path: Path) -> OrderedDict[str, torch.Tensor]:
    """Read a weights file; no code in it is run.

    Raises:
        WeightsError: It cannot be read, or holds anything but tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise WeightsError(
            f"{path}: the package safetensors is not installed here; give a .pth file instead"
        ) from error
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError):
            reason = "it is damaged, or holds Python objects, which could run code when read"
        raise WeightsError(
            f"{path} cannot be read as a weights file: {reason}. Save the plain state with "
            f"torch.save(model.state_dict(), 'file.pth'); a damaged download can be deleted to fetch it anew"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    if (
        not isinstance(content, dict)
        or not content
        or not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in content.items())
    ):
        raise WeightsError(f"{path} does not hold a state_dict: tensors by name are expected")
    state = OrderedDict(content)
    vars(state)["_metadata"] = getattr(content, "_metadata", None)  # the layers' versions, read by torch
    if all(key.startswith("module.") for key in state):
        return OrderedDict((key.removeprefix("module."), value) for key, value in state.items())
    return state


def _downloaded(backbone: str) -> Path:
    """Return the file in torch's cache (``TORCH_HOME``), downloaded if it is not there yet."""
    url: str = models.get_model_weights(backbone).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path
    digest = re.search(r"-([a-f0-9]{8,})\.", path.name)
    log.line(f"Downloading {url}")
    timeout_before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digest and digest.group(1), progress=False)
    # RuntimeError is what torch raises where the file's digest is not the one in its name.
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        raise WeightsError(
            f"the pretrained weights of {backbone} could not be downloaded from {url} "
            f"({type(error).__name__}: {error}). {_OTHER_WAYS}"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout_before)
    return path


def _in_channel(channels: Mapping[str, Path]) -> Path:
    if "weights" not in channels:
        raise WeightsError(
            f"weights: channel needs the input channel 'weights', which is missing. {_OTHER_WAYS}"
        )
    folder = channels["weights"]
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    if len(files) != 1:
        found = ", ".join(path.name for path in files[:5]) or "none"
        raise WeightsError(
            f"the input channel 'weights' ({folder}) must hold exactly one file ending in "
            f"{', '.join(SUFFIXES)}; found: {found}"
        )
    return files[0]


def _load_into(classifier: Classifier, path: Path, backbone: str) -> None:
    state = read_file(path)
    skipped = (classifier.classifier_layer + ".", *AUXILIARY_HEADS)
    kept = OrderedDict(
        (_DENSENET_KEY.sub(r"\1\2", key), value)
        for key, value in state.items()
        if not key.startswith(skipped)
    )
    # A file without layer versions is taken to be of the backbone's own (MNASNet insists on one).
    own_version = vars(classifier.backbone.state_dict())["_metadata"][""]
    vars(kept)["_metadata"] = getattr(state, "_metadata", None) or {"": own_version}
    try:
        # Not strict: torch would list hundreds of names.
        result = classifier.backbone.load_state_dict(kept, strict=False)
    except (RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        raise _misfit(path, backbone, _first(lines)) from error
    if result.missing_keys or result.unexpected_keys:
        missing, unexpected = _first(result.missing_keys), _first(result.unexpected_keys)
        raise _misfit(path, backbone, f"missing: {missing}; not expected: {unexpected}")


def _misfit(path: Path, backbone: str, differences: str) -> WeightsError:
    return WeightsError(
        f"{path} does not fit backbone {backbone!r}: {differences}. "
        f"Give a state_dict of torchvision's {backbone}, or set backbone to the network the file is of"
    )


def _first(items: list[str]) -> str:
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return (", ".join(items[:3]) or "none") + more
