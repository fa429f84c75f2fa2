"""The JSON Schema of a configuration file, for editors that check and complete YAML."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin

import attrs

from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.container.debugging import settings
from sagemaker_dogbreed.container.debugging.rules import Value
from sagemaker_dogbreed.specs.dataset import CHECKS, SEVERITIES
from sagemaker_dogbreed.specs.debugger import RULE_PATTERN, RuleSpec
from sagemaker_dogbreed.specs.ranges import CategoricalRange, ContinuousRange, IntegerRange, Range
from sagemaker_dogbreed.specs.tuning import Objective
from sagemaker_dogbreed.specs.workflow import WorkflowSpec

_SCALARS = {int: "integer", float: "number", str: "string", bool: "boolean"}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12).

    >>> schema()["properties"]["training"]["properties"]["epochs"]["minimum"]
    1
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sagemaker_dogbreed workflow",
        **_of_spec(WorkflowSpec),
    }


def _of_spec(cls: type) -> dict[str, Any]:
    attrs.resolve_types(cls)
    fields = attrs.fields(cls)
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {field.name: _of_field(field) for field in fields},
    }
    required = [field.name for field in fields if field.default is attrs.NOTHING]
    if required:
        found["required"] = required
    return found


def _of_field(field: attrs.Attribute[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "help" in field.metadata:
        found["description"] = field.metadata["help"]
    if field.name == "checks":
        found |= _of_mapping(CHECKS, {"enum": list(SEVERITIES)})
    else:
        found |= _of_type(field.type, field.metadata)
    if isinstance(field.default, (str, int, float)):
        found["default"] = field.default
    return found


def _of_type(kind: Any, limits: Mapping[str, Any]) -> dict[str, Any]:
    if get_origin(kind) in (Union, types.UnionType):
        inner = [part for part in get_args(kind) if part is not types.NoneType]
        found = [_of_type(part, limits) for part in inner]
        return {"anyOf": [*found, {"type": "null"}]} if len(inner) < len(get_args(kind)) else {"anyOf": found}
    if kind is Objective:
        return {"anyOf": [{"type": "string"}, _of_spec(Objective)]}
    if kind == Mapping[str, Range]:
        return _of_ranges()
    if kind is RuleSpec:
        return {
            "anyOf": [
                {"enum": list(settings.rule_names())},  # which editors offer
                {"type": "string", "pattern": f"^(?:{RULE_PATTERN})$"},
                _of_spec(RuleSpec),
            ]
        }
    if kind == Mapping[str, Value]:
        return {"type": "object", "additionalProperties": {"type": ["boolean", "number", "string"]}}
    if kind == Mapping[str, Mapping[str, str]]:
        texts = {"type": "object", "additionalProperties": {"type": "string"}}
        return {"type": "object", "additionalProperties": texts}
    if kind == Mapping[str, str]:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if get_origin(kind) in (tuple, Sequence):
        item = _of_type(get_args(kind)[0], limits)
        return {"type": "array", "items": item}
    if attrs.has(kind):
        return _of_spec(kind)
    return {"type": _SCALARS[kind], **_limits(limits)}


def _limits(metadata: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: metadata[name] for name in ("minimum", "maximum") if metadata.get(name) is not None}
    if metadata.get("choices"):
        found["enum"] = list(metadata["choices"])
    if metadata.get("pattern"):
        found["pattern"] = f"^(?:{metadata['pattern']})$"
    return found


def _of_ranges() -> dict[str, Any]:
    listed = {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1, "maxItems": 30}
    ranges = {
        name: {
            "description": hparams.rules(name)["help"],
            "anyOf": [
                listed,
                _of_spec(CategoricalRange),
                _of_spec(IntegerRange if hparams.kind(name)[0] is int else ContinuousRange),
            ],
        }
        for name in hparams.names()
    }
    return {"type": "object", "additionalProperties": False, "properties": ranges, "minProperties": 1}


def _of_mapping(keys: Mapping[str, str], value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(keys, value)}
