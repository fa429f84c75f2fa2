"""The built-in rules: importing this room fills the registry."""

from __future__ import annotations

from sagemaker_dogbreed.container.debugging import (  # noqa: F401 - they register
    activation_rules,
    class_rules,
    loss_rules,
    memory_rules,
    profiler_rules,
    step_rules,
    tensor_rules,
)
