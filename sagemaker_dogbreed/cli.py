"""The command line: thin over ``Workflow`` and ``Session``."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sagemaker_dogbreed.errors import DogbreedError

if TYPE_CHECKING:
    from sagemaker_dogbreed.session import Session


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 it failed, 2 wrong usage, 130 interrupted."""
    arguments = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of jobs must reach a log file when they are known, not when all is over.
        sys.stdout.reconfigure(line_buffering=True)
    # Told to end (SIGTERM), it tidies up and says what goes on, as at Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        arguments.command(arguments)
    except BrokenPipeError:
        # The reader has seen enough; nothing more can be said, and Python would try to at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (DogbreedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; see what runs with: {_command(arguments)} list", file=sys.stderr)
        return 130
    return 0


def _command(arguments: argparse.Namespace) -> str:
    """Return how this command line is called, as a person types it."""
    python = Path(sys.executable)
    with contextlib.suppress(ValueError):
        python = python.relative_to(Path.cwd())
    root = ["--root", arguments.root] if arguments.root else []
    return shlex.join([str(python), "-m", "sagemaker_dogbreed", *root])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sagemaker_dogbreed",
        description="From a folder of labelled images to an answering endpoint, on this machine.",
    )
    parser.add_argument("--root", help="folder of the local SageMaker; default: .sagemaker_dogbreed")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="upload, train and deploy what a configuration file describes")
    _add_config(run)
    run.add_argument("--logs", action="store_true", help="print the training job's log as it comes")
    run.set_defaults(command=_run)

    plan = commands.add_parser("plan", help="print the API requests of a configuration; nothing is sent")
    _add_config(plan)
    plan.set_defaults(command=_plan)

    schema = commands.add_parser("schema", help="print the JSON Schema of configuration files")
    schema.set_defaults(command=_schema)

    everything = commands.add_parser("list", help="list training jobs and endpoints with their states")
    everything.set_defaults(command=_list)

    logs = commands.add_parser("logs", help="print a training job's log")
    logs.add_argument("job", help="name of the training job")
    logs.add_argument("--follow", action="store_true", help="go on until the job has ended")
    logs.set_defaults(command=_logs)

    stop = commands.add_parser("stop", help="stop a training job")
    stop.add_argument("job", help="name of the training job")
    stop.set_defaults(command=_stop)

    deploy = commands.add_parser("deploy", help="bring a finished training job's model into service")
    deploy.add_argument("job", help="name of the training job")
    deploy.add_argument("--name", help="name of the endpoint; default: made up")
    deploy.set_defaults(command=_deploy)

    predict = commands.add_parser("predict", help="ask an endpoint what images show")
    predict.add_argument("endpoint", help="name of the endpoint")
    predict.add_argument("pictures", nargs="+", help="image files or http(s) URLs")
    predict.set_defaults(command=_predict)

    delete = commands.add_parser("delete", help="delete an endpoint with its config and model")
    delete.add_argument("endpoint", help="name of the endpoint")
    delete.set_defaults(command=_delete)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="YAML file")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="replace a value of the file, as training.epochs=3; may be given many times",
    )


def _session(arguments: argparse.Namespace) -> Session:
    from sagemaker_dogbreed.session import Session

    return Session.local(arguments.root)


def _run(arguments: argparse.Namespace) -> None:
    from sagemaker_dogbreed.workflow import Workflow

    workflow = Workflow.from_yaml(arguments.config, arguments.overrides)
    result = workflow.run(_session(arguments), logs=arguments.logs)
    if result.predictor is not None:
        _print_use(arguments, result.predictor.endpoint_name)


def _print_use(arguments: argparse.Namespace, endpoint_name: str) -> None:
    print(f"Ask it:    {_command(arguments)} predict {endpoint_name} PICTURE ...")
    print(f"Delete it: {_command(arguments)} delete {endpoint_name}")


def _plan(arguments: argparse.Namespace) -> None:
    from sagemaker_dogbreed.workflow import Workflow

    print(Workflow.from_yaml(arguments.config, arguments.overrides).plan(_session(arguments)))


def _schema(_arguments: argparse.Namespace) -> None:
    from sagemaker_dogbreed.config.schema import schema

    print(json.dumps(schema(), indent=2))


def _list(arguments: argparse.Namespace) -> None:
    session = _session(arguments)
    sagemaker = session.clients.sagemaker
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
    print("\n".join([*jobs, *endpoints]) or f"no training jobs and no endpoints in {session.store}")


def _deploy(arguments: argparse.Namespace) -> None:
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


def _logs(arguments: argparse.Namespace) -> None:
    job = _session(arguments).training_job(arguments.job)
    print(f"Training job {job.name} is {job.status}", file=sys.stderr)
    for line in job.logs(follow=arguments.follow):
        print(line)


def _stop(arguments: argparse.Namespace) -> None:
    job = _session(arguments).training_job(arguments.job).stop()
    print(f"Training job {job.name} is {job.status}")


def _predict(arguments: argparse.Namespace) -> None:
    predictor = _session(arguments).predictor(arguments.endpoint)
    for picture in arguments.pictures:
        print(f"{picture}: {predictor.predict(picture)}")


def _delete(arguments: argparse.Namespace) -> None:
    predictor = _session(arguments).predictor(arguments.endpoint)
    predictor.describe()
    predictor.delete()
    print(f"Endpoint {arguments.endpoint} is deleted")
