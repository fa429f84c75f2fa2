"""The causes that a diagnosis knows.

To add one, write a function that takes a ``Case`` and returns a ``Cause`` or None, and name it below. What
a cause names in ``explains`` is not listed beside it, if it comes later: roots are before their effects.
"""

from __future__ import annotations

from sagemaker_dogbreed.analysis.causes import (
    balance,
    divergence,
    generalization,
    gradients,
    loading,
    machine,
    splits,
    timing,
)
from sagemaker_dogbreed.analysis.causes.case import Case, Find
from sagemaker_dogbreed.analysis.causes.cause import Cause

KNOWN: tuple[Find, ...] = (
    balance.one_class,
    divergence.not_finite_from_the_start,
    divergence.diverging,
    divergence.unstable,
    divergence.frozen_random_backbone,
    gradients.zero_weights,
    gradients.saturated,
    gradients.dead_relus,
    gradients.poor_initialization,
    gradients.vanishing_gradients,
    divergence.not_learning,
    divergence.step_size,
    gradients.all_zero,
    splits.validation_guesses,
    splits.leaked_labels,
    generalization.overfitting,
    generalization.overtraining,
    balance.class_imbalance,
    loading.io_bottleneck,
    loading.data_loader,
    loading.decoding,
    loading.too_many_workers,
    machine.cpu_bottleneck,
    machine.oversized_instance,
    timing.load_imbalance,
    machine.batch_size,
    timing.step_outliers,
    timing.initialization,
    machine.gpu_idle,
    machine.memory_growth,
    machine.gpu_memory_growth,
)
"""All of them, roots before their effects."""

__all__ = ["KNOWN", "Case", "Cause", "Find"]
