"""Warm start: what a tuning job learns from earlier ones.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-warm-start.html
"""

from __future__ import annotations

from typing import Any

from sagemaker_dogbreed.container.tuning.configuration import is_minimized
from sagemaker_dogbreed.local.faults import invalid
from sagemaker_dogbreed.local.tuning import request as tuning_request
from sagemaker_dogbreed.local.tuning import status as tuning_status
from sagemaker_dogbreed.local.tuning import trials
from sagemaker_dogbreed.local.workspace import Parameters, Workspace

_IDENTICAL = "IdenticalDataAndAlgorithm"


def earlier_trials(workspace: Workspace, request: Parameters) -> list[trials.Summary]:
    """Return the trials with an objective of the tuning jobs that a request names as its parents.

    Raises:
        ServiceFault: ValidationException: a parent is not there, has not ended, or is too different.
    """
    asked = request.get("WarmStartConfig")
    if asked is None:
        return []
    if request["HyperParameterTuningJobConfig"]["Strategy"] == "Grid":
        raise invalid("WarmStartConfig cannot be used with the Grid strategy")
    names = [parent.get("HyperParameterTuningJobName") for parent in asked["ParentHyperParameterTuningJobs"]]
    if None in names or len(set(names)) != len(names):
        raise invalid("ParentHyperParameterTuningJobs must be names that differ from each other")
    found = []
    for name in names:
        state = tuning_status.current(workspace.root, workspace.records(tuning_status.KIND).get(name))
        if state is None:
            raise invalid(f"ParentHyperParameterTuningJobs: there is no tuning job {name!r}")
        if not tuning_status.is_over(state):
            status = state["Description"]["HyperParameterTuningJobStatus"]
            raise invalid(f"ParentHyperParameterTuningJobs: {name!r} is in status {status}; wait for its end")
        _check_alike(name, state["Description"], request, asked["WarmStartType"])
        found += [trial for trial in state["Local"]["Trials"] if trials.objective(trial) is not None]
    return found


def best(request: Parameters, earlier: list[trials.Summary]) -> trials.Summary | None:
    """Return the best of the parents' trials where they can be compared with the tuning job's own."""
    asked = request.get("WarmStartConfig")
    if asked is None or asked["WarmStartType"] != _IDENTICAL:
        return None
    minimize = is_minimized(request["HyperParameterTuningJobConfig"])
    return trials.best(earlier, minimize=minimize)


def _check_alike(name: str, parent: dict[str, Any], request: Parameters, kind: str) -> None:
    """Check what SageMaker demands: one objective and, of identical tuning jobs, one task."""

    def differ(what: str) -> Exception:
        return invalid(f"The tuning job {request['HyperParameterTuningJobName']!r} cannot be started from "
                       f"{name!r} with WarmStartType {kind}: {what}")  # fmt: skip

    config, before = request["HyperParameterTuningJobConfig"], parent["HyperParameterTuningJobConfig"]
    if config["HyperParameterTuningJobObjective"] != before["HyperParameterTuningJobObjective"]:
        raise differ("their objectives differ")
    if _hyperparameters(request) != _hyperparameters(parent):
        raise differ("they do not have the same hyperparameters, tuned and static together")
    if kind != _IDENTICAL:
        return
    definition, earlier = request["TrainingJobDefinition"], parent["TrainingJobDefinition"]
    if _image(definition) != _image(earlier):
        raise differ("their training images differ; TransferLearning allows that")
    if definition.get("InputDataConfig") != earlier.get("InputDataConfig"):
        raise differ("their input data differ; TransferLearning allows that")


def _hyperparameters(request: Parameters) -> set[str]:
    tuned = tuning_request.ranges(request["HyperParameterTuningJobConfig"])
    return {*tuned, *request["TrainingJobDefinition"].get("StaticHyperParameters", {})}


def _image(definition: Parameters) -> Any:
    return definition["AlgorithmSpecification"].get("TrainingImage")
