"""SageMaker's HyperParameterTuningJobConfig, read as a search.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperParameterTuningJobConfig.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagemaker_dogbreed.container.tuning.search import Search

MOST_TRIALS = 750
"""Trials of a tuning that states no number of its own; SageMaker's limit."""

Config = Mapping[str, Any]


def is_minimized(config: Config) -> bool:
    """Return whether less of the objective is better."""
    return bool(config["HyperParameterTuningJobObjective"]["Type"] == "Minimize")


def most_trials(config: Config) -> int:
    """Return the number of trials after which a tuning is done."""
    return int(config["ResourceLimits"].get("MaxNumberOfTrainingJobs", MOST_TRIALS))


def ranges(config: Config) -> dict[str, dict[str, Any]]:
    """Return the ranges as a search takes them.

    Raises:
        ValueError: There is none, or a name comes twice.
    """
    groups = config.get("ParameterRanges", {})
    found: dict[str, dict[str, Any]] = {}
    for kind in ("Integer", "Continuous", "Categorical"):
        for item in groups.get(f"{kind}ParameterRanges", []):
            if item["Name"] in found:
                raise ValueError(f"the hyperparameter {item['Name']!r} comes more than once")
            found[item["Name"]] = (
                {"type": kind, "values": item["Values"]}
                if kind == "Categorical"
                else {
                    "type": kind,
                    "min": item["MinValue"],
                    "max": item["MaxValue"],
                    "scaling": item.get("ScalingType", "Auto"),
                }
            )
    if not found:
        raise ValueError("at least one hyperparameter must have a range")
    return found


def stops_trials(config: Config) -> bool:
    """Return whether trials that fall behind are stopped."""
    return "Hyperband" in config["Strategy"] or "Auto" in config.get("TrainingJobEarlyStoppingType", "Off")


def new_search(config: Config, epochs: int) -> Search:
    """Return the search; ``epochs`` are those of a trial, where Hyperband's are not stated.

    Raises:
        ValueError: The search cannot be as it is described.
    """
    hyperband = config["Strategy"] == "Hyperband"
    resources = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    return Search(
        ranges(config),
        strategy=config["Strategy"],
        minimize=is_minimized(config),
        seed=config.get("RandomSeed"),
        max_trials=most_trials(config),
        early_stopping=stops_trials(config) and not hyperband,
        min_epochs=resources.get("MinResource", 1) if hyperband else None,
        max_epochs=resources.get("MaxResource", epochs) if hyperband else None,
    )
