r"""The training script's metric lines and the regular expressions that read them, side by side.

SageMaker finds metrics by running regular expressions over a job's log, so the writer and the
readers have to agree to the letter. Standard library only.

>>> format_line("test", {"Loss": 0.25, "Top-1": 0.9, "Top-5": 1.0})
'Test Loss: 0.250000, Test Top-1: 0.900000, Test Top-5: 1.000000'
>>> parse_line("Epoch 2/3 - Valid Loss: 1.5, Valid Top-1: 0.5")
{'Valid Loss': 1.5, 'Valid Top-1': 0.5}
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SPLITS = ("train", "valid", "test")
MEASURES = ("Loss", "Top-1", "Top-5")
NAMES = tuple(f"{split.title()} {measure}" for split in SPLITS for measure in MEASURES)
"""Every metric the training script reports; accuracies are fractions from 0 to 1."""

_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|[-+]?inf|nan)"


def regex(name: str) -> str:
    """Return the regular expression whose group 1 is the metric's value in a log line."""
    return f"{name}: {_NUMBER}"


def definitions() -> list[dict[str, str]]:
    """Return the ``MetricDefinitions`` of a CreateTrainingJob request."""
    return [{"Name": name, "Regex": regex(name)} for name in NAMES]


def key(name: str) -> str:
    """Return a metric's name as a Python identifier.

    >>> key("Test Top-1")
    'test_top_1'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def format_line(split: str, measures: Mapping[str, float], prefix: str = "") -> str:
    """Return the log line that reports one split's measures (``Loss``, ``Top-1``, ``Top-5``)."""
    parts = (f"{split.title()} {measure}: {value:.6f}" for measure, value in measures.items())
    return prefix + ", ".join(parts)


def parse_line(line: str) -> dict[str, float]:
    """Return the metrics found in one log line, by name."""
    found = ((name, re.search(regex(name), line)) for name in NAMES)
    return {name: float(match.group(1)) for name, match in found if match}
