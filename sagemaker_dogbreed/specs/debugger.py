"""What is watched while a job trains."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from sagemaker_dogbreed.container.debugging import settings
from sagemaker_dogbreed.container.debugging.rules import RuleError, Value
from sagemaker_dogbreed.container.debugging.smdebug_checks import SmdebugError, check_collections
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.frozen_mapping import frozen
from sagemaker_dogbreed.specs.validation import choice, number, path_text, text, text_validator

RULE_PATTERN = r"[A-Z][A-Za-z]+"
_MOST_RULES = 20
_INTERVALS = (100, 200, 500, 1000, 5000, 60_000)


def _parameters(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping):
        raise SpecError(f"{attribute.name} must map a rule's parameters to values, got {value!r}")
    for name, item in value.items():
        if not isinstance(name, str) or not isinstance(item, bool | int | float | str):
            raise SpecError(
                f"{attribute.name} must hold true or false, numbers or texts; got {name!r}: {item!r}"
            )


@attrs.frozen(kw_only=True)
class RuleSpec:
    """A rule with parameters of its own, or one that stops the training when it finds something.

    Parameters have AWS's names and defaults.
    https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html

    >>> RuleSpec(name="LossNotDecreasing", parameters={"num_steps": 50}, on_trigger="stop").name
    'LossNotDecreasing'
    """

    name: str = text("the rule's name", pattern=RULE_PATTERN, example="VanishingGradient")
    parameters: Mapping[str, Value] = attrs.field(
        factory=dict,
        converter=frozen,
        validator=_parameters,
        metadata={"help": "parameters that differ from the rule's defaults"},
    )
    on_trigger: str = choice("what happens when it finds something", ("none", "stop"), "none")


def _rule_specs(value: Sequence[str | RuleSpec]) -> tuple[RuleSpec, ...]:
    if not isinstance(value, list | tuple):
        return cast("tuple[RuleSpec, ...]", value)  # of which the validator says what is wrong
    return tuple(RuleSpec(name=each) if isinstance(each, str) else each for each in value)


def _check_rules(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(each, RuleSpec) for each in value):
        raise SpecError(f"{attribute.name} must be a list of rules (names, or RuleSpec), got {value!r}")
    if len(value) > _MOST_RULES:
        raise SpecError(f"{attribute.name} must be {_MOST_RULES} at most, got {len(value)}")
    names = [each.name for each in value]
    if len(set(names)) != len(names):
        raise SpecError(f"{attribute.name} must differ from each other, got {', '.join(names)}")


def _frozen_twice(value: Any) -> Any:
    return frozen(
        {name: frozen(each) for name, each in value.items()} if isinstance(value, Mapping) else value
    )


def _collections(_spec: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(each, Mapping) for name, each in value.items()
    ):
        raise SpecError(f"{attribute.name} must map names of collections to their parameters, got {value!r}")
    for name, parameters in value.items():
        if not re.fullmatch(r"\w{1,128}", name):
            raise SpecError(f"{attribute.name}: a collection's name is like gradients, got {name!r}")
        if not all(isinstance(part, str) for item in parameters.items() for part in item):
            raise SpecError(f"{attribute.name}.{name} must map texts to texts, got {dict(parameters)!r}")


def _backend(what: str) -> Any:
    return choice(
        f"what {what}: native (the training script, everywhere) or aws (SageMaker Debugger, which is "
        "closed to accounts that did not use it before 2026-07-30)",
        ("native", "aws"),
        "native",
    )


@attrs.frozen(kw_only=True)
class DebuggerSpec:
    """What of a training is recorded, and the rules it is judged by, under AWS's names.

    >>> [rule.name for rule in DebuggerSpec(rules=["Overfit"]).rules]
    ['Overfit']
    """

    rules: Sequence[RuleSpec] = attrs.field(
        default=(),
        converter=_rule_specs,
        validator=_check_rules,
        metadata={"help": "training rules; without any, native judges by all that are built in"},
    )
    rule_file: str | None = attrs.field(
        default=None,
        converter=path_text,
        validator=text_validator(r".+\.py", "my_rules.py"),
        metadata={"help": "a Python file of own rules, functions with the decorator rule; all are asked"},
    )
    save_interval: int | None = number(
        f"steps from one recording of tensors to the next; default: {settings.SAVE_INTERVAL}, and of quick "
        "steps no more than two recordings a second",
        default=None,
        minimum=1,
        whole=True,
    )
    backend: str = _backend("watches")
    hook: str = choice(
        "what records tensors: native, or smdebug too (smdebug's own hook, for its create_trial)",
        ("native", "smdebug"),
        "native",
    )
    collections: Mapping[str, Mapping[str, str]] = attrs.field(
        factory=dict,
        converter=_frozen_twice,
        validator=_collections,
        metadata={"help": "collections of smdebug's hook and their parameters; default: its own"},
    )

    def __attrs_post_init__(self) -> None:
        if self.backend == "aws":
            native = [name for name in ("rule_file", "hook", "collections") if _is_set(self, name)]
            if native:
                raise SpecError(f"{', '.join(native)} need backend: native; AWS's rules have none of it")
            _check_aws(self.rules)
        elif self.rule_file is None:  # own rules are known only once their file is read
            _check_native(self.rules, profiles=False)
        if self.collections and self.hook != "smdebug":
            raise SpecError("collections are for hook: smdebug")
        try:
            check_collections(self.collections)
        except SmdebugError as error:
            raise SpecError(str(error)) from None

    @property
    def settings(self) -> settings.DebuggerSettings | None:
        """What the training script is told; None where AWS watches."""
        if self.backend == "aws":
            return None
        return settings.DebuggerSettings(
            rules=_settings(self.rules),
            save_interval=self.save_interval,
            hook=self.hook,
            collections={name: dict(each) for name, each in self.collections.items()},
            own_rules=self.rule_file is not None,
        )


@attrs.frozen(kw_only=True)
class ProfilerSpec:
    """How machine and time are measured, and the profiler rules they are judged by, under AWS's names.

    >>> ProfilerSpec(rules=["LowGPUUtilization"]).interval_milliseconds
    500
    """

    rules: Sequence[RuleSpec] = attrs.field(
        default=(),
        converter=_rule_specs,
        validator=_check_rules,
        metadata={"help": "profiler rules; without any, native judges by all that are built in"},
    )
    interval_milliseconds: int = number(
        "time between measurements, ms: 100, 200, 500, 1000, 5000 or 60000",
        default=500,
        minimum=100,
        maximum=60_000,
        whole=True,
    )
    backend: str = _backend("measures")

    def __attrs_post_init__(self) -> None:
        if self.interval_milliseconds not in _INTERVALS:
            raise SpecError(
                f"interval_milliseconds must be one of {', '.join(map(str, _INTERVALS))}; "
                f"got {self.interval_milliseconds}"
            )
        if self.backend == "native":
            _check_native(self.rules, profiles=True)
        else:
            _check_aws(self.rules)

    @property
    def settings(self) -> settings.ProfilerSettings | None:
        """What the training script is told; None where AWS measures."""
        if self.backend == "aws":
            return None
        return settings.ProfilerSettings(
            rules=_settings(self.rules), interval_milliseconds=self.interval_milliseconds
        )


def _settings(rules: Sequence[RuleSpec]) -> tuple[settings.RuleSetting, ...]:
    return tuple(
        settings.RuleSetting(
            name=each.name, parameters=dict(each.parameters), stops=each.on_trigger == "stop"
        )
        for each in rules
    )


def _check_native(rules: Sequence[RuleSpec], *, profiles: bool) -> None:
    try:
        settings.chosen_rules(_settings(rules), profiles=profiles)
    except RuleError as error:
        raise SpecError(f"rules: {error}") from None


def _check_aws(rules: Sequence[RuleSpec]) -> None:
    stopping = [each.name for each in rules if each.on_trigger == "stop"]
    if stopping:
        raise SpecError(f"on_trigger: stop needs backend: native; it is asked for of {', '.join(stopping)}")


def _is_set(spec: DebuggerSpec, name: str) -> bool:
    default = attrs.fields_dict(DebuggerSpec)[name].default
    return bool(getattr(spec, name)) and getattr(spec, name) != default
