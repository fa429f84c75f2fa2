"""CreateHyperParameterTuningJob.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagemaker_dogbreed.container.environment import CHECKPOINTS_BY_JOB
from sagemaker_dogbreed.container.hparams import TUNING, tuning_text
from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.requests.tags import Origin
from sagemaker_dogbreed.requests.training_job import LONGEST_VALUE, TrainingLocations, create_training_job
from sagemaker_dogbreed.specs.ranges import CategoricalRange, ContinuousRange, IntegerRange, Range
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec

_OWN_PLACE = {"TrainingJobName", "HyperParameters", "Tags", "ProfilerConfig"}
"""What a training request has and a tuning request has elsewhere, or does without (the profiler is off)."""

_MOST_TAGS = 45  # SageMaker takes 50, and the library adds its own


def create_tuning_job(
    tuning: TuningSpec, training: TrainingSpec, job_name: str, locations: TrainingLocations, origin: Origin
) -> dict[str, Any]:
    """Return the CreateHyperParameterTuningJob request of a search over trainings.

    All of the training request is in it, but for what is searched.

    Args:
        tuning: The search.
        training: What every trial has in common.
        job_name: The tuning job's name; its trials' begin with it.
        locations: What trials point at; ``checkpoint_uri`` is of all of them, in a folder each.
        origin: What the tags tell; SageMaker gives them to the trials too.

    Raises:
        SpecError: The training asks for what trials cannot have.
    """
    check_trials(tuning, training)
    request = create_training_job(training, job_name, locations, origin)
    definition = {name: value for name, value in request.items() if name not in _OWN_PLACE}
    definition["StaticHyperParameters"] = {
        name: value for name, value in request["HyperParameters"].items() if name not in tuning.ranges
    }
    # Whether SageMaker keeps the checkpoints of trials apart is not documented.
    definition["Environment"] = {**request["Environment"], CHECKPOINTS_BY_JOB: "1"}
    return {
        "HyperParameterTuningJobName": job_name,
        "HyperParameterTuningJobConfig": tuning_config(tuning, training),
        "TrainingJobDefinition": definition,
        **_warm_start(tuning),
        "Tags": origin.tags({**training.tags, **tuning.tags}),
    }


def create_single_job_tuning(
    tuning: TuningSpec, training: TrainingSpec, job_name: str, locations: TrainingLocations, origin: Origin
) -> dict[str, Any]:
    """Return the CreateTrainingJob request of one job that runs all trials of a search itself.

    It is the training's request, and the search is one more hyperparameter: the
    HyperParameterTuningJobConfig of ``create_tuning_job`` as JSON. Arguments are those of that.

    Raises:
        SpecError: The search does not fit into a hyperparameter.
    """
    check_trials(tuning, training)
    request = create_training_job(training, job_name, locations, origin)
    search = tuning_text(tuning_config(tuning, training))
    if len(search) > LONGEST_VALUE or "'" in search:
        raise SpecError(
            f"tuning.ranges: as a hyperparameter of one job the search has {len(search):,} characters, of "
            f"{LONGEST_VALUE:,} at most (and no single quote); search less, or use execution: service"
        )
    common = {name: value for name, value in request["HyperParameters"].items() if name not in tuning.ranges}
    return {
        **request,
        "HyperParameters": {**common, TUNING: search},
        "Tags": origin.tags({**training.tags, **tuning.tags}),
    }


def check_trials(tuning: TuningSpec, training: TrainingSpec) -> None:
    """Check that a search and a training go together.

    Raises:
        SpecError: The training has AWS's rules or profiler, which tuning has not; a single job could not
            install what it needs; Hyperband would begin to stop trials after their last epoch; there are
            too many tags.
    """
    if tuning.strategy == "Hyperband":
        _hyperband(tuning, training)
    isolated = training.network is not None and training.network.isolation
    if tuning.execution == "single_job" and isolated and training.image_uri is None:
        raise SpecError(
            "tuning.execution: single_job installs Optuna at its start, which training.network.isolation "
            "prevents: give training.image_uri of an image that has it, or use execution: service"
        )
    if len({*training.tags, *tuning.tags}) > _MOST_TAGS:
        raise SpecError(f"training.tags and tuning.tags may have {_MOST_TAGS} entries together at most")
    asked = {"debugger": training.debugger, "profiler": training.profiler}
    for name, part in asked.items():
        if part is not None and part.backend == "aws":
            raise SpecError(
                f"training.{name} with backend: aws is not for a tuning job, whose API has no {name}: tune "
                f"with attrs.evolve(training, {name}=None), and train the best with it"
            )


def tuning_config(tuning: TuningSpec, training: TrainingSpec) -> dict[str, Any]:
    """Return the HyperParameterTuningJobConfig of a search over trainings."""
    limits = {"MaxParallelTrainingJobs": tuning.jobs_at_a_time}
    if tuning.strategy != "Grid":  # whose number of jobs follows from its values
        limits["MaxNumberOfTrainingJobs"] = tuning.max_jobs
    if tuning.max_runtime_seconds is not None:
        limits["MaxRuntimeInSeconds"] = tuning.max_runtime_seconds
    config: dict[str, Any] = {
        "Strategy": tuning.strategy,
        "HyperParameterTuningJobObjective": {
            "Type": tuning.objective.goal,
            "MetricName": tuning.objective.metric,
        },
        "ResourceLimits": limits,
        "ParameterRanges": parameter_ranges(tuning.ranges),
        "TrainingJobEarlyStoppingType": "Auto" if tuning.early_stopping else "Off",
    }
    if tuning.strategy == "Hyperband":
        config["StrategyConfig"] = {"HyperbandStrategyConfig": _hyperband(tuning, training)}
    criteria = _completion_criteria(tuning)
    if criteria:
        config["TuningJobCompletionCriteria"] = criteria
    if tuning.seed is not None:
        config["RandomSeed"] = tuning.seed
    return config


def _hyperband(tuning: TuningSpec, training: TrainingSpec) -> dict[str, int]:
    least, most = tuning.min_epochs or 1, tuning.max_epochs or _most_epochs(tuning, training)
    if least > most:
        raise SpecError(f"tuning.min_epochs ({least}) is more than a trial's epochs ({most})")
    return {"MinResource": least, "MaxResource": most}


def _most_epochs(tuning: TuningSpec, training: TrainingSpec) -> int:
    searched = tuning.ranges.get("epochs")
    if isinstance(searched, CategoricalRange):
        return max(int(value) for value in searched.values)
    return training.epochs if searched is None else int(searched.max)


def _completion_criteria(tuning: TuningSpec) -> dict[str, Any]:
    criteria: dict[str, Any] = {}
    if tuning.target_value is not None:
        criteria["TargetObjectiveMetricValue"] = tuning.target_value
    if tuning.no_improvement_jobs is not None:
        criteria["BestObjectiveNotImproving"] = {
            "MaxNumberOfTrainingJobsNotImproving": tuning.no_improvement_jobs
        }
    if tuning.until_converged:
        criteria["ConvergenceDetected"] = {"CompleteOnConvergence": "Enabled"}
    return criteria


def parameter_ranges(ranges: Mapping[str, Range]) -> dict[str, list[dict[str, Any]]]:
    """Return the ``ParameterRanges`` of a search; all values are texts.

    >>> parameter_ranges({"epochs": IntegerRange(min=1, max=9)})["IntegerParameterRanges"]
    [{'Name': 'epochs', 'MinValue': '1', 'MaxValue': '9', 'ScalingType': 'Auto'}]
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for name, values in ranges.items():
        if isinstance(values, CategoricalRange):
            texts = [str(value) for value in values.values]
            found.setdefault("CategoricalParameterRanges", []).append({"Name": name, "Values": texts})
        else:
            kind = "Integer" if isinstance(values, IntegerRange) else "Continuous"
            found.setdefault(f"{kind}ParameterRanges", []).append(_limits(name, values))
    return found


def _limits(name: str, values: ContinuousRange | IntegerRange) -> dict[str, str]:
    return {
        "Name": name,
        "MinValue": str(values.min),
        "MaxValue": str(values.max),
        "ScalingType": values.scaling,
    }


def _warm_start(tuning: TuningSpec) -> dict[str, Any]:
    if not tuning.warm_start:
        return {}
    parents = [{"HyperParameterTuningJobName": name} for name in tuning.warm_start]
    return {
        "WarmStartConfig": {
            "ParentHyperParameterTuningJobs": parents,
            "WarmStartType": tuning.warm_start_type,
        }
    }
