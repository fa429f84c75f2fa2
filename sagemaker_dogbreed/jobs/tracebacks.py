"""Finds the last Python traceback in a log, whichever of several hosts wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 100  # lines; of a longer one the end is kept, where the exception is
_START = "Traceback (most recent call last)"
# Who speaks: "[algo-2] " is ours, "[rank1]: " torchrun's, "[1,mpirank:0,algo-1]<stderr>:" MPI's.
_SPEAKER = re.compile(r"(?:\[[\w,:.-]{1,80}\](?:<std(?:err|out)>)?:? ?){0,3}")
# A process that only reports that another one failed, or lost its connection to it.
_SECONDHAND = re.compile(
    r"ChildFailedError|SignalException|ExecuteUserScriptError|CalledProcessError|DistBackendError"
    r"|DistNetworkError|DistStoreError|Connection (?:closed|reset) by peer|NCCL (?:error|communicator)"
)


def last_traceback(lines: Iterable[str]) -> str | None:
    """Return the last traceback that tells of a cause, without the prefixes of its lines; or None.

    The lines of several hosts or ranks may be mixed. Of several tracebacks those that only pass on the
    failure of another process count last.

    >>> last_traceback(["Traceback (most recent call last):", '  File "a"', "ValueError: no"])[-14:]
    'ValueError: no'
    """
    open_ones: dict[str, list[str]] = {}
    closed: list[list[str]] = []
    for text in lines:
        for line in text.splitlines():
            speaker = _SPEAKER.match(line)
            who = speaker.group() if speaker else ""
            said = line[len(who) :]
            at = said.find(_START)
            if at >= 0:
                if who in open_ones:
                    closed.append(open_ones[who])
                open_ones[who] = [said[at:]]
            elif who in open_ones:
                open_ones[who].append(said)
                # Frames are indented; the first line that is not names the exception.
                if said.strip() and not said.startswith((" ", "\t")):
                    closed.append(open_ones.pop(who))
    closed += open_ones.values()
    if not closed:
        return None
    first_hand = [found for found in closed if not _SECONDHAND.search(found[-1])]
    return "\n".join((first_hand or closed)[-1][-_LONGEST:])
