"""The one loop that waits."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from sagemaker_dogbreed.errors import WaitTimeoutError


@attrs.frozen(kw_only=True)
class Poller:
    """How to wait: the pause between looks in seconds, and the clock and sleep that are used."""

    interval_seconds: float = 30.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def wait(self, what: str, look: Callable[[], bool], timeout_seconds: float | None = None) -> None:
        """Call ``look`` until it returns True.

        Raises:
            WaitTimeoutError: ``timeout_seconds`` passed before; what is waited for goes on.
        """
        start = self.clock()
        while not look():
            waited = self.clock() - start
            if timeout_seconds is not None and waited >= timeout_seconds:
                raise WaitTimeoutError(
                    f"{what} did not finish within {timeout_seconds:g} s. It goes on; wait for it again"
                )
            left = float("inf") if timeout_seconds is None else timeout_seconds - waited
            self.sleep(min(self.interval_seconds, left))
