"""Reads the tensors that smdebug's hook saved, through smdebug, as the records of a training.

smdebug tells neither times nor accuracies nor learning rates: a record's time is the number of its step
among all, and the others are NaN. https://github.com/awslabs/sagemaker-debugger/blob/master/docs/analysis.md
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Epoch, Record, Step, Tensor, Tensors
from sagemaker_dogbreed.errors import MissingExtraError, RecordingError

_OUTPUT = re.compile(r"(.*)_output_\d+")
_LAYERS = {"relu6": "ReLU6", "relu": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid"}
_LARGEST_INDEX = 16 * 1024 * 1024  # bytes; a step's index has some 100 a tensor


def read_smdebug(folder: str | Path) -> History:
    """Read a folder that smdebug's hook has written (``debug-output`` of a job's output).

    Steps between two evaluations count as an epoch, where the hook was told of evaluations.

    Raises:
        MissingExtraError: smdebug is not installed.
        RecordingError: The folder is not one that the hook has written, or it is not whole.
    """
    path = Path(folder)
    _check(path)
    with _contained():
        try:
            modes = importlib.import_module("smdebug").modes
            create_trial = importlib.import_module("smdebug.trials").create_trial
        except ImportError as error:
            raise MissingExtraError("smdebug", "debugger", "reading the tensors of smdebug's hook") from error
        try:
            return History.of(_records(create_trial(str(path)), modes))
        except Exception as error:  # smdebug and protobuf raise whatever they stumble over
            raise RecordingError(
                f"{path} cannot be read through smdebug: {type(error).__name__}: {error}"
            ) from error


def _check(folder: Path) -> None:
    """Check what smdebug would wait for, or read without looking."""
    found = sorted(folder.glob("collections/*/*_collections.json"))
    if not found:
        raise RecordingError(
            f"{folder} was not written by smdebug's hook, for it has no collections/*/*_collections.json; "
            "give the folder debug-output of a job's output"
        )
    meta = _json(found[0]).get("_meta")
    workers = meta.get("num_workers") if isinstance(meta, dict) else 1
    if not isinstance(workers, int) or workers > len(found):
        raise RecordingError(
            f"{folder} is not whole: of {workers} workers there are the collections of {len(found)}; copy "
            "all of it"
        )
    for path in sorted(folder.glob("index/*/*.json")):
        index = _json(path).get("meta")
        name = index.get("event_file_name") if isinstance(index, dict) else None
        events = (folder / str(name)).resolve()
        if not isinstance(name, str) or not events.is_relative_to(folder.resolve()) or not events.is_file():
            raise RecordingError(
                f"{path} names the file {name!r}, which {folder} does not have; copy all of it"
            )


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_INDEX:
            raise RecordingError(f"{path} is too large for a file of smdebug's")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise RecordingError(f"{path} holds no JSON object")
    return content


def _records(trial: Any, modes: Any) -> Iterator[Record]:
    """Yield what a trial has, in the order of its steps; those of no mode count as training."""
    losses = set(trial.tensor_names(collection="losses")) if trial.collections() else set()
    before: dict[str, Any] = {}
    trained: list[float] = []
    evaluated: list[float] = []
    epoch, last, now = 1, 0, 0.0
    for number in trial.steps():
        mode, step = trial.mode_modestep(number)
        names = trial.tensor_names(step=step, mode=mode)
        loss = _loss(trial, sorted(losses.intersection(names)), step, mode)
        if mode == modes.EVAL:
            evaluated.append(loss)
            now = float(number)
            continue
        if evaluated:
            yield _epoch(now, epoch, last, trained, evaluated)
            epoch, trained, evaluated = epoch + 1, [], []
        last = step
        trained.append(loss)
        yield Step(
            time=float(number),
            step=step,
            epoch=epoch,
            loss=loss,
            top_1=math.nan,
            learning_rate=math.nan,
            images=0,
        )
        others = _in_order(trial, [name for name in names if name not in losses])
        tensors = dict(_tensors(trial, others, step, mode, before))
        if tensors:
            yield Tensors(time=float(number), step=step, tensors=tensors)
    if evaluated:
        yield _epoch(now, epoch, last, trained, evaluated)


def _epoch(time: float, epoch: int, step: int, trained: Sequence[float], evaluated: Sequence[float]) -> Epoch:
    measures = {"valid_loss": sum(evaluated) / len(evaluated)}
    if trained:
        measures["train_loss"] = sum(trained) / len(trained)
    return Epoch(time=time, epoch=epoch, step=step, measures=measures)


def _loss(trial: Any, names: Sequence[str], step: int, mode: Any) -> float:
    if not names:
        return math.nan
    value = _array(trial.tensor(names[0]), step, mode)
    return float(value.mean()) if value is not None and value.size else math.nan


def _in_order(trial: Any, names: Sequence[str]) -> list[str]:
    """Return names, which smdebug has sorted, from the network's first layer to its last.

    So they were recorded; gradients, which are there from the last layer on, the other way round.
    """
    places = {name: place for place, name in enumerate(getattr(trial, "_tensors", ()))}
    signs = {name: -1 if name.startswith("gradient/") else 1 for name in names}
    return sorted(names, key=lambda name: (signs[name], signs[name] * places.get(name, 0)))


def _tensors(
    trial: Any, names: Sequence[str], step: int, mode: Any, before: dict[str, Any]
) -> Iterator[tuple[str, Tensor]]:
    from sagemaker_dogbreed.analysis.tensor_statistics import of_array, of_reductions, update_ratio

    for name in names:
        kind, short, layer = _described(name)
        if kind == "input":
            continue  # another layer's output
        array = _array(trial.tensor(name), step, mode)
        if array is None:
            values = trial.tensor(name).reduction_values(step, mode)
            numbers = {key: float(value) for key, value in values.items()}
            yield f"{kind}/{short}", of_reductions(numbers, kind=kind, layer=layer, elements=0)
            continue
        update = None
        if kind == "weight":
            earlier, weights = before.get(name, (None, None))
            update = update_ratio(weights, array) if earlier == step - 1 else None
            before[name] = (step, array)
        yield f"{kind}/{short}", of_array(array, kind=kind, layer=layer, update=update)


def _described(name: str) -> tuple[str, str, str]:
    """Return a tensor's kind, its name without it, and its layer's class where the name tells it."""
    if name.startswith("gradient/"):
        return "gradient", name.removeprefix("gradient/"), ""
    output = _OUTPUT.fullmatch(name)
    if output is None:
        return ("input" if "_input_" in name else "weight"), name, ""
    layer = next((layer for part, layer in _LAYERS.items() if part in name.lower()), "")
    return "output", output[1], layer


def _array(tensor: Any, step: int, mode: Any) -> Any:
    """Return a tensor's numbers, or None where only reductions of them were saved."""
    import numpy as np

    try:
        return np.asarray(tensor.value(step, mode), dtype=np.float64)
    except importlib.import_module("smdebug.exceptions").TensorUnavailableForStep:
        return None


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Keep what smdebug does to the process from the process: its warnings, log lines and import hooks."""
    finders, level = list(sys.meta_path), os.environ.get("SMDEBUG_LOG_LEVEL")
    os.environ.setdefault("SMDEBUG_LOG_LEVEL", "error")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages that have aged
            yield
    finally:
        if level is None:
            del os.environ["SMDEBUG_LOG_LEVEL"]
        # An old finder among those it brings warns of each module that is not found.
        sys.meta_path[:] = [each for each in sys.meta_path if each in finders or hasattr(each, "find_spec")]
        logger = logging.getLogger("smdebug")
        logger.handlers.clear()  # that on standard output
        logger.propagate = True
