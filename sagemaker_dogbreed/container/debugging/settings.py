"""What a job is told about debugging and profiling: two hyperparameters, written by specs and read here.

Standard library only, so that specs need no torch.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sagemaker_dogbreed.container.debugging.rules import REGISTRY, Rule, RuleError, Value

DEBUGGER, PROFILER = "debugger", "profiler"
"""Names of the hyperparameters."""

SAVE_INTERVAL = 100
"""Steps from one recording of tensors to the next, unless a spec has its own."""

OFF = "off"
OWN_RULES = "own_rules"
"""Name of the module, beside the training script, that holds a user's own rules."""

_BUILTIN = "sagemaker_dogbreed.container.debugging.builtin"
_ALL_PROFILER_RULES = "ProfilerReport"
_MARK = "json:"  # SageMaker's toolkits take a value that is JSON apart


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleSetting:
    """A rule that is asked for.

    Attributes:
        parameters: Those that differ from its defaults.
        stops: Whether training ends when it finds something.
    """

    name: str
    parameters: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    stops: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class DebuggerSettings:
    """What of a training is recorded, and how it is judged.

    Attributes:
        rules: Without any, all built-in training rules judge.
        save_interval: Steps from one recording of tensors to the next; None: every ``SAVE_INTERVAL``, and no
            more often than costs little.
        hook: ``native``, or ``smdebug`` for smdebug's hook beside it.
        collections: Of smdebug's hook: names, and each one's parameters.
        own_rules: Whether there is a module of the user's rules beside the training script.
    """

    rules: tuple[RuleSetting, ...] = ()
    save_interval: int | None = None
    hook: str = "native"
    collections: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    own_rules: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProfilerSettings:
    """How the machine and the time are measured, and judged; without rules by all built-in profiler rules."""

    rules: tuple[RuleSetting, ...] = ()
    interval_milliseconds: int = 500


Settings = TypeVar("Settings", DebuggerSettings, ProfilerSettings)


def to_text(settings: DebuggerSettings | ProfilerSettings | None) -> str:
    """Return the value of a hyperparameter; None stands for neither recording nor judging.

    >>> to_text(ProfilerSettings(interval_milliseconds=1000))
    'json:{"interval_milliseconds":1000}'
    """
    if settings is None:
        return OFF
    fields = dataclasses.asdict(settings)
    defaults = dataclasses.asdict(type(settings)())
    changed = {name: value for name, value in fields.items() if value != defaults[name]}
    # SageMaker's own driver pastes hyperparameters into a shell script, in single quotes.
    return _MARK + json.dumps(changed, separators=(",", ":")).replace("'", "\\u0027")


def read_settings(kind: type[Settings], text: str | None) -> Settings | None:
    """Read what ``to_text`` returned; without a text, return the defaults.

    Raises:
        ValueError: It is something else.
    """
    if text is None:
        return kind()
    if text == OFF:
        return None
    try:
        fields = json.loads(text.removeprefix(_MARK))
        rules = tuple(RuleSetting(**each) for each in fields.pop("rules", ()))
        return kind(rules=rules, **fields)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not what the library writes: {text[:80]!r} ({error})") from error


def chosen_rules(settings: Sequence[RuleSetting], *, profiles: bool) -> list[Rule]:
    """Return the rules that are asked for, or all built-in ones of the kind where none is.

    As AWS has it, ``ProfilerReport`` stands for all profiler rules.

    Args:
        settings: What is asked for.
        profiles: Whether the rules are to be profiler rules.

    Raises:
        RuleError: There is no such rule, it is of the other kind, or a parameter is not acceptable.
    """
    importlib.import_module(_BUILTIN)
    known = {name: rule for name, rule in sorted(REGISTRY.items()) if rule.profiles == profiles}
    named = [each for each in settings if not (profiles and each.name == _ALL_PROFILER_RULES)]
    chosen: dict[str, Rule] = {}
    problems = []
    for each in named:
        if each.name not in known:
            problems.append(_unknown(each.name, known, profiles=profiles))
            continue
        try:
            chosen[each.name] = known[each.name].with_parameters(each.parameters, stops=each.stops)
        except RuleError as error:
            problems.append(str(error))
    if problems:
        raise RuleError("; ".join(problems))
    if len(named) == len(settings) > 0:
        return list(chosen.values())
    builtin = {name: rule for name, rule in known.items() if _is_builtin(rule)}
    return list({**builtin, **chosen}.values())


def rule_names() -> tuple[str, ...]:
    """Return the names of the built-in rules of both kinds, as specs may name them."""
    chosen = (*chosen_rules((), profiles=False), *chosen_rules((), profiles=True))
    return (*(rule.name for rule in chosen), _ALL_PROFILER_RULES)


def _unknown(name: str, known: Mapping[str, Rule], *, profiles: bool) -> str:
    kinds = "training", "profiler"
    if name in REGISTRY:
        there = "debugger" if profiles else "profiler"
        return f"{name} is a {kinds[not profiles]} rule, and belongs to {there}.rules"
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"there is no {kinds[profiles]} rule {name}; {hint}"


def wanted_rules(
    debugger: DebuggerSettings | None, profiler: ProfilerSettings | None, *, own: bool = True
) -> list[Rule]:
    """Return all rules of a job, those of a user's module among them unless ``own`` is false.

    Raises:
        RuleError: There is no such rule, or a parameter is not acceptable.
        Exception: Whatever the user's module raises.
    """
    rules: dict[str, Rule] = {}
    if debugger is not None:
        others: Sequence[RuleSetting] = debugger.rules
        if debugger.own_rules:
            importlib.import_module(_BUILTIN)
            if own:
                importlib.import_module(OWN_RULES)
                rules = {name: rule for name, rule in REGISTRY.items() if rule.check.__module__ == OWN_RULES}
            for each in debugger.rules:  # own ones may be of either kind
                if each.name in REGISTRY and not _is_builtin(REGISTRY[each.name]):
                    rules[each.name] = REGISTRY[each.name].with_parameters(each.parameters, stops=each.stops)
            others = [each for each in others if each.name not in rules and (own or each.name in REGISTRY)]
        if others or not debugger.rules:
            rules |= {rule.name: rule for rule in chosen_rules(others, profiles=False)}
    if profiler is not None:
        rules |= {rule.name: rule for rule in chosen_rules(profiler.rules, profiles=True)}
    return list(rules.values())


def _is_builtin(rule: Rule) -> bool:
    return rule.check.__module__.startswith(_BUILTIN.rpartition(".")[0])


def rules_by_name(parameters: Mapping[str, Mapping[str, Value]]) -> list[Rule]:
    """Return rules of either kind, own ones too, by their names with their parameters.

    Raises:
        RuleError: There is no such rule, or a parameter is not acceptable.
    """
    importlib.import_module(_BUILTIN)
    missing = sorted(set(parameters) - set(REGISTRY))
    if missing:
        raise RuleError(f"there is no rule {', '.join(missing)}; there are {', '.join(sorted(REGISTRY))}")
    return [REGISTRY[name].with_parameters(values) for name, values in parameters.items()]


def as_strings(debugger: DebuggerSettings | None, profiler: ProfilerSettings | None) -> dict[str, Any]:
    """Return both hyperparameters."""
    return {DEBUGGER: to_text(debugger), PROFILER: to_text(profiler)}
