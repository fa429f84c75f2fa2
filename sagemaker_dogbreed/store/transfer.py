"""Many requests in flight at once, from code that is not asynchronous itself."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

# asyncio is loaded on use: where nothing has to be sent, it would be a third of the time.
if TYPE_CHECKING:
    import asyncio

_SETTLING = 2.0  # seconds

_RATE = 4000  # items a second that are aimed at: more than one process can do

T = TypeVar("T")
Item = TypeVar("Item")


def run(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end in a thread of its own, and return its result.

    In a thread, as the caller may be in an event loop already: notebooks are. An interruption (Ctrl-C)
    cancels what is under way, and is raised once that has ended.
    """
    import asyncio
    from concurrent.futures import Future

    foreign = frozenset(sys._current_frames())  # noqa: SLF001  # documented, in spite of its name
    outcome: Future[T] = Future()
    running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def whole() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # for the type checker: a coroutine that runs has one
        running.set_result((asyncio.get_running_loop(), task))
        return await start()

    def work() -> None:
        try:
            with asyncio.Runner() as runner:
                result = runner.run(whole())
            outcome.set_result(result)
        except BaseException as error:  # it is raised in the caller's thread
            outcome.set_exception(error)

    thread = threading.Thread(target=work, name="transfer", daemon=True)
    thread.start()
    try:
        return outcome.result()
    except BaseException:
        if not outcome.done():
            loop, task = running.result()
            with contextlib.suppress(RuntimeError):  # it has ended by itself meanwhile
                loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    finally:
        _settle(foreign)


def _settle(others: frozenset[int]) -> None:
    """Wait until none of obstore's threads is inside of Python; ``others`` were before there was one.

    One may still be handing over a result that has arrived already; if the interpreter ends before it
    has left, it aborts the process.
    Source: https://github.com/PyO3/pyo3-async-runtimes/issues/40.
    """
    end = time.monotonic() + _SETTLING
    while time.monotonic() < end:
        known = others.union(thread.ident or 0 for thread in threading.enumerate())
        if known.issuperset(sys._current_frames()):  # noqa: SLF001  # documented, in spite of its name
            return
        time.sleep(0.001)


async def for_each(
    items: Iterable[Item],
    work: Callable[[Item], Awaitable[object]],
    *,
    in_flight: int,
    at_most: int = 0,
) -> None:
    """Do the work for all items, so many at a time; the first failure cancels the rest and is raised.

    Up to ``at_most`` are done at a time where each takes long, as over a long distance. Not from the
    start: on a short way more at a time only get in each other's way.
    """
    import asyncio

    source = iter(items)
    took: list[float] = []  # seconds

    async def worker() -> None:
        for item in source:
            begun = time.monotonic()
            await work(item)
            took.append(time.monotonic() - begun)
            if len(took) == 2 * in_flight:  # of the first ones the connections had to be made
                wanted = int(_RATE * sum(took[in_flight:]) / in_flight)
                for _ in range(min(wanted, at_most) - in_flight):
                    group.create_task(worker())

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures.exceptions[0].__cause__


class Budget:
    """Bytes that may be in memory at once; whoever wants more than there are gets them alone."""

    def __init__(self, size: int) -> None:
        self._size, self._lent = size, 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @contextlib.asynccontextmanager
    async def lend(self, wanted: int) -> AsyncIterator[None]:
        """Wait until so many bytes are free, and hold them."""
        import asyncio

        while self._lent and self._lent + wanted > self._size:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self._lent += wanted
        try:
            yield
        finally:
            self._lent -= wanted
            while self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():  # a cancelled one is
                    turn.set_result(None)
