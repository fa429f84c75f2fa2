"""CloudWatch Logs, as far as it is read: streams, the events of one, and a search over many."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sagemaker_dogbreed.local import paging
from sagemaker_dogbreed.local.faults import ServiceFault
from sagemaker_dogbreed.local.log_files import group_folder, stream_file
from sagemaker_dogbreed.local.records import ACCOUNT, REGION
from sagemaker_dogbreed.local.workspace import Handler, Parameters, Workspace

_MOST_EVENTS = 10_000
_MOST_BYTES = 1_048_576
_MOST_STREAMS = 50


def describe_streams(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with the streams of a group, by name or by time of the last event."""
    by_time = request.get("orderBy") == "LastEventTime"
    found, token = paging.page(
        (_stream(request, name, path) for name, path in _streams(workspace, request)),
        lambda stream: (stream["lastEventTimestamp"] if by_time else 0, stream["logStreamName"]),
        request.get("nextToken"),
        request.get("limit", _MOST_STREAMS),
        descending=request.get("descending", False),
    )
    return {"logStreams": found, **({"nextToken": token} if token else {})}


def get_events(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with the events of one stream, from a token on or from one of its ends.

    A token is a direction and a place in the file; at the stream's end the forward token comes back
    as it was, and goes on to work when there is more.
    """
    path = stream_file(workspace.root, _group(request), request["logStreamName"])
    if path is None or not path.is_file():
        raise _no_such("log stream")
    limit = request.get("limit", _MOST_EVENTS)
    size = path.stat().st_size
    direction, place = _place(request.get("nextToken"), size)
    found: Iterable[dict[str, Any]]
    if direction == "f" or (direction is None and request.get("startFromHead")):
        found = _events(path, place, size)
    else:
        whole = list(_events(path, 0, size if direction is None else place))
        place = whole[-1]["end"] if whole else 0
        found = reversed(whole)
    chosen: list[dict[str, Any]] = []
    volume = 0
    begin = end = place
    for event in found:
        volume += len(event["message"])
        if len(chosen) == limit or (chosen and volume > _MOST_BYTES):
            break
        begin, end = min(begin, event["begin"]), max(end, event["end"])
        if _in_time(event, request):
            chosen.append(event)
    chosen.sort(key=lambda event: event["begin"])
    return {
        "events": [
            {key: event[key] for key in ("timestamp", "message")} | {"ingestionTime": event["timestamp"]}
            for event in chosen
        ],
        "nextForwardToken": f"f/{end:056d}/s",
        "nextBackwardToken": f"b/{begin:056d}/s",
    }


def filter_events(workspace: Workspace, request: Parameters) -> Parameters:
    """Answer with the events of several streams that hold the pattern's words, by time."""
    matches = _pattern(request.get("filterPattern", ""))
    names = request.get("logStreamNames")
    streams = [item for item in _streams(workspace, request) if names is None or item[0] in names]
    events = (
        {"logStreamName": name, **event}
        for name, path in streams
        for event in _events(path, 0, path.stat().st_size)
        if _in_time(event, request) and matches(event["message"])
    )
    found, token = paging.page(
        events,
        lambda event: (event["timestamp"], event["logStreamName"], event["begin"]),
        request.get("nextToken"),
        request.get("limit", _MOST_EVENTS),
    )
    answered = [
        {
            **{key: event[key] for key in ("logStreamName", "timestamp", "message")},
            "ingestionTime": event["timestamp"],
            "eventId": f"{event['timestamp']}{event['begin']:020d}",
        }
        for event in found
    ]
    return {"events": answered, "searchedLogStreams": [], **({"nextToken": token} if token else {})}


def _group(request: Parameters) -> str:
    if "logGroupName" not in request:
        raise _bad_parameter("logGroupName is missing")
    group: str = request["logGroupName"]
    return group


def _streams(workspace: Workspace, request: Parameters) -> Iterator[tuple[str, Path]]:
    folder = group_folder(workspace.root, _group(request))
    if folder is None or not folder.is_dir():
        raise _no_such("log group")
    prefix = request.get("logStreamNamePrefix", "")
    for path in folder.glob("*/*.jsonl"):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name.startswith(prefix):
            yield name, path


def _stream(request: Parameters, name: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        line = file.readline()
    changed = int(path.stat().st_mtime * 1000)
    first = json.loads(line)["timestamp"] if line.endswith(b"\n") else changed
    group = request["logGroupName"]
    return {
        "logStreamName": name,
        "creationTime": first,
        "firstEventTimestamp": first,
        "lastEventTimestamp": changed,
        "lastIngestionTime": changed,
        "arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:{name}",
    }


def _events(path: Path, start: int, stop: int) -> Iterator[dict[str, Any]]:
    """Yield the whole lines between two places, each with the places it begins and ends at."""
    with path.open("rb") as file:
        file.seek(max(0, start - 1))
        if start and file.read(1) != b"\n":
            raise _bad_parameter("The specified nextToken is invalid.")
        begin = start
        for line in file:
            end = begin + len(line)
            if end > stop or not line.endswith(b"\n"):
                return
            yield {**json.loads(line), "begin": begin, "end": end}
            begin = end


def _place(token: str | None, size: int) -> tuple[str | None, int]:
    if token is None:
        return None, 0
    direction, _, rest = token.partition("/")
    digits = rest.removesuffix("/s")
    valid = direction in {"f", "b"} and digits.isascii() and digits.isdigit() and len(digits) == 56
    if not valid or int(digits) > size:
        raise _bad_parameter("The specified nextToken is invalid.")
    return direction, int(digits)


def _in_time(event: dict[str, Any], request: Parameters) -> bool:
    timestamp: int = event["timestamp"]
    return bool(request.get("startTime", 0) <= timestamp < request.get("endTime", float("inf")))


def _pattern(pattern: str) -> Callable[[str], bool]:
    """Return the test of a filter pattern: all words, any of the ``?words``, none of the ``-words``."""
    if pattern.lstrip()[:1] in {"{", "[", "%"}:
        raise _bad_parameter("The local logs filter by words only, not by JSON, columns or expressions")
    try:
        words = shlex.split(pattern)
    except ValueError as error:
        raise _bad_parameter(f"filterPattern: {error}") from error
    without = [word[1:] for word in words if word.startswith("-")]
    either = [word[1:] for word in words if word.startswith("?")]
    every = [word for word in words if word[:1] not in {"-", "?"}]

    def matches(message: str) -> bool:
        return (
            all(word in message for word in every)
            and not any(word in message for word in without)
            and (not either or any(word in message for word in either))
        )

    return matches


def _no_such(what: str) -> ServiceFault:
    return ServiceFault("ResourceNotFoundException", f"The specified {what} does not exist.")


def _bad_parameter(message: str) -> ServiceFault:
    return ServiceFault("InvalidParameterException", message)


OPERATIONS: dict[str, Handler] = {
    "DescribeLogStreams": describe_streams,
    "GetLogEvents": get_events,
    "FilterLogEvents": filter_events,
}
