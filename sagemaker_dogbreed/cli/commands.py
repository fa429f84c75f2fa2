"""What each command does."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from typing import TYPE_CHECKING

from sagemaker_dogbreed.errors import AccountError, EndpointError, JobError, NameTakenError, SpecError

if TYPE_CHECKING:
    from sagemaker_dogbreed.session import Session
    from sagemaker_dogbreed.workflow import Workflow

AWS_OPTIONS = ("region", "profile", "role", "bucket")
"""Options that only AWS has a use for."""


def hours(text: str) -> dt.timedelta:
    """Read a number of hours; argparse tells what is none."""
    try:
        found = dt.timedelta(hours=float(text))
    except OverflowError:
        raise ValueError(text) from None
    if found < dt.timedelta(0):
        raise ValueError(text)
    return found


def _session(arguments: argparse.Namespace) -> Session:
    from sagemaker_dogbreed.session import Session

    given = {name: getattr(arguments, name) for name in AWS_OPTIONS}
    if arguments.aws:
        return Session.aws(**given, cache_dir=arguments.root)
    for name, value in given.items():
        if value is not None:
            raise SpecError(
                f"--{name} is about AWS; add --aws to run there, which costs money, or leave it out"
            )
    return Session.local(arguments.root)


def _workflow(arguments: argparse.Namespace) -> Workflow:
    from sagemaker_dogbreed.workflow import Workflow

    return Workflow.from_yaml(arguments.config, arguments.overrides)


def run(arguments: argparse.Namespace) -> None:
    """Upload, tune, train and deploy what a configuration describes."""
    result = _workflow(arguments).run(_session(arguments), logs=arguments.logs, max_cost=arguments.max_cost)
    if result.predictor is not None:
        _print_use(arguments, result.predictor.endpoint_name)


def tune(arguments: argparse.Namespace) -> None:
    """Upload and tune what a configuration describes, and print how to train with what was found."""
    job = _workflow(arguments).tune(_session(arguments), max_cost=arguments.max_cost)
    best = " ".join(f"--set training.{name}={value}" for name, value in job.best_hyperparameters.items())
    print(
        f"Train with it: {arguments.command_line(arguments)} run {arguments.config} --set tuning=null {best}"
    )


def trials(arguments: argparse.Namespace) -> None:
    """Print a tuning job's trials, best first."""
    job = _session(arguments).tuning_job(arguments.job)
    print(f"Tuning job {job.name} is {job.status}", file=sys.stderr)
    print(job.results)


def _print_use(arguments: argparse.Namespace, endpoint_name: str) -> None:
    print(f"Ask it:    {arguments.command_line(arguments)} predict {endpoint_name} PICTURE ...")
    print(f"Delete it: {arguments.command_line(arguments)} delete {endpoint_name}")


def plan(arguments: argparse.Namespace) -> None:
    """Print the requests of a configuration and what they cost."""
    print(_workflow(arguments).plan(_session(arguments)))


def preflight(arguments: argparse.Namespace) -> None:
    """Print what a configuration needs and whether it is there; an error is one of the command's too."""
    report = _workflow(arguments).preflight(_session(arguments))
    print(report)
    report.raise_for_errors()


def policy(arguments: argparse.Namespace) -> None:
    """Print the policy document of the execution role that a configuration needs."""
    spec = _workflow(arguments).spec
    found = _session(arguments).iam_policy(
        dataset=spec.dataset, training=spec.training, endpoint=spec.endpoint
    )
    print(json.dumps(found, indent=2))


def role(arguments: argparse.Namespace) -> None:
    """Make the execution role that a configuration needs, and print its ARN."""
    spec = _workflow(arguments).spec
    arn = _session(arguments).ensure_role(
        arguments.name,
        dataset=spec.dataset,
        training=spec.training,
        endpoint=spec.endpoint,
        managed=arguments.managed,
    )
    print(arn)


def schema(_arguments: argparse.Namespace) -> None:
    """Print the JSON Schema of configuration files."""
    from sagemaker_dogbreed.config.schema import schema

    print(json.dumps(schema(), indent=2))


def list_all(arguments: argparse.Namespace) -> None:
    """List tuning jobs, training jobs and endpoints with their states."""
    from sagemaker_dogbreed.jobs.calls import reported

    session = _session(arguments)
    sagemaker = session.clients.sagemaker
    with reported(AccountError, "jobs and endpoints cannot be listed"):
        tuning_jobs = [
            f"tuning job    {job['HyperParameterTuningJobStatus']:<11} {job['HyperParameterTuningJobName']}"
            for page in sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate()
            for job in page["HyperParameterTuningJobSummaries"]
        ]
        jobs = [
            f"training job  {job['TrainingJobStatus']:<11} {job['TrainingJobName']}"
            for page in sagemaker.get_paginator("list_training_jobs").paginate()
            for job in page["TrainingJobSummaries"]
        ]
        endpoints = [
            f"endpoint      {endpoint['EndpointStatus']:<11} {endpoint['EndpointName']}"
            for page in sagemaker.get_paginator("list_endpoints").paginate()
            for endpoint in page["Endpoints"]
        ]
    print("\n".join([*tuning_jobs, *jobs, *endpoints]) or f"no jobs and no endpoints in {session.store}")


def deploy(arguments: argparse.Namespace) -> None:
    """Bring a finished training job's model into service."""
    from sagemaker_dogbreed.specs.endpoint import EndpointSpec

    session = _session(arguments)
    predictor = session.deploy(EndpointSpec(name=arguments.name), session.training_job(arguments.job).model)
    try:
        predictor.wait()
    except BaseException:
        predictor.delete()
        raise
    print(f"Endpoint {predictor.endpoint_name} is in service")
    _print_use(arguments, predictor.endpoint_name)


def logs(arguments: argparse.Namespace) -> None:
    """Print a training job's log."""
    job = _session(arguments).training_job(arguments.job)
    print(f"Training job {job.name} is {job.status}", file=sys.stderr)
    for line in job.logs(follow=arguments.follow):
        print(line)


def report(arguments: argparse.Namespace) -> None:
    """Write a training job's report, and print where it is."""
    print(_session(arguments).training_job(arguments.job).report(arguments.output))


def diagnose(arguments: argparse.Namespace) -> None:
    """Print what is wrong with a training job, and what to change."""
    print(_session(arguments).training_job(arguments.job).diagnosis())


def stop(arguments: argparse.Namespace) -> None:
    """Stop a training job, or a tuning job and its trials."""
    from sagemaker_dogbreed.jobs.calls import described, reported
    from sagemaker_dogbreed.requests.names import is_tuning_job_name

    session, name = _session(arguments), arguments.job
    describe = session.clients.sagemaker.describe_hyper_parameter_tuning_job
    with reported(JobError, f"whether there is a tuning job {name!r} cannot be told"):
        is_tuning = is_tuning_job_name(name) and described(describe, HyperParameterTuningJobName=name)
    if is_tuning:
        print(f"Tuning job {name} is {session.tuning_job(name).stop().status}")
    else:
        print(f"Training job {name} is {session.training_job(name).stop().status}")


def predict(arguments: argparse.Namespace) -> None:
    """Ask an endpoint what images show."""
    predictor = _session(arguments).predictor(arguments.endpoint)
    for picture in arguments.pictures:
        print(f"{picture}: {predictor.predict(picture)}")


def delete(arguments: argparse.Namespace) -> None:
    """Delete an endpoint with its config and model."""
    from sagemaker_dogbreed.readiness import check_endpoint_name

    session = _session(arguments)
    predictor = session.predictor(arguments.endpoint)
    try:
        check_endpoint_name(session.clients.sagemaker, arguments.endpoint)
    except NameTakenError:
        predictor.delete()
    else:
        raise EndpointError(f"there is no endpoint {arguments.endpoint!r}, nor a config or model so named")
    print(f"Endpoint {arguments.endpoint} is deleted")


def resources(arguments: argparse.Namespace) -> None:
    """List what the library made and what it costs an hour."""
    found = _session(arguments).resources()
    print("\n".join(map(str, found)) or "nothing of the library's is there")


def sweep(arguments: argparse.Namespace) -> None:
    """Delete what has expired or is old, or say what would be deleted."""
    report = _session(arguments).sweep(
        older_than=arguments.older_than,
        stop_jobs=arguments.stop_jobs,
        dry_run=not arguments.yes,
    )
    print(report)
    if report.swept and report.dry_run:
        print("Nothing was deleted; add --yes to delete these")
    if report.failures:
        raise AccountError(f"{len(report.failures)} could not be deleted; the reasons stand above")
