"""The command line: thin over ``Workflow`` and ``Session``."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence

from sagemaker_dogbreed.cli.parser import command_line, parser
from sagemaker_dogbreed.errors import DogbreedError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 it failed, 2 wrong usage, 130 interrupted."""
    arguments = parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of jobs must reach a log file when they are known, not when all is over.
        sys.stdout.reconfigure(line_buffering=True)
    # Told to end (SIGTERM), it tidies up and says what goes on, as at Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
            arguments.command(arguments)
    except BrokenPipeError:
        # The reader has seen enough; nothing more can be said, and Python would try to at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (DogbreedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; see what runs with: {command_line(arguments)} list", file=sys.stderr)
        return 130
    return 0
