"""The one loop that waits, and goes on through AWS's bad days."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import attrs

from sagemaker_dogbreed.errors import WaitTimeoutError
from sagemaker_dogbreed.jobs.calls import cause_of, explain
from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS, Kind, kind_of

T = TypeVar("T")

LOG = logging.getLogger("sagemaker_dogbreed")
LONGEST_PAUSE = 60.0
"""Seconds between two looks at most while AWS cannot be asked."""

_RENEWED = "; renew them, with aws sso login say, and they are used"
_RENEWAL = {"expired": _RENEWED, "credentials": _RENEWED}


@attrs.frozen(kw_only=True)
class Poller:
    """How to wait: the pause between looks in seconds, and the clock and sleep that are used.

    ``credential_patience_seconds`` is for how long AWS may refuse credentials that it has accepted
    before, until somebody renews them; ``settle_seconds`` is for how long a log may be behind its job
    (CloudWatch is a few seconds late; 0 for a log that is not).
    """

    interval_seconds: float = 30.0
    settle_seconds: float = 5.0
    credential_patience_seconds: float = 900.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def wait(
        self,
        what: str,
        look: Callable[[], bool],
        timeout_seconds: float | None = None,
        *,
        reconnect: Callable[[], None] | None = None,
        again: str | None = None,
    ) -> None:
        """Call ``look`` until it returns True; arguments and errors are those of ``watch``."""
        for is_done in self.watch(what, look, timeout_seconds, reconnect=reconnect, again=again):
            if is_done:
                return

    def watch(
        self,
        what: str,
        look: Callable[[], T],
        timeout_seconds: float | None = None,
        *,
        reconnect: Callable[[], None] | None = None,
        again: str | None = None,
    ) -> Iterator[T]:
        """Yield what ``look`` returns, time after time, for as long as the caller goes on.

        A connection that drops, throttling, and AWS's own failures are waited out. Credentials that
        expire are read again before each further look, so that renewing them anywhere is enough. Either is
        logged once, as a warning of the logger ``sagemaker_dogbreed``.

        Args:
            what: What is waited for, as the start of a message: ``training job 'x'``.
            look: Asks AWS; repeated as a whole where it raises, so it must bear that.
            timeout_seconds: For how long to go on; None: as long as it takes.
            reconnect: Has the credentials read again.
            again: The call that attaches to it once more.

        Raises:
            WaitTimeoutError: ``timeout_seconds`` passed, or credentials were refused for too long;
                what is waited for goes on.
            ClientError: AWS refused, for a missing permission say; other errors of botocore likewise.
        """
        again = again or "the same call"
        start = self.clock()
        bad = _BadTime(what)
        while True:
            pause = self.interval_seconds
            try:
                seen = look()
            except AWS_ERRORS as error:
                kind = bad.note(error, self.clock())
                if kind is None:
                    raise
                if kind in ("expired", "credentials"):
                    self._check_patience(what, again, bad, error)
                    if reconnect is not None:
                        reconnect()
                pause = min(2.0 ** min(bad.count, 10), max(pause, LONGEST_PAUSE))
            else:
                bad.is_over()
                yield seen
            waited = self.clock() - start
            if timeout_seconds is not None and waited >= timeout_seconds:
                raise WaitTimeoutError(
                    f"{what} did not finish within {timeout_seconds:g} s{bad.last_words}. It goes on; wait "
                    f"for it again with {again}"
                ) from bad.error
            left = float("inf") if timeout_seconds is None else timeout_seconds - waited
            self.sleep(min(pause, left))

    def _check_patience(self, what: str, again: str, bad: _BadTime, error: Exception) -> None:
        refused = self.clock() - bad.refused_since
        if refused >= self.credential_patience_seconds:
            raise WaitTimeoutError(
                f"{what} can be watched no longer: for {refused:g} s {explain(error)}. It goes on in "
                f"SageMaker; attach to it again with {again}"
            ) from error


class _BadTime:
    """The trouble of one wait: what it is, since when, and whether it was told."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._answered = False
        self._told: set[Kind] = set()
        self.error: Exception | None = None
        self.count = 0
        self.refused_since = 0.0

    @property
    def last_words(self) -> str:
        """What AWS cannot be asked for at the moment, as a part of a message; or nothing."""
        return f" (and {cause_of(self.error)})" if self.error is not None else ""

    def note(self, error: Exception, now: float) -> Kind | None:
        """Return the kind of a trouble that may pass, told once; None for what will not pass."""
        kind = kind_of(error)
        if kind in ("denied", "missing", "refused"):
            return None
        if kind == "credentials" and not self._answered:
            return None  # these were never any good
        if kind not in ("expired", "credentials") or self.error is None:
            self.refused_since = now
        if kind not in self._told:
            LOG.warning("%s: %s. Waiting goes on%s.", self._what, cause_of(error), _RENEWAL.get(kind, ""))
            self._told.add(kind)
        self.error = error
        self.count += 1
        return kind

    def is_over(self) -> None:
        """Note that AWS has answered."""
        if self.error is not None:
            LOG.info("%s: AWS answers again.", self._what)
        self._answered = True
        self._told.clear()
        self.error = None
        self.count = 0
