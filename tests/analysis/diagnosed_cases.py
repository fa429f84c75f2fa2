"""Trainings as a diagnosis meets them: records written by hand, and what rules found in them."""

from __future__ import annotations

from sagemaker_dogbreed.analysis.diagnosis import diagnose
from sagemaker_dogbreed.analysis.profile import profile_of
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import (
    Epoch,
    Phases,
    Span,
    Start,
    Step,
    System,
    Tensor,
    Tensors,
)
from sagemaker_dogbreed.container.debugging.watch import RuleStatus

CLASSES = ("beagle", "collie", "pug", "husky")


def start(**settings) -> Start:
    """The leading process begins, with what it was told and found."""
    return Start(time=0.0, node="rank-0", settings=settings)


def steps(losses, *, top_1=0.5, learning_rate=0.001) -> list[Step]:
    """A step for each loss, all of one epoch."""
    return [
        Step(
            time=float(number),
            step=number,
            epoch=1,
            loss=loss,
            top_1=top_1,
            learning_rate=learning_rate,
            images=32,
        )
        for number, loss in enumerate(losses)
    ]


def epochs(measures, *, labels=(), errors=()) -> list[Epoch]:
    """An epoch for each mapping of measures."""
    return [
        Epoch(time=number * 10.0, epoch=number, step=number, measures=each, labels=labels, errors=errors)
        for number, each in enumerate(measures, 1)
    ]


def curves(train, valid, train_top_1=None, valid_top_1=None) -> list[dict[str, float]]:
    """Measures of epochs from lists of losses and of shares."""
    measures = [{"train_loss": own, "valid_loss": other} for own, other in zip(train, valid, strict=True)]
    for name, shares in (("train_top_1", train_top_1), ("valid_top_1", valid_top_1)):
        for each, share in zip(measures, shares or [], strict=False):
            each[name] = share
    return measures


def batches(count, *, data, forward, mode="train", node="rank-0", **parts) -> list[Phases]:
    """Batches that all take the same time, one after the other."""
    total = data + forward + sum(parts.values())
    return [
        Phases(
            time=total * (number + 1),
            node=node,
            mode=mode,
            step=number,
            total=total,
            parts={"data": data, "forward": forward, **parts},
        )
        for number in range(count)
    ]


def machine(count, *, cpu=(20.0, 20.0), gpu=(), gpu_memory=(), io_wait=0.0, own_memory=1e9) -> list[System]:
    """Measurements that are all the same; ``own_memory`` may be a function of the time, 0 to 1."""
    return [
        System(
            time=number * 0.5,
            node="rank-0",
            cpu=cpu,
            io_wait=io_wait,
            memory=40.0,
            own_memory=own_memory(number / count) if callable(own_memory) else own_memory,
            disk_read=0.0,
            disk_write=0.0,
            network_in=0.0,
            network_out=0.0,
            gpu=gpu,
            gpu_memory=gpu_memory,
        )
        for number in range(count)
    ]


def span(name, seconds) -> Span:
    """A part of a job, which ends as many seconds after the job's begin."""
    return Span(time=seconds, node="rank-0", name=name, seconds=seconds)


def tensors(step, **named) -> Tensors:
    """A sampled step's tensors, by name; ``weight__head`` stands for ``weight/head``."""
    return Tensors(
        time=float(step),
        step=step,
        tensors={
            name.replace("__", "/"): tensor(name.partition("__")[0], **each) for name, each in named.items()
        },
    )


def tensor(kind, **statistics) -> Tensor:
    """A tensor whose statistics are unremarkable, but for those that are given."""
    usual = dict.fromkeys(("mean", "zeros"), 0.0) | dict.fromkeys(
        ("mean_abs", "std", "norm", "maximum", "high"), 1.0
    )
    return Tensor(
        **{"kind": kind, "layer": "Linear", "elements": 9, "minimum": -1.0, "low": -1.0, "not_finite": 0}
        | usual
        | statistics
    )


def found(*names, details="42 is too much") -> list[RuleStatus]:
    """Rules that found something."""
    return [
        RuleStatus(name=name, status="IssuesFound", details=details, violations=1, looks=1) for name in names
    ]


def diagnosis_of(*records, rules=(), **settings):
    """The diagnosis of records, lists of them flattened, and of what rules found."""
    history = History()
    for each in records:
        for record in each if isinstance(each, list) else [each]:
            history.add(record)
    return diagnose(profile_of(history), rules, history, settings)


def names(diagnosis) -> list[str]:
    """The names of the causes, the worst first."""
    return [cause.name for cause in diagnosis.causes]
