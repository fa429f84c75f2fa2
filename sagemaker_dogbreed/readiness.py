"""What would fail later, found before anything is uploaded, trained or paid for."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.container.debugging.records import FOLDER
from sagemaker_dogbreed.container.debugging.rules import REGISTRY, RuleError
from sagemaker_dogbreed.container.debugging.settings import OWN_RULES, rules_by_name, wanted_rules
from sagemaker_dogbreed.container.resumption import free_to_change
from sagemaker_dogbreed.errors import (
    EndpointError,
    JobError,
    NameTakenError,
    SpecError,
    StoreError,
    UnsupportedError,
)
from sagemaker_dogbreed.jobs.calls import explain
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS, kind_of
from sagemaker_dogbreed.requests.tuning_job import tuning_config
from sagemaker_dogbreed.specs.debugger import DebuggerSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec
from sagemaker_dogbreed.store.interface import Store

WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")


def check_training(spec: TrainingSpec, store: Store, *, runs_aws_rules: bool) -> None:
    """Check that a training job can be carried out and finds its weights.

    Args:
        spec: The training job.
        store: Where its weights may be.
        runs_aws_rules: Whether rules of SageMaker Debugger are evaluated where it runs.

    Raises:
        UnsupportedError: The spec asks for rules of SageMaker Debugger where there is none.
        SpecError: The weights file does not exist, or is of no known kind; or own rules are not in order.
        StoreError: There is nothing at the weights' URI.
    """
    parts = {"training.debugger": spec.debugger, "training.profiler": spec.profiler}
    of_aws = [name for name, part in parts.items() if part is not None and part.backend == "aws"]
    if of_aws and not runs_aws_rules:
        options = " ".join(f"--set {name}.backend=native" for name in of_aws)
        raise UnsupportedError(
            f"{', '.join(of_aws)} with backend: aws is for SageMaker itself, through Session.aws(); here use "
            f"the native one, which has the same rules: {options}"
        )
    if spec.debugger is not None and spec.debugger.rule_file is not None:
        check_rule_file(spec.debugger)
    source = spec.weights_source
    if source is None:
        return
    if source.startswith("s3://"):
        if not store.list(source):
            raise StoreError(f"weights: there is nothing at {source}")
        return
    if not Path(source).expanduser().is_file():
        raise SpecError(
            f"weights: there is no file {source!r}; give imagenet, none, or a weights file's path"
        )
    if not source.endswith(WEIGHTS_SUFFIXES):
        raise SpecError(
            f"weights: {source!r} is no weights file; its name ends in {', '.join(WEIGHTS_SUFFIXES)}"
        )


def check_rule_file(spec: DebuggerSpec) -> None:
    """Check that a file of own rules can be read by Python and has the rules that are asked for.

    Raises:
        SpecError: There is no such file, it cannot be executed, or a rule or a parameter does not exist.
    """
    path = Path(spec.rule_file or "").expanduser()
    if not path.is_file():
        raise SpecError(f"debugger.rule_file: there is no file {spec.rule_file!r}")
    found = importlib.util.spec_from_file_location(OWN_RULES, path)
    if found is None or found.loader is None:
        raise SpecError(f"debugger.rule_file: {spec.rule_file!r} is no Python file")
    for name in [name for name, rule in REGISTRY.items() if rule.check.__module__ == OWN_RULES]:
        del REGISTRY[name]  # of a file that was checked before
    try:
        found.loader.exec_module(importlib.util.module_from_spec(found))
    except Exception as error:  # it is the user's code
        raise SpecError(f"debugger.rule_file: {path} fails: {type(error).__name__}: {error}") from error
    try:
        rules_by_name({each.name: each.parameters for each in spec.rules})
        wanted_rules(spec.settings, None, own=False)  # of the built-in ones only those of training
    except RuleError as error:
        raise SpecError(f"debugger.rules: {error}") from None


def check_backbone(spec: TrainingSpec) -> None:
    """Check that a backbone is one of torchvision's, where torchvision is installed; that takes seconds.

    Raises:
        SpecError: There is none of the name; the message has the nearest ones.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    from sagemaker_dogbreed.container import model

    try:
        model.check_backbone(spec.backbone)
    except ValueError as error:
        raise SpecError(str(error)) from None


def check_resumption(
    spec: TrainingSpec,
    store: Store,
    checkpoint_uri: str,
    job_name: str,
    earlier: Mapping[str, str],
    tuning: TuningSpec | None = None,
) -> None:
    """Check that an earlier job left checkpoints to go on from, and was of the same spec.

    Args:
        spec: What is to be trained.
        store: Where the checkpoints are.
        checkpoint_uri: Their prefix.
        job_name: The earlier job's name.
        earlier: Its hyperparameters.
        tuning: The search, of a job that runs all trials.

    Raises:
        JobError: There are none, or they would not fit.
    """
    asked = spec.hyperparameters.to_strings()
    free = free_to_change(asked)
    if tuning is not None:
        free = (free - {"epochs", "patience"}) | set(tuning.ranges)
        if not _same_search(earlier.get(hparams.TUNING, ""), tuning, spec):
            raise JobError(
                f"training job {job_name!r} ran another search, or none: objective, ranges, strategy, seed, "
                "early stopping must be the same to go on from its trials; only how many there are may change"
            )
    changed = [
        f"{name} (was {earlier.get(name, 'not given')}, is {asked.get(name, 'not given')})"
        for name in hparams.names()
        if name not in free and earlier.get(name) != asked.get(name)
    ]
    if changed:
        raise JobError(
            f"training job {job_name!r} was of another spec, and its checkpoints do not fit: "
            f"{', '.join(changed)}. Use the same values, or leave resume_from out to start from the beginning"
        )
    records = f"{checkpoint_uri}/{FOLDER}/"
    if all(uri.startswith(records) for uri, _ in store.list(checkpoint_uri)):
        raise JobError(
            f"training job {job_name!r} left no checkpoints to resume from at {checkpoint_uri}; "
            "leave resume_from out to start from the beginning"
        )


def _same_search(earlier: str, tuning: TuningSpec, spec: TrainingSpec) -> bool:
    limits = ("ResourceLimits", "TuningJobCompletionCriteria")
    try:
        found = hparams.read_tuning(earlier)
    except ValueError:
        return False
    asked = tuning_config(tuning, spec)
    return all(found.get(name) == asked.get(name) for name in {*found, *asked} - set(limits))


def check_endpoint_name(sagemaker: Any, name: str) -> None:
    """Check that a name is free for an endpoint, its config and its model.

    Raises:
        NameTakenError: One of them exists.
        EndpointError: SageMaker does not tell.
    """
    lookups = (
        ("an endpoint", sagemaker.describe_endpoint, "EndpointName"),
        ("an endpoint config", sagemaker.describe_endpoint_config, "EndpointConfigName"),
        ("a model", sagemaker.describe_model, "ModelName"),
    )
    for what, describe, parameter in lookups:
        try:
            describe(**{parameter: name})
        except AWS_ERRORS as error:
            if kind_of(error) == "missing":
                continue
            raise EndpointError(
                f"whether there is {what} {name!r} cannot be told: {explain(error)}"
            ) from error
        raise NameTakenError(
            f"endpoint {name!r} was not created: there is {what} of this name already; choose another name, "
            f"or, if nobody needs it, delete it: session.predictor({name!r}).delete(), or the command delete"
        )
