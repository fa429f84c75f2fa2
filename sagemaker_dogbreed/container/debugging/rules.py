"""Rules: functions that look at a training's history and say what is wrong, if anything is.

Names, parameters and defaults are those of SageMaker Debugger's built-in rules.
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sagemaker_dogbreed.container.debugging.history import History

Value: TypeAlias = bool | int | float | str
Check: TypeAlias = Callable[..., str | None]

MOMENTS = ("step", "tensors", "epoch", "profile")
"""When a rule is asked: after each step, each sampled step's tensors, each epoch; ``profile``: every 60
seconds (after hours more rarely) and at the end. All are asked once more at the end."""


class RuleError(ValueError):
    """A rule, or a parameter of one, does not exist or is not acceptable."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule with its parameters.

    Attributes:
        name: As AWS writes it (``VanishingGradient``).
        check: Takes a history and the parameters by keyword; returns what is wrong in a sentence, or None.
        on: One of ``MOMENTS``.
        parameters: All of them, by name.
        stops: Whether training ends when it finds something.
    """

    name: str
    check: Check
    on: str
    parameters: Mapping[str, Value]
    stops: bool = False

    @property
    def profiles(self) -> bool:
        """Whether it judges the machine and the time, and not what is learned."""
        return self.on == "profile"

    def with_parameters(self, parameters: Mapping[str, Any], *, stops: bool = False) -> Rule:
        """Return the rule with other parameters; texts such as ``"0.1"`` are read.

        Raises:
            RuleError: It has no parameter of a name, or a value is of another type.
        """
        unknown = sorted(set(parameters) - set(self.parameters))
        if unknown:
            known = ", ".join(self.parameters) or "none"
            raise RuleError(f"rule {self.name} has no parameter {', '.join(unknown)}; there are {known}")
        values = {
            name: _like(f"{self.name}.{name}", self.parameters[name], value)
            for name, value in parameters.items()
        }
        return dataclasses.replace(self, parameters={**self.parameters, **values}, stops=stops)

    def __call__(self, history: History) -> str | None:
        """Return what is wrong in a sentence, or None."""
        return self.check(history, **self.parameters)


REGISTRY: dict[str, Rule] = {}
"""All rules by name, those of AWS's names and own ones."""


def rule(name: str, *, on: str) -> Callable[[Check], Check]:
    """Make a function a rule.

    The function takes the ``History`` so far, and its parameters by keyword, each with a default. It returns
    what is wrong, as a sentence with the numbers that show it, or None.

    >>> @rule("SlowStart", on="epoch")
    ... def slow_start(history, *, epochs=3, least_top_1=0.1):
    ...     best = max(epoch.measures["valid_top_1"] for epoch in history.epochs)
    ...     if len(history.epochs) >= epochs and best < least_top_1:
    ...         return f"after {len(history.epochs)} epochs top-1 is {best:.1%} at best"
    >>> REGISTRY.pop("SlowStart").parameters
    {'epochs': 3, 'least_top_1': 0.1}

    Raises:
        RuleError: The name or the moment is none, the name is taken by another function, or a parameter has
            no default.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z]+", name):
        raise RuleError(f"a rule's name is like VanishingGradient, got {name!r}")
    if on not in MOMENTS:
        raise RuleError(f"rule {name}: on is one of {', '.join(MOMENTS)}, got {on!r}")

    def register(check: Check) -> Check:
        own = list(inspect.signature(check).parameters.values())[1:]
        for parameter in own:
            if parameter.kind is not parameter.KEYWORD_ONLY or not isinstance(
                parameter.default, bool | int | float | str
            ):
                raise RuleError(
                    f"rule {name}: its parameter {parameter.name} must come after * and have a default that "
                    "is true or false, a number or a text"
                )
        known = REGISTRY.get(name)
        if known is not None and known.check.__qualname__ != check.__qualname__:
            raise RuleError(f"there is a rule {name} already; choose another name")
        REGISTRY[name] = Rule(name, check, on, {parameter.name: parameter.default for parameter in own})
        return check

    return register


def _like(name: str, default: Value, value: Any) -> Value:
    """Return a value in its default's type."""
    if isinstance(value, str) and not isinstance(default, str):
        value = _read(value)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default) or (isinstance(value, float) and not math.isfinite(value)):
        raise RuleError(f"rule parameter {name} must be like {default!r}, got {value!r}")
    result: Value = value
    return result


def _read(text: str) -> Any:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
