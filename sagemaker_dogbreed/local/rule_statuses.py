"""What the rules of a job have found, read from the file that its training script keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sagemaker_dogbreed.container.debugging.records import FOLDER
from sagemaker_dogbreed.container.debugging.statuses import STATUS_FILE, from_file


class RuleStatuses:
    """Reads the file again whenever it has changed."""

    def __init__(self, checkpoints: Path, job_name: str) -> None:
        # Jobs that share the place of their checkpoints have a folder each.
        self._places = [folder / FOLDER / STATUS_FILE for folder in (checkpoints, checkpoints / job_name)]
        self._seen: tuple[int, int] | None = None
        self.latest: dict[str, list[dict[str, Any]]] = {}

    def changed(self) -> bool:
        """Read the file, and return whether ``latest`` is other than before."""
        for path in self._places:
            try:
                status = path.stat()
                if self._seen == (status.st_ino, status.st_mtime_ns):
                    return False
                self.latest = from_file(path.read_bytes())
            except OSError:  # not there, or not yet
                continue
            self._seen = status.st_ino, status.st_mtime_ns
            return True
        return False
