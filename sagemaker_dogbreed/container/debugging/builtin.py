"""The built-in rules: importing this room fills the registry."""

from __future__ import annotations

from sagemaker_dogbreed.container.debugging import memory_rules, profiler_rules, step_rules  # noqa: F401 - they register
