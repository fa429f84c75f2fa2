"""When a tuning job has failed.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-progress.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sagemaker_dogbreed.container.tuning.completion import FUTILE


def failure(ended: Sequence[Mapping[str, Any]], *, is_last: bool) -> str | None:
    """Return the reason why a tuning job has failed, None unless it has.

    It has where no trial has an objective: after five of them, as on AWS, or when there are no more.

    Args:
        ended: The trials that have ended.
        is_last: Whether no more will run.
    """
    if not ended or any(trial["ObjectiveStatus"] == "Succeeded" for trial in ended):
        return None
    if len(ended) < FUTILE and not is_last:
        return None
    if any(trial["TrainingJobStatus"] != "Failed" for trial in ended):
        return (
            f"No objective metrics found after running {len(ended)} training jobs. Please ensure that the "
            "custom algorithm is emitting the objective metric as defined by the regular expression provided."
        )
    if is_last:
        return (
            "All training jobs failed. Please take a look at the training jobs failures to get more details."
        )
    return (
        f"No training job succeeded after {len(ended)} attempts. Please take a look at the training job "
        "failures to get more details."
    )
