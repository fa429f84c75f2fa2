"""The programs that the benchmark compares, each as its users start it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BUCKET = "benchmark"
_HERE = Path(__file__).parent
_PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Place:
    """What a run needs to know: the files, the server, and an empty folder for what is kept between runs."""

    folder: Path
    endpoint: str
    scratch: Path


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to bring a folder to S3.

    ``unchanged`` is whether it looks for what is there already; one that does not sends everything
    again. ``slow`` ones run in one round only. ``requests`` sets the AWS CLI's ``max_concurrent_requests``.
    """

    name: str
    command: Callable[[Place], list[str]]
    unchanged: bool = True
    slow: bool = False
    requests: int | None = None


def _aws(place: Place) -> list[str]:
    target = f"s3://{BUCKET}/dogs/"
    return [
        str(_PROGRAMS / "aws"),
        "--endpoint-url",
        place.endpoint,
        "s3",
        "sync",
        str(place.folder),
        target,
        "--no-progress",
    ]


def _s5cmd(verb: str, place: Place) -> list[str]:
    return [
        str(_PROGRAMS / "s5cmd"),
        "--endpoint-url",
        place.endpoint,
        verb,
        f"{place.folder}/",
        f"s3://{BUCKET}/dogs/",
    ]


def _script(name: str, place: Place) -> list[str]:
    arguments = [str(place.folder), BUCKET, place.endpoint, str(place.scratch)]
    return [sys.executable, str(_HERE / name), *arguments]


OURS = "sagemaker_dogbreed"
REFERENCE = "aws s3 sync"
RIVALS = ("s5cmd cp", "s5cmd sync")

CONTENDERS = (
    Contender(REFERENCE, _aws),
    Contender("aws s3 sync, 64 requests", _aws, requests=64),
    Contender(
        "boto3 upload_file loop", lambda place: _script("boto3_loop.py", place), unchanged=False, slow=True
    ),
    Contender(RIVALS[0], lambda place: _s5cmd("cp", place), unchanged=False),
    Contender(RIVALS[1], lambda place: _s5cmd("sync", place)),
    Contender(OURS, lambda place: _script("upload_dataset.py", place)),
)
