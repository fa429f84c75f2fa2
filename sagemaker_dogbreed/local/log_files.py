"""Log streams as files: one JSON object ``{"timestamp", "message"}`` a line, only ever appended to."""

from __future__ import annotations

import collections
import json
import os
import re
import time
from pathlib import Path

_MAX_EVENT = 262_144  # characters; CloudWatch's own limit is of this order
_TAIL = 20
_GROUP = re.compile(r"/aws/sagemaker/(TrainingJobs|Endpoints/[a-zA-Z0-9][a-zA-Z0-9-]{0,62})")
_STREAM = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*/[a-zA-Z0-9][a-zA-Z0-9-]*")

TRAINING_GROUP = "/aws/sagemaker/TrainingJobs"


def group_folder(root: Path, group: str) -> Path | None:
    """Return the folder of a log group, or None where the name is not one of SageMaker's."""
    match = _GROUP.fullmatch(group)
    return root.joinpath("logs", *match.group(1).split("/")) if match else None


def stream_file(root: Path, group: str, stream: str) -> Path | None:
    """Return the file of a log stream, or None where a name is not one of SageMaker's."""
    folder = group_folder(root, group)
    if folder is None or not _STREAM.fullmatch(stream):
        return None
    job, _, host = stream.partition("/")
    return folder / job / f"{host}.jsonl"


class LogWriter:
    """Appends lines to a log stream and remembers the last few.

    Raises:
        ValueError: A name is not one of SageMaker's.
    """

    def __init__(self, root: Path, group: str, stream: str) -> None:
        path = stream_file(root, group, stream)
        if path is None:
            raise ValueError(f"no log stream can be named {stream!r} in {group!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.tail: collections.deque[str] = collections.deque(maxlen=_TAIL)

    def write(self, message: str) -> None:
        """Append one line; a very long one becomes several events."""
        timestamp = int(time.time() * 1000)
        for start in range(0, len(message) or 1, _MAX_EVENT):
            part = message[start : start + _MAX_EVENT]
            event = json.dumps({"timestamp": timestamp, "message": part}) + "\n"
            os.write(self._descriptor, event.encode())
            self.tail.append(part)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
