"""The limits that SageMaker's own model states and botocore leaves to the service to check.

botocore checks types, required members and minimum lengths before it sends; maximum lengths,
patterns and sets of values come here, read from the same model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sagemaker_dogbreed.local.faults import invalid

_SHOWN = 200  # characters of a refused value that a message repeats


Shape = Any  # botocore's; its stubs know the members of no kind of shape


def check(shape: Shape, parameters: dict[str, Any]) -> None:
    """Check a request's parameters against the model's limits.

    Raises:
        ServiceFault: ValidationException, naming every parameter that breaks one.
    """
    problems = list(_problems(shape, parameters, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise invalid(f"{count}: {'; '.join(problems[:10])}")


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in value:
                yield from _problems(member, value[name], f"{path}.{name}" if path else name)
    elif shape.type_name == "list":
        yield from _too_long(shape, value, path)
        for position, item in enumerate(value, 1):
            yield from _problems(shape.member, item, f"{path}.{position}.member")
    elif shape.type_name == "map":
        yield from _too_long(shape, value, path)
        for key, item in value.items():
            yield from _problems(shape.key, key, f"{path}.key")
            yield from _problems(shape.value, item, f"{path}.{key}.value")
    elif shape.type_name == "string":
        # A pattern is not run over a text of any length.
        too_long = list(_too_long(shape, value, path))
        yield from too_long or _text_problems(shape, value, path)
    elif shape.type_name in {"integer", "long", "float", "double"}:
        limit = shape.metadata.get("max")
        if limit is not None and value > limit:
            yield _failed(value, path, f"Member must have value less than or equal to {limit}")


def _too_long(shape: Shape, value: Any, path: str) -> Iterator[str]:
    limit = shape.metadata.get("max")
    if limit is not None and len(value) > limit:
        yield _failed(value, path, f"Member must have length less than or equal to {limit}")


def _text_problems(shape: Shape, value: str, path: str) -> Iterator[str]:
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield _failed(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield _failed(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    if "\0" in value:
        yield _failed(value, path, "Member must not hold NUL characters")


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # written for another dialect (\p{L})
        return True


def _failed(value: Any, path: str, rule: str) -> str:
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}..."
    return f"Value {shown} at {path!r} failed to satisfy constraint: {rule}"
