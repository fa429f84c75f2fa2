"""One process at a time, where several may want the same file in the cache."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock on ``path``, which need not exist; waits while another process holds it.

    The lock is the file ``<path>.lock`` beside it, which stays; the system frees the lock itself
    when the holder ends, however it ends. Missing parent folders are made.

    Raises:
        OSError: the lock file cannot be made.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
