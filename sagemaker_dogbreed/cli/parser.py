"""The words of the command line."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from pathlib import Path

from sagemaker_dogbreed.cli import commands


def command_line(arguments: argparse.Namespace) -> str:
    """Return how this command line is called, as a person types it, up to the command."""
    python = Path(sys.executable)
    with contextlib.suppress(ValueError):
        python = python.relative_to(Path.cwd())
    given = ["--aws"] if arguments.aws else []
    for name in ("root", *commands.AWS_OPTIONS):
        if value := getattr(arguments, name):
            given += [f"--{name}", value]
    return shlex.join([str(python), "-m", "sagemaker_dogbreed", *given])


def parser() -> argparse.ArgumentParser:
    """Return the parser; its result has the function to call as ``command``."""
    top = argparse.ArgumentParser(
        prog="python -m sagemaker_dogbreed",
        description="From a folder of labelled images to an answering endpoint, on this machine or on AWS.",
    )
    top.add_argument(
        "--root", help="folder of the local SageMaker and of caches; default: .sagemaker_dogbreed"
    )
    top.add_argument("--aws", action="store_true", help="run on Amazon SageMaker, which costs money")
    top.add_argument("--region", help="AWS region; default: as the AWS configuration says")
    top.add_argument("--profile", help="profile of the AWS configuration")
    top.add_argument("--role", help="execution role, by name or ARN; default: AWS_ROLE_ARN, or a notebook's")
    top.add_argument("--bucket", help="S3 bucket; default: one of the library's own")
    words = top.add_subparsers(required=True, metavar="COMMAND")

    run = words.add_parser("run", help="upload, tune, train and deploy what a configuration file describes")
    _add_config(run)
    run.add_argument("--logs", action="store_true", help="print the training job's log as it comes")
    run.add_argument("--max-cost", type=float, metavar="USD", help="refuse to start what may cost more")
    run.set_defaults(command=commands.run)

    tune = words.add_parser("tune", help="upload and tune what a configuration file describes, no more")
    _add_config(tune)
    tune.add_argument("--max-cost", type=float, metavar="USD", help="refuse to start what may cost more")
    tune.set_defaults(command=commands.tune)

    trials = words.add_parser("trials", help="print a tuning job's trials, best first")
    trials.add_argument("job", help="name of the tuning job")
    trials.set_defaults(command=commands.trials)

    plan = words.add_parser("plan", help="print the API requests of a configuration and what they cost")
    _add_config(plan)
    plan.set_defaults(command=commands.plan)

    preflight = words.add_parser("preflight", help="check what a configuration needs before it costs")
    _add_config(preflight)
    preflight.set_defaults(command=commands.preflight)

    policy = words.add_parser("policy", help="print the IAM policy that a configuration's role needs")
    _add_config(policy)
    policy.set_defaults(command=commands.policy)

    role = words.add_parser("role", help="make the execution role that a configuration needs, and print it")
    _add_config(role)
    role.add_argument("--name", default="sagemaker-dogbreed", help="name of the role")
    role.add_argument("--managed", action="store_true", help="attach AWS's managed full-access policies")
    role.set_defaults(command=commands.role)

    schema = words.add_parser("schema", help="print the JSON Schema of configuration files")
    schema.set_defaults(command=commands.schema)

    everything = words.add_parser("list", help="list jobs and endpoints with their states")
    everything.set_defaults(command=commands.list_all)

    resources = words.add_parser("resources", help="list what the library made and what it costs an hour")
    resources.set_defaults(command=commands.resources)

    sweep = words.add_parser("sweep", help="delete what has expired; only shows it, without --yes")
    sweep.add_argument("--older-than", type=commands.hours, metavar="HOURS", help="and what was made earlier")
    sweep.add_argument("--stop-jobs", action="store_true", help="and stop jobs, end warm pools")
    sweep.add_argument("--yes", action="store_true", help="delete; without it nothing is deleted")
    sweep.set_defaults(command=commands.sweep)

    logs = words.add_parser("logs", help="print a training job's log")
    logs.add_argument("job", help="name of the training job")
    logs.add_argument("--follow", action="store_true", help="go on until the job has ended")
    logs.set_defaults(command=commands.logs)

    report = words.add_parser("report", help="write an HTML report of a training job, with a diagnosis")
    report.add_argument("job", help="name of the training job")
    report.add_argument("--output", metavar="FILE", help="where to; default: the job's name, .html")
    report.set_defaults(command=commands.report)

    diagnose = words.add_parser("diagnose", help="say what is wrong with a training job, and what to change")
    diagnose.add_argument("job", help="name of the training job")
    diagnose.set_defaults(command=commands.diagnose)

    stop = words.add_parser("stop", help="stop a training job, or a tuning job")
    stop.add_argument("job", help="name of the job")
    stop.set_defaults(command=commands.stop)

    deploy = words.add_parser("deploy", help="bring a finished training job's model into service")
    deploy.add_argument("job", help="name of the training job")
    deploy.add_argument("--name", help="name of the endpoint; default: made up")
    deploy.set_defaults(command=commands.deploy)

    predict = words.add_parser("predict", help="ask an endpoint what images show")
    predict.add_argument("endpoint", help="name of the endpoint")
    predict.add_argument("pictures", nargs="+", help="image files or http(s) URLs")
    predict.set_defaults(command=commands.predict)

    delete = words.add_parser("delete", help="delete an endpoint with its config and model")
    delete.add_argument("endpoint", help="name of the endpoint")
    delete.set_defaults(command=commands.delete)
    top.set_defaults(command_line=command_line)
    return top


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("config", help="YAML file")
    command.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="replace a value of the file, as training.epochs=3; may be given many times",
    )
