"""The objective of a running trial, read from its log as it grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sagemaker_dogbreed.local.log_files import TRAINING_GROUP, group_folder
from sagemaker_dogbreed.local.metric_reader import MetricReader


class TrialLog:
    """The values of one metric in a training job's log, in order.

    SageMaker knows no epochs: the metric's first value is the first epoch's, and so on.
    """

    def __init__(self, root: Path, job_name: str, definition: dict[str, str]) -> None:
        folder = group_folder(root, TRAINING_GROUP)
        assert folder is not None  # noqa: S101 - the group is one of SageMaker's
        self._folder = folder / job_name
        self._reader = MetricReader([definition])
        self._offset = 0
        self._epoch = 0

    def news(self) -> Iterator[tuple[int, float]]:
        """Yield the epoch, from 1, and the value of what has come since the last look."""
        for line in self._lines():
            before = self._reader.latest
            self._reader.read(line)
            after = self._reader.latest
            # A new entry for each match, the same value included.
            if after and (not before or after[0] is not before[0]):
                self._epoch += 1
                yield self._epoch, after[0]["Value"]

    def _lines(self) -> Iterator[str]:
        for path in sorted(self._folder.glob("*.jsonl"))[:1]:  # one host, one stream
            with path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):  # still being written
                        break
                    self._offset += len(line)
                    yield json.loads(line)["message"]
