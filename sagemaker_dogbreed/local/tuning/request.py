"""What a CreateHyperParameterTuningJob request must be for this machine to run it."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Mapping
from typing import Any

from sagemaker_dogbreed.container.tuning import configuration, search_space
from sagemaker_dogbreed.container.tuning.configuration import MOST_TRIALS
from sagemaker_dogbreed.container.tuning.search_space import Dimension
from sagemaker_dogbreed.local import training_request
from sagemaker_dogbreed.local.faults import ServiceFault, invalid
from sagemaker_dogbreed.local.tuning import trials
from sagemaker_dogbreed.local.workspace import Parameters
from sagemaker_dogbreed.store.local import LocalStore

_MOST_PARALLEL = 100
_MOST_HYPERPARAMETERS = 100


def check(request: Parameters, store: LocalStore) -> None:
    """Check a request as the service does, its first training job included.

    Raises:
        ServiceFault: ValidationException or ResourceLimitExceeded; the message names the member.
    """
    if importlib.util.find_spec("optuna") is None:
        raise _beyond("the package optuna is missing; pip install 'sagemaker-dogbreed[local]' brings it")
    for member in ("TrainingJobDefinitions", "Autotune"):
        if member in request:
            raise _beyond(f"{member} cannot be used: there must be one TrainingJobDefinition")
    if "TrainingJobDefinition" not in request:
        raise invalid("Missing required member: TrainingJobDefinition")
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    for member in ("TuningObjective", "HyperParameterRanges"):
        if member in definition:
            raise invalid(
                f"TrainingJobDefinition.{member} is for tuning jobs with TrainingJobDefinitions only"
            )
    _check_objective(config, definition)
    found = dimensions(config)
    _check_hyperparameters(found, definition)
    _check_limits(config, found)
    _check_strategy(config, definition)
    name, values = request["HyperParameterTuningJobName"], {item.name: _example(item) for item in found}
    first = trials.training_request(trials.job_name(name, 1), config, definition, values, {})
    training_request.check(first, store)


def dimensions(config: Parameters) -> tuple[Dimension, ...]:
    """Return the ranges of a tuning job.

    Raises:
        ServiceFault: ValidationException: a range is not acceptable.
    """
    try:
        return search_space.read(ranges(config))
    except ValueError as error:
        raise invalid(f"ParameterRanges: {error}") from error


def ranges(config: Parameters) -> Mapping[str, Mapping[str, Any]]:
    """Return the ranges of a tuning job as a search takes them.

    Raises:
        ServiceFault: ValidationException: there is none, or a name comes twice.
    """
    if config.get("ParameterRanges", {}).get("AutoParameters"):
        raise _beyond("ParameterRanges.AutoParameters cannot be used: state each range")
    try:
        return configuration.ranges(config)
    except ValueError as error:
        raise invalid(f"ParameterRanges: {error}") from error


def resources(config: Parameters, definition: Parameters) -> tuple[int, int]:
    """Return Hyperband's least and greatest number of epochs of a trial.

    As on AWS, the greatest is the static hyperparameter ``epochs`` where the request states none.

    Raises:
        ServiceFault: ValidationException: there is no greatest number, or it is below the least.
    """
    stated = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    most = stated.get("MaxResource")
    if most is None:
        text = definition.get("StaticHyperParameters", {}).get("epochs", "").strip('"')
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
            raise invalid(
                "MaxResource parameter is not provided and could not be inferred from provided static "
                "hyperparameters of TrainingJobDefinition."
            )
        most = int(text)
    least = stated.get("MinResource", 1)
    if least > most:
        raise invalid(f"HyperbandStrategyConfig: MinResource ({least}) is more than MaxResource ({most})")
    return least, most


def _check_objective(config: Parameters, definition: Parameters) -> None:
    objective = config.get("HyperParameterTuningJobObjective")
    if objective is None:
        raise invalid(
            "Missing required member: HyperParameterTuningJobConfig.HyperParameterTuningJobObjective"
        )
    metrics = definition["AlgorithmSpecification"].get("MetricDefinitions", [])
    if objective["MetricName"] not in {metric["Name"] for metric in metrics}:
        raise invalid(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the "
            f"metric definitions. (There is none named {objective['MetricName']!r}.)"
        )
    target = config.get("TuningJobCompletionCriteria", {}).get("TargetObjectiveMetricValue")
    if target is not None and not math.isfinite(float(target)):  # botocore sends NaN as a text
        raise invalid(f"TargetObjectiveMetricValue must be finite, got {target}")


def _check_hyperparameters(found: tuple[Dimension, ...], definition: Parameters) -> None:
    static = definition.get("StaticHyperParameters", {})
    both = sorted(item.name for item in found if item.name in static)
    if both:
        raise invalid(
            f"The hyperparameters {', '.join(both)} are in both ParameterRanges and StaticHyperParameters. "
            "A hyperparameter is either tuned or static."
        )
    if trials.OBJECTIVE_HYPERPARAMETER in {*static, *(item.name for item in found)}:
        raise invalid(f"{trials.OBJECTIVE_HYPERPARAMETER} is a hyperparameter that SageMaker sets")
    if len(found) + len(static) + 1 > _MOST_HYPERPARAMETERS:
        raise invalid(f"A training job can have at most {_MOST_HYPERPARAMETERS} hyperparameters")


def _check_limits(config: Parameters, found: tuple[Dimension, ...]) -> None:
    limits = config["ResourceLimits"]
    most, parallel = limits.get("MaxNumberOfTrainingJobs"), limits["MaxParallelTrainingJobs"]
    for member, value, limit in (
        ("MaxNumberOfTrainingJobs", most or 0, MOST_TRIALS),
        ("MaxParallelTrainingJobs", parallel, _MOST_PARALLEL),
    ):
        if value > limit:
            raise ServiceFault(
                "ResourceLimitExceeded", f"ResourceLimits.{member} is {value}; at most {limit}"
            )
    sizes = [item.size for item in found]
    combinations = math.inf if None in sizes else math.prod(size or 1 for size in sizes)
    if config["Strategy"] == "Grid":
        if any(item.kind != "Categorical" for item in found):
            raise invalid("The Grid strategy takes CategoricalParameterRanges only")
        if combinations > MOST_TRIALS:
            raise invalid(
                f"The Grid strategy has {combinations} combinations of values; a tuning job runs at most "
                f"{MOST_TRIALS}"
            )
        if most not in {None, combinations}:
            raise invalid(
                f"MaxNumberOfTrainingJobs ({most}) must be the number of combinations of the Grid strategy "
                f"({combinations}), or be left out"
            )
        most = int(combinations)
    elif most is None and "MaxRuntimeInSeconds" not in limits and not _ends(config):
        raise invalid(
            "ResourceLimits must have MaxNumberOfTrainingJobs or MaxRuntimeInSeconds, or there must be "
            "TuningJobCompletionCriteria"
        )
    if most is not None and combinations < most:
        raise invalid(
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{float(combinations)}] must be equal or "
            f"greater than the value of MaxNumberOfJobs, [{most}]. Provide additional ranges."
        )
    if most is not None and parallel > most:
        raise invalid(f"MaxParallelTrainingJobs ({parallel}) is more than MaxNumberOfTrainingJobs ({most})")


def _ends(config: Parameters) -> bool:
    criteria = config.get("TuningJobCompletionCriteria", {})
    converged = criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled"
    stalled = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    return converged or stalled is not None or "TargetObjectiveMetricValue" in criteria


def _check_strategy(config: Parameters, definition: Parameters) -> None:
    if config["Strategy"] != "Hyperband":
        if config.get("StrategyConfig"):
            raise invalid("StrategyConfig is for the Hyperband strategy only")
        return
    if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        raise invalid(
            "TrainingJobEarlyStoppingType must be Off with the Hyperband strategy, which stops training jobs "
            "itself"
        )
    resources(config, definition)


def _example(dimension: Dimension) -> str:
    if dimension.kind == "Categorical":
        return dimension.values[0]
    return json.dumps(dimension.low)


def _beyond(message: str) -> ServiceFault:
    return invalid(f"The local SageMaker cannot run this tuning job: {message}")
