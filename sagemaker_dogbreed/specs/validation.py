"""Validators of spec fields: each says which field, what was given and what is acceptable."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.frozen_mapping import frozen

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def hyperparameter(name: str) -> Any:
    """Return an attrs field with the default and the limits of a hyperparameter."""

    def validate(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
        try:
            hparams.check(attribute.name, value)
        except ValueError as error:
            raise SpecError(str(error)) from None

    rules = hparams.rules(name)
    limits = {limit: rules[limit] for limit in ("minimum", "maximum") if rules[limit] is not None}
    metadata = {"help": rules["help"], "choices": rules["choices"], **limits}
    return attrs.field(default=hparams.default(name), validator=validate, metadata=metadata)


def path_text(value: str | os.PathLike[str]) -> str:
    """Return a path as a text; anything that is neither path nor text as it is, for the validator."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def text_validator(pattern: str | None = None, example: str = "") -> Validator:
    """Return a validator for a text that is not empty; None is accepted where it is the default."""

    def validate(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and attribute.default is None:
            return
        if not isinstance(value, str):
            raise SpecError(f"{attribute.name} must be a text, got {value!r}")
        if not value.strip():
            raise SpecError(f"{attribute.name} must not be empty")
        if pattern is not None and not re.fullmatch(pattern, value):
            hint = f", for example {example!r}" if example else ""
            raise SpecError(f"{attribute.name} must match {pattern}{hint}; got {value!r}")

    return validate


def text(
    help_text: str, *, default: Any = attrs.NOTHING, pattern: str | None = None, example: str = ""
) -> Any:
    """Return an attrs field for a text; ``default=None`` makes it optional."""
    metadata = {"help": help_text, "pattern": pattern}
    return attrs.field(default=default, validator=text_validator(pattern, example), metadata=metadata)


def choice(help_text: str, choices: tuple[str, ...], default: str) -> Any:
    """Return an attrs field for one of a few texts."""

    def validate(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in choices:
            raise SpecError(f"{attribute.name} must be one of {', '.join(choices)}; got {value!r}")

    return attrs.field(default=default, validator=validate, metadata={"help": help_text, "choices": choices})


def number(
    help_text: str,
    *,
    default: Any = attrs.NOTHING,
    minimum: float | None = None,
    maximum: float | None = None,
    whole: bool = False,
) -> Any:
    """Return an attrs field for a number within limits; ``default=None`` makes it optional."""

    def validate(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and attribute.default is None:
            return
        check_number(attribute.name, value, minimum=minimum, maximum=maximum, whole=whole)

    limits = {"minimum": minimum, "maximum": maximum}
    metadata = {"help": help_text, **{name: limit for name, limit in limits.items() if limit is not None}}
    return attrs.field(default=default, validator=validate, metadata=metadata)


def check_number(
    name: str,
    value: object,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    whole: bool = False,
) -> None:
    """Raise SpecError unless the value is a finite number within the limits."""
    accepted = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted) or not math.isfinite(value):
        raise SpecError(f"{name} must be a {'whole ' if whole else ''}number, got {value!r}")
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        if minimum == maximum:
            bounds = f"{minimum}"
        elif maximum is None:
            bounds = f"at least {minimum}"
        elif minimum is None:
            bounds = f"at most {maximum}"
        else:
            bounds = f"between {minimum} and {maximum}"
        raise SpecError(f"{name} must be {bounds}, got {value!r}")


def flag(help_text: str, *, default: bool) -> Any:
    """Return an attrs field for true or false."""

    def validate(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, bool):
            raise SpecError(f"{attribute.name} must be true or false, got {value!r}")

    return attrs.field(default=default, validator=validate, metadata={"help": help_text})


def texts(help_text: str, *, pattern: str | None = None, example: str = "") -> Any:
    """Return an attrs field for a tuple of texts, empty by default; any list is accepted."""

    def validate(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, tuple):
            raise SpecError(f"{attribute.name} must be a list of texts, got {value!r}")
        for item in value:
            if not isinstance(item, str) or not item.strip():
                raise SpecError(f"{attribute.name} must hold texts that are not empty, got {item!r}")
            if pattern is not None and not re.fullmatch(pattern, item):
                raise SpecError(f"{attribute.name} must hold texts like {example!r}; got {item!r}")

    return attrs.field(
        default=(),
        converter=lambda value: tuple(value) if isinstance(value, list) else value,
        validator=validate,
        metadata={"help": help_text, "pattern": pattern},
    )


def text_mapping(
    help_text: str, check: Callable[[str, str, str], None] | None = None, *, most: int | None = None
) -> Any:
    """Return an attrs field for a mapping of texts to texts, empty by default.

    ``check(field name, key, value)`` may refuse single entries; ``most`` is how many there may be.
    """

    def validate(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, Mapping):
            raise SpecError(f"{attribute.name} must be a mapping of texts to texts, got {value!r}")
        if most is not None and len(value) > most:
            raise SpecError(f"{attribute.name} may have {most} entries at most, got {len(value)}")
        for key, item in value.items():
            if not isinstance(key, str) or not isinstance(item, str):
                raise SpecError(f"{attribute.name} must map texts to texts, got {key!r}: {item!r}")
            if check is not None:
                check(attribute.name, key, item)

    return attrs.field(
        factory=dict,
        converter=frozen,
        validator=validate,
        metadata={"help": help_text},
    )


def spec(
    help_text: str,
    kind: type,
    *,
    default: Any = attrs.NOTHING,
    factory: Any = None,
    optional: bool = False,
) -> Any:
    """Return an attrs field for a nested spec; None is accepted where it is the default, or optional."""

    def validate(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and (optional or attribute.default is None):
            return
        if not isinstance(value, kind):
            raise SpecError(f"{attribute.name} must be a {kind.__name__}, got {value!r}")

    metadata = {"help": help_text}
    if factory is not None:
        return attrs.field(factory=factory, validator=validate, metadata=metadata)
    return attrs.field(default=default, validator=validate, metadata=metadata)
