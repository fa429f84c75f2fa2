"""Measures where the time of a training's batches goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sagemaker_dogbreed.container.debugging.records import Phases, Record, Span

if TYPE_CHECKING:
    import torch

_ANCHOR = time.time() - time.perf_counter()


def now() -> float:
    """Return the time, in seconds since the epoch; within a process it never goes backwards."""
    return _ANCHOR + time.perf_counter()


class StepClock:
    """Says of each batch how long which phase took, and of parts of the job how long they took.

    A GPU works on while Python goes ahead, so a phase has ended only when the GPU has been waited for. That
    costs time: it is done for one batch in ``exact_every``. Of the others only what Python itself waits for
    is told (``data``), and the total.
    """

    def __init__(
        self,
        sink: Callable[[Record], object],
        *,
        node: str,
        device: torch.device,
        exact_every: int,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Prepare to measure.

        Args:
            sink: Takes each record.
            node: Names this process in them.
            device: Where it computes.
            exact_every: On a GPU, of how many batches of a mode one is measured exactly; at least 1.
            timer: Returns seconds from any point of time on.
        """
        self._sink, self._node, self._timer, self._exact_every = sink, node, timer, exact_every
        self._anchor = now() - timer()
        self._wait: Callable[[], object] | None = None
        if device.type == "cuda":
            import torch

            self._wait = lambda: torch.cuda.synchronize(device)
        self._mode = ""
        self._batches: dict[str, int] = {}  # of each mode
        self._parts: dict[str, float] = {}
        self._exact = True
        self._begun = self._last = timer()

    def begin(self, mode: str) -> None:
        """Begin a pass over batches: ``train``, ``evaluate`` or ``extract``."""
        self._mode = mode
        self._next_batch()

    def lap(self, phase: str) -> None:
        """Add the time since the last lap, or since the batch began, to a phase of this batch."""
        # Before a batch that is exact the GPU was waited for: it has nothing to do until there is data.
        if self._wait and self._exact and phase != "data":
            self._wait()
        moment = self._timer()
        self._parts[phase] = self._parts.get(phase, 0.0) + moment - self._last
        self._last = moment

    def batch_ended(self, step: int) -> None:
        """Write the batch's record, and begin the next batch."""
        begun, mode, parts = self._begun, self._mode, self._parts
        if self._wait and not self._exact:
            parts = {phase: seconds for phase, seconds in parts.items() if phase == "data"}
        self._batches[mode] = self._batches.get(mode, 0) + 1
        self._next_batch()
        self._sink(
            Phases(
                time=self._anchor + self._begun,
                node=self._node,
                mode=mode,
                step=step,
                total=self._begun - begun,
                parts=parts,
            )
        )
        self._last = self._timer()  # writing is no phase of the next batch

    @contextlib.contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Write how long the block took, however it ends."""
        begun = self._timer()
        try:
            yield
        finally:
            ended = self._timer()
            self._sink(Span(time=self._anchor + ended, node=self._node, name=name, seconds=ended - begun))

    def _next_batch(self) -> None:
        self._parts = {}
        self._exact = self._batches.get(self._mode, 0) % self._exact_every == 0
        if self._wait and self._exact:
            self._wait()
        self._begun = self._last = self._timer()
