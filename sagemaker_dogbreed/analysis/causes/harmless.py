"""Findings of rules that mean no harm where the numbers say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sagemaker_dogbreed.analysis.causes.amounts import number, points, seconds
from sagemaker_dogbreed.analysis.causes.case import Case
from sagemaker_dogbreed.analysis.causes.generalization import describe, validation
from sagemaker_dogbreed.analysis.causes.gradients import fitted
from sagemaker_dogbreed.analysis.causes.machine import falls_back, long_enough

Excuse: TypeAlias = Callable[[Case], str | None]
"""Returns why a finding means no harm, in a sentence, or None where it may."""


def learned(case: Case) -> str | None:
    """Excuse a loss that stays low after it has fallen, and tensors that were zero meanwhile."""
    first, last = case.first_loss, case.last_loss
    if first is None or last is None or not case.learned:
        return None
    return f"the loss has fallen from {number(first)} to {number(last)} all the same"


def vanishing_gradient(case: Case) -> str | None:
    """Excuse gradients of what is learned."""
    return (
        f"the loss is {number(case.last_loss or 0)}, which leaves nothing to learn" if fitted(case) else None
    )


def overfit(case: Case) -> str | None:
    """Excuse a training loss that is lower while validation still gets better."""
    course = validation(case)
    return None if course is None else describe(course)


def overtraining(case: Case) -> str | None:
    """Excuse epochs that patience allows, or in which validation became better."""
    patience, course = case.setting("patience"), validation(case)
    if course is not None and course.idle < 2:
        return describe(course)
    return f"patience, which is {patience}, ends the training" if patience else None


def gpu_memory(case: Case) -> str | None:
    """Excuse memory that comes and goes with the GPU's work, or that a short job fills for the first time."""
    if not long_enough(case):
        return f"the job ran for {seconds(case.profile.seconds or 0)} only, in which memory fills up anyway"
    memory = case.profile.gpu_memory
    if memory is None or not falls_back(case):
        return None
    return (
        f"it comes and goes: {points(memory.median)} of the GPU's memory is in use at the median, "
        f"{points(memory.high)} at the 95th percentile"
    )


def data_loader(case: Case) -> str | None:
    """Excuse few workers where images come fast enough."""
    loading = case.profile.loading
    return None if loading is None else f"a batch is waited for {seconds(loading.median)} only"


EXCUSES: dict[str, Excuse] = {
    "AllZero": learned,
    "Dataloader": data_loader,
    "GPUMemoryIncrease": gpu_memory,
    "LossNotDecreasing": learned,
    "Overfit": overfit,
    "Overtraining": overtraining,
    "VanishingGradient": vanishing_gradient,
}
"""By the rule's name."""
