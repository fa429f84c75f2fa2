"""``DebugHookConfig``, rules and profiler of a training job: SageMaker Debugger, where a spec asks for it.

https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-createtrainingjob-api.html
"""

from __future__ import annotations

import re
import warnings
from typing import Any

from sagemaker_dogbreed.container.debugging.settings import SAVE_INTERVAL
from sagemaker_dogbreed.errors import MissingExtraError, SpecError
from sagemaker_dogbreed.specs.debugger import DebuggerSpec, ProfilerSpec, RuleSpec
from sagemaker_dogbreed.specs.training import TrainingSpec


def wants_rules(spec: TrainingSpec) -> bool:
    """Whether a spec has rules that AWS evaluates, in containers of their own."""
    return any(
        part is not None and part.backend == "aws" and part.rules for part in (spec.debugger, spec.profiler)
    )


def debugger_fields(spec: TrainingSpec, output_uri: str, rule_image_uri: str | None) -> dict[str, Any]:
    """Return the members of CreateTrainingJob about debugging and profiling.

    Without a profiler of AWS's the system monitoring that SageMaker starts by itself is turned off.

    Args:
        spec: What is trained.
        output_uri: ``s3://`` prefix for tensors and findings.
        rule_image_uri: Image of the rules' evaluator; needed where ``wants_rules``.

    Raises:
        SpecError: AWS has no rule of such a name.
        MissingExtraError: ``smdebug_rulesconfig``, which knows the rules, is not installed.
    """
    fields: dict[str, Any] = {"ProfilerConfig": {"DisableProfiler": True}}
    if spec.debugger is not None and spec.debugger.backend == "aws":
        fields |= _debugger(spec.debugger, output_uri, rule_image_uri)
    if spec.profiler is not None and spec.profiler.backend == "aws":
        fields |= _profiler(spec.profiler, output_uri, rule_image_uri)
    return fields


def _debugger(spec: DebuggerSpec, output_uri: str, image_uri: str | None) -> dict[str, Any]:
    known = {rule.name: _debugger_rule(rule.name) for rule in spec.rules}
    # The hook records what the rules read, and the losses in any case.
    collections: dict[str, dict[str, str]] = {"losses": {}}
    for rule in known.values():
        for collection in rule.get("CollectionConfigurations", ()):
            collections[collection["CollectionName"]] = collection.get("CollectionParameters", {})
    fields: dict[str, Any] = {
        "DebugHookConfig": {
            "S3OutputPath": output_uri,
            "CollectionConfigurations": [
                {
                    "CollectionName": name,
                    "CollectionParameters": {
                        **parameters,
                        "save_interval": str(spec.save_interval or SAVE_INTERVAL),
                    },
                }
                for name, parameters in sorted(collections.items())
            ],
        }
    }
    if known:
        fields["DebugRuleConfigurations"] = [
            _rule(each, known[each.name]["DebugRuleConfiguration"]["RuleParameters"], image_uri)
            for each in spec.rules
        ]
    return fields


def _profiler(spec: ProfilerSpec, output_uri: str, image_uri: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "ProfilerConfig": {
            "S3OutputPath": output_uri,
            "ProfilingIntervalInMilliseconds": spec.interval_milliseconds,
            "DisableProfiler": False,
        }
    }
    if spec.rules:
        fields["ProfilerRuleConfigurations"] = [
            _rule(each, _profiler_rule(each.name), image_uri) for each in spec.rules
        ]
    return fields


def _rule(rule: RuleSpec, defaults: dict[str, Any], image_uri: str | None) -> dict[str, Any]:
    if image_uri is None:
        raise SpecError(f"the rule {rule.name} needs the image of AWS's evaluator, which is not known here")
    return {
        "RuleConfigurationName": rule.name,
        "RuleEvaluatorImage": image_uri,
        "RuleParameters": {key: str(value) for key, value in {**defaults, **rule.parameters}.items()},
    }


def _rules_config() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package's own source warns when it is first compiled
            import smdebug_rulesconfig  # type: ignore[import-untyped]  # ships no types
            import smdebug_rulesconfig.profiler_rules.rules  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("smdebug-rulesconfig", "aws", "rules with backend: aws") from error
    return smdebug_rulesconfig


def _debugger_rule(name: str) -> dict[str, Any]:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    found: dict[str, Any] | None = getattr(_rules_config(), words, lambda: None)()
    if not isinstance(found, dict):
        raise SpecError(
            f"debugger.rules: SageMaker Debugger has no rule {name!r}; see "
            "https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html"
        )
    return found


def _profiler_rule(name: str) -> dict[str, Any]:
    base = _rules_config().profiler_rules.rules.ProfilerRuleBase
    known = {rule.__name__: rule for rule in base.__subclasses__()}
    if name not in known:
        raise SpecError(f"profiler.rules: there is no rule {name!r}; there are {', '.join(sorted(known))}")
    parameters: dict[str, Any] = known[name]().rule_parameters
    return parameters
