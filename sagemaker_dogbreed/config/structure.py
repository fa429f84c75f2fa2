"""Plain values to specs and back, through cattrs made strict.

cattrs converts where it can (``2.7`` to 2, ``"false"`` to True). Here a value of the wrong type is
an error, unknown keys are errors, and all problems are reported together.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.container.debugging.rules import Value
from sagemaker_dogbreed.errors import ConfigError, Problem, SpecError
from sagemaker_dogbreed.specs.debugger import RuleSpec
from sagemaker_dogbreed.specs.ranges import CategoricalRange, ContinuousRange, IntegerRange, Range
from sagemaker_dogbreed.specs.tuning import Objective
from sagemaker_dogbreed.specs.workflow import WorkflowSpec

Path = tuple[str, ...]


def structure(value: object, lines: Mapping[Path, int | None], source: str) -> WorkflowSpec:
    """Turn a plain mapping into specs.

    Raises:
        ConfigError: Something is wrong; every problem is listed with its path and line.
    """
    try:
        result: WorkflowSpec = converter().structure(value, WorkflowSpec)
    except (cattrs.BaseValidationError, SpecError) as error:
        problems = [
            Problem(".".join(path), message, _line(path, lines)) for path, message in _flatten(error, ())
        ]
        raise ConfigError(sorted(set(problems), key=_reading_order), source) from None
    return result


def unstructure(spec: WorkflowSpec) -> dict[str, Any]:
    """Turn specs into plain values, leaving out what equals its default."""
    plain: dict[str, Any] = converter().unstructure(spec)
    return plain


@cache
def converter() -> cattrs.Converter:
    """Return the strict converter of all specs."""
    made = cattrs.Converter(detailed_validation=True)
    for kind, words in (
        (int, "a whole number"),
        (float, "a number"),
        (str, "a text"),
        (bool, "true or false"),
    ):
        made.register_structure_hook(kind, _scalar(kind, words))
    generic_hooks: tuple[tuple[Any, Callable[[Any, Any], Any]], ...] = (
        (Sequence[str], _texts),
        (tuple[str | int | float, ...], lambda value, _: value),
        (Mapping[str, str], _text_mapping),
        (Mapping[str, Range], lambda value, _: _ranges(value, made)),
        (Sequence[RuleSpec], lambda value, _: _rules(value, made)),
        (Mapping[str, Value], _mapping),
        (Mapping[str, Mapping[str, str]], _mapping),
    )
    for generic, hook in generic_hooks:
        made.register_structure_hook_func(partial(operator.eq, generic), hook)
    made.register_structure_hook_factory(attrs.has, lambda cls: _spec_hook(cls, made))
    made.register_unstructure_hook_factory(attrs.has, lambda cls: _plain_hook(cls, made))
    for listed in (Sequence[str], tuple[str | int | float, ...]):
        made.register_unstructure_hook_func(partial(operator.eq, listed), list)
    made.register_unstructure_hook_func(
        partial(operator.eq, Sequence[RuleSpec]), lambda rules: [_plain_rule(rule, made) for rule in rules]
    )
    made.register_unstructure_hook_func(
        partial(operator.eq, Mapping[str, Mapping[str, str]]),
        lambda value: {name: dict(each) for name, each in value.items()},
    )
    return made


def _scalar(kind: type, words: str) -> Callable[[Any, Any], Any]:
    accepted = (int, float) if kind is float else (kind,)

    def convert(value: Any, _kind: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            hint = "; put it in quotes" if kind is str and isinstance(value, (int, float)) else ""
            raise SpecError(f"must be {words}, got {value!r}{hint}")
        return value

    return convert


def _texts(value: Any, _kind: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise SpecError(f"must be a list of texts, got {value!r}")
    return tuple(value)


def _text_mapping(value: Any, _kind: Any) -> Any:
    if not isinstance(value, Mapping):
        raise SpecError(f"must be a mapping of texts to texts, got {value!r}")
    return dict(value)


def _mapping(value: Any, _kind: Any) -> Any:
    return value  # the field's own validator says what is wrong


def _rules(value: Any, made: cattrs.Converter) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise SpecError(f"must be a list of rules, got {value!r}")
    rules: list[Any] = []
    errors: list[Exception] = []
    for number, entry in enumerate(value):
        try:
            rules.append(entry if isinstance(entry, str) else made.structure(entry, RuleSpec))
        except (cattrs.BaseValidationError, SpecError) as error:
            error.add_note(_PathNote(number))
            errors.append(error)
    if errors:
        raise cattrs.IterableValidationError("rules", errors, list)
    return rules


def _plain_rule(rule: RuleSpec, made: cattrs.Converter) -> Any:
    return rule.name if rule == RuleSpec(name=rule.name) else made.unstructure(rule, RuleSpec)


def _ranges(value: Any, made: cattrs.Converter) -> dict[str, Range]:
    if not isinstance(value, Mapping):
        raise SpecError(f"must map hyperparameters to ranges, got {value!r}")
    ranges: dict[str, Range] = {}
    errors: list[Exception] = []
    for name, entry in value.items():
        try:
            ranges[name] = made.structure(entry, _range_kind(name, entry))
        except (cattrs.BaseValidationError, SpecError) as error:
            error.add_note(_PathNote(name))
            errors.append(error)
    if errors:
        raise cattrs.IterableValidationError("ranges", errors, Mapping)
    return ranges


def _range_kind(name: str, entry: Any) -> type[Range]:
    if name not in hparams.names():
        raise SpecError(_unknown("hyperparameter", name, hparams.names()))
    if isinstance(entry, Mapping) and "values" not in entry:
        return IntegerRange if hparams.kind(name)[0] is int else ContinuousRange
    return CategoricalRange


class _PathNote(str):
    """A note on an exception that says in which entry of a mapping it arose."""

    __slots__ = ()


def _spec_hook(cls: type, made: cattrs.Converter) -> Callable[[Any, Any], Any]:
    attrs.resolve_types(cls)
    fields = {field.name: field for field in attrs.fields(cls)}
    hooks = {name: override(struct_hook=_field_hook(field, made)) for name, field in fields.items()}
    build: Callable[[Any, Any], Any] = make_dict_structure_fn(
        cls,
        made,
        _cattrs_forbid_extra_keys=True,
        _cattrs_detailed_validation=True,
        **hooks,  # type: ignore[arg-type]  # attribute overrides are keyword arguments here
    )

    def convert(value: Any, kind: Any) -> Any:
        if cls is Objective and isinstance(value, str):
            return value
        if cls is CategoricalRange and isinstance(value, list):
            return CategoricalRange(values=value)
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise SpecError(f"must be a mapping with keys of {', '.join(fields)}; got {value!r}")
        return build(value, kind)

    return convert


def _field_hook(field: attrs.Attribute[Any], made: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def convert(value: Any, kind: Any) -> Any:
        converted = made.structure(value, kind)
        if field.converter is not None:
            converted = field.converter(converted)  # type: ignore[operator]  # we use plain functions
        # Checked here, field by field, because making the object would stop at the first.
        if field.validator is not None:
            field.validator(None, field, converted)
        return converted

    return convert


def _plain_hook(cls: type, made: cattrs.Converter) -> Callable[[Any], dict[str, Any]]:
    attrs.resolve_types(cls)
    return make_dict_unstructure_fn(cls, made, _cattrs_omit_if_default=True)


def _flatten(error: BaseException, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield every problem in a tree of exceptions with its path."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, _PathNote):
            path = (*path, str(note))
        elif hasattr(note, "name") and hasattr(note, "type"):
            path = (*path, note.name)
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl)]
        for key in sorted(error.extra_fields):
            yield (*path, key), _unknown("key", key, known)
    elif isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _flatten(inner, path)
    elif isinstance(error, KeyError):
        yield path, "is required"
    else:
        message = str(error)
        yield path, message.removeprefix(f"{path[-1]} ") if path else message


def _unknown(what: str, name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
    return f"unknown {what}; {hint}"


def _line(path: Path, lines: Mapping[Path, int | None]) -> int | None:
    # A missing key has no line of its own: the nearest mapping above it has.
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _reading_order(problem: Problem) -> tuple[float, str]:
    return (problem.line if problem.line is not None else float("inf"), problem.path)
