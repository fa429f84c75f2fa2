"""Loads and dumps configuration files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sagemaker_dogbreed.config.reader import Document, read, read_scalar
from sagemaker_dogbreed.config.structure import structure, unstructure
from sagemaker_dogbreed.errors import ConfigError, Problem
from sagemaker_dogbreed.specs.workflow import WorkflowSpec

Overrides = Mapping[str, Any] | Sequence[str]


def load(path: str | Path, overrides: Overrides = ()) -> WorkflowSpec:
    """Load a configuration file.

    Args:
        path: The YAML file.
        overrides: Values that replace the file's: texts such as ``"training.epochs=3"``, or a
            mapping of dotted paths to values.

    Raises:
        ConfigError: The file cannot be read, or it or an override has problems; all are listed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError([Problem("", f"the file cannot be read: {error}")], str(path)) from error
    return loads(text, overrides, source=str(path))


def loads(text: str, overrides: Overrides = (), *, source: str = "configuration") -> WorkflowSpec:
    """Load a configuration from YAML text; see ``load``.

    >>> loads("dataset: {source: photos}", {"training.epochs": 3}).training.epochs
    3
    """
    document = read(text, source)
    document = _apply(document, overrides, source)
    return structure(document.value, document.lines, source)


def dumps(spec: WorkflowSpec) -> str:
    """Return the YAML text that loads as an equal spec; values equal to their default are left out.

    >>> from sagemaker_dogbreed.specs.dataset import DatasetSpec
    >>> print(dumps(WorkflowSpec(dataset=DatasetSpec(source="photos"))), end="")
    dataset:
      source: photos
    """
    return yaml.dump(unstructure(spec), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that our reader, or another YAML reader, would take for something else."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_float(dumper: yaml.SafeDumper, number: float) -> yaml.Node:
    text = repr(number)
    # YAML 1.1 readers know 1.0e-05 as a number, but not 1e-05.
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style: str | None = None
    if not text.isprintable():
        style = '"'  # line breaks of every kind survive in double quotes only
    elif _reads_as_something_else(text):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _reads_as_something_else(text: str) -> bool:
    try:
        return not isinstance(read_scalar(text), str)
    except ValueError:
        return True


_Dumper.add_representer(float, _represent_float)
_Dumper.add_representer(str, _represent_text)


def _apply(document: Document, overrides: Overrides, source: str) -> Document:
    value, lines = document.value, dict(document.lines)
    problems: list[Problem] = []
    for dotted, replacement in _pairs(overrides, problems):
        path = tuple(dotted.split("."))
        *parents, last = path
        place = value
        for depth, name in enumerate(parents):
            if place.get(name) is None:
                place[name] = {}
            place = place[name]
            if not isinstance(place, dict):
                parent = ".".join(path[: depth + 1])
                problems.append(Problem(dotted, f"cannot be set: {parent} holds a value, not a mapping"))
                break
        else:
            place[last] = replacement
            # What comes from an override has no line in the file.
            lines = {known: line for known, line in lines.items() if known[: len(path)] != path}
            lines[path] = None
    if problems:
        raise ConfigError(problems, source)
    return Document(value, lines)


def _pairs(overrides: Overrides, problems: list[Problem]) -> list[tuple[str, Any]]:
    if isinstance(overrides, Mapping):
        pairs = [
            (path, os.fspath(value) if isinstance(value, os.PathLike) else value)
            for path, value in overrides.items()
        ]
    else:
        pairs = []
        for text in [overrides] if isinstance(overrides, str) else overrides:
            path, equals, value = text.partition("=")
            try:
                if not equals:
                    problems.append(Problem(path, "an override is written path=value, as training.epochs=3"))
                else:
                    pairs.append((path.strip(), read_scalar(value)))
            except ValueError as error:
                problems.append(Problem(path, str(error)))
    for path, _ in pairs:
        if not all(path.split(".")):
            problems.append(Problem(path, "an override's path is written like training.epochs"))
    return pairs
