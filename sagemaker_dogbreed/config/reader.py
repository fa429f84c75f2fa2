"""Reads YAML into plain values and remembers the line of each.

Scalars follow YAML 1.2's core schema (``1e-3`` is a number, ``no`` is a text), which PyYAML's own
resolvers do not: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from sagemaker_dogbreed.errors import ConfigError, Problem

MAX_CHARACTERS = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 20

Path = tuple[str, ...]


class Document(NamedTuple):
    """A plain value, and the 1-based line of each place in it (None where it came from no file)."""

    value: Any
    lines: Mapping[Path, int | None]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's protocol


_SCALARS = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
)
for _tag, _pattern, _first in _SCALARS:
    firsts = [character if character != "\0" else "" for character in _first]
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), firsts)


def read(text: str, source: str) -> Document:
    """Parse one YAML document whose top is a mapping.

    Raises:
        ConfigError: It is not YAML, holds duplicate keys, tags or too much, or is no mapping.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError([Problem("", f"the file is over {MAX_CHARACTERS:,} characters long")], source)
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(
            [Problem("", f"not readable as YAML: {message}", mark.line + 1 if mark else None)], source
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([Problem("", f"not readable as YAML: {error}")], source) from None
    if root is None:
        return Document({}, {(): 1})
    walk = _Walk()
    value = walk.value(root, ())
    if not walk.problems and not isinstance(value, dict):
        walk.problems.append(Problem("", "the file must hold a mapping (dataset: ..., training: ...)", 1))
    if walk.problems:
        raise ConfigError(walk.problems, source)
    return Document(value, walk.lines)


def read_scalar(text: str) -> Any:
    """Read the value of one command-line override, such as ``0.01``, ``null`` or ``[32, 64]``.

    Raises:
        ValueError: The text is not readable as YAML.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{text!r} is not readable as a YAML value; put it in quotes") from error
    if root is None:
        return None
    walk = _Walk()
    value = walk.value(root, ())
    if walk.problems:
        raise ValueError(walk.problems[0].message)
    return value


class _Walk:
    """Turns nodes into plain values, noting lines and problems on the way."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._nodes += 1
        # Aliases share nodes, so a small file can unfold into a huge one.
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            if not self.problems:
                self._problem(node, path, "the file unfolds into too many values")
            return None
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.value(item, (*path, str(index))) for index, item in enumerate(node.value)]
        return self._scalar(node, kind, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "keys must be plain texts")
                continue
            key = str(key_node.value)
            inner = (*path, key)
            if key in result:
                first = self.lines[inner]
                self._problem(key_node, inner, f"the key is given twice (first on line {first})")
            self.lines.setdefault(inner, key_node.start_mark.line + 1)
            result[key] = self.value(value_node, inner)
        return result

    def _scalar(self, node: yaml.Node, kind: str, path: Path) -> Any:
        text = str(node.value)
        match kind:
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return self._whole_number(node, text, path)
            case "float":
                number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
                if not math.isfinite(number):
                    self._problem(node, path, f"{text} is not a finite number")
                return number
            case _:
                self._problem(node, path, f"tags such as {node.tag!r} are not supported")
                return None

    def _whole_number(self, node: yaml.Node, text: str, path: Path) -> int:
        try:
            return int(text, 10) if text.lstrip("+-").isdigit() else int(text, 0)
        except ValueError:
            self._problem(node, path, f"{text[:20]}... is too large a number")
            return 0

    def _problem(self, node: yaml.Node, path: Path, message: str) -> None:
        self.problems.append(Problem(".".join(path), message, node.start_mark.line + 1))
