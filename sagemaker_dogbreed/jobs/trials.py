"""Reads the trials of a tuning job from what SageMaker tells of its training jobs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs

from sagemaker_dogbreed.container import hparams
from sagemaker_dogbreed.errors import JobError, SpecError
from sagemaker_dogbreed.jobs.calls import described
from sagemaker_dogbreed.jobs.tuning_results import COMPLETED, FAILED, IN_PROGRESS, STOPPED, Trial, Value
from sagemaker_dogbreed.specs.tuning import Objective

_AT_A_TIME = 8  # AWS slows down who asks for more


def objective_of(job_name: str, answer: Mapping[str, Any]) -> Objective:
    """Return what a tuning job is after, from DescribeHyperParameterTuningJob's answer.

    Raises:
        JobError: It is after a metric that the training script does not report.
    """
    config = answer.get("HyperParameterTuningJobConfig") or {}
    asked = config.get("HyperParameterTuningJobObjective") or {}
    try:
        return Objective(metric=asked.get("MetricName"), goal=str(asked.get("Type")))
    except SpecError as error:
        raise JobError(f"tuning job {job_name!r} is not one of this library: {error}") from error


def list_trials(clients: Any, job_name: str) -> tuple[Trial, ...]:
    """Return the trials of a tuning job in the order of their creation, without their further metrics.

    Raises:
        ClientError: SageMaker refuses to tell; other errors of botocore likewise.
    """
    pages = clients.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=job_name,
        SortBy="CreationTime",
        SortOrder="Ascending",
        PaginationConfig={"PageSize": 100},
    )
    return tuple(_trial(summary) for page in pages for summary in page.get("TrainingJobSummaries") or ())


def with_metrics(clients: Any, trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Return the trials with the last value of each metric that they have reported.

    Raises:
        ClientError: SageMaker refuses to tell; other errors of botocore likewise.
    """
    sagemaker = clients.sagemaker
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return tuple(pool.map(lambda trial: attrs.evolve(trial, metrics=_metrics(sagemaker, trial)), trials))


def _metrics(sagemaker: Any, trial: Trial) -> dict[str, float]:
    answer = described(sagemaker.describe_training_job, TrainingJobName=trial.name)
    return {
        str(metric["MetricName"]): float(metric["Value"])
        for metric in answer.get("FinalMetricDataList") or ()
        if metric.get("MetricName") and metric.get("Value") is not None
    }


def _trial(summary: Mapping[str, Any]) -> Trial:
    status = summary.get("TrainingJobStatus")
    final = summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    value = final.get("Value")
    return Trial(
        name=str(summary.get("TrainingJobName", "")),
        status=status if status in (COMPLETED, FAILED, STOPPED) else IN_PROGRESS,
        hyperparameters={
            name: _value(name, text) for name, text in (summary.get("TunedHyperParameters") or {}).items()
        },
        value=None if value is None else float(value),
        seconds=_seconds(summary.get("TrainingStartTime"), summary.get("TrainingEndTime")),
        failure_reason=summary.get("FailureReason") if status == FAILED else None,
    )


def _value(name: str, text: str) -> Value:
    """Return a hyperparameter's value; as it is where it is none of the training script's."""
    if name not in hparams.names():
        return text
    try:
        value: Value | None = hparams.parse(name, text)
    except ValueError:
        return text
    return text if value is None else value


def _seconds(start: dt.datetime | None, end: dt.datetime | None) -> int | None:
    return None if start is None or end is None else round((end - start).total_seconds())
