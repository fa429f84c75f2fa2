"""Reads the CloudWatch log streams of a job or an endpoint, merged by time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
from botocore.exceptions import ClientError

from sagemaker_dogbreed.jobs.polling import Poller
from sagemaker_dogbreed.jobs.trouble import details, is_missing

GROUP = "/aws/sagemaker/TrainingJobs"
ENDPOINT_GROUP = "/aws/sagemaker/Endpoints"

_SETTLING_READS = 12
_TAIL_PAGES = 5
_STARTED_AT = re.compile(r"-\d{9,}$")


@attrs.frozen
class _Line:
    time: int
    host: str
    text: str


@attrs.define
class _Place:
    """Where the reading of a stream has come to; the events of its last millisecond are counted."""

    token: str | None = None
    time: int = 0
    count: int = 0

    def note(self, time: int) -> None:
        """Count an event as read."""
        self.count = self.count + 1 if time == self.time else 1
        self.time = time


class LogReader:
    """Reads the log of one job or endpoint from where the last read ended.

    Where several hosts write, each line begins with its host: ``[algo-2] ...``.
    """

    def __init__(self, clients: Any, group: str, prefix: str = "") -> None:
        self._clients = clients
        self._group = group
        self._prefix = prefix
        self._places: dict[str, _Place] = {}
        self._hosts: set[str] = set()
        self._read_lines: list[_Line] = []

    @classmethod
    def of_job(cls, clients: Any, job_name: str) -> LogReader:
        """Return the reader of a training job's log."""
        return cls(clients, GROUP, f"{job_name}/")

    @classmethod
    def of_endpoint(cls, clients: Any, endpoint_name: str) -> LogReader:
        """Return the reader of an endpoint's log."""
        return cls(clients, f"{ENDPOINT_GROUP}/{endpoint_name}")

    def new_lines(self) -> list[str]:
        """Return the lines that were written since the last call, oldest first.

        What was read before an error is not lost: the next call returns it.

        Raises:
            ClientError: CloudWatch refuses; other errors of botocore likewise.
        """
        for stream in self._streams():
            for event in self._new_events(stream):
                self._read_lines.append(_line(stream, event))
        lines, self._read_lines = self._read_lines, []
        return self._texts(lines)

    def late_lines(self, what: str, poller: Poller) -> Iterator[str]:
        """Yield the lines that come after the end, until none have come for ``poller.settle_seconds``."""
        if not poller.settle_seconds:
            return
        poller.sleep(poller.settle_seconds)
        settling = attrs.evolve(poller, interval_seconds=poller.settle_seconds)
        watched = settling.watch(f"the log of {what}", self.new_lines, reconnect=self._clients.reconnect)
        for _, lines in zip(range(_SETTLING_READS), watched, strict=False):
            yield from lines
            if not lines:
                return

    def tail(self, count: int) -> list[str]:
        """Return the last lines, at most ``count`` of them, without reading what is before.

        Raises:
            ClientError: CloudWatch refuses; other errors of botocore likewise.
        """
        lines = [_line(stream, event) for stream in self._streams() for event in self._last(stream, count)]
        return self._texts(lines)[-count:] if count else []

    def _texts(self, lines: Iterable[_Line]) -> list[str]:
        merged = sorted(lines, key=lambda line: line.time)
        if len(self._hosts) < 2:
            return [line.text for line in merged]
        return [f"[{line.host}] {line.text}" for line in merged]

    def _streams(self) -> list[str]:
        names: list[str] = []
        prefix = {"logStreamNamePrefix": self._prefix} if self._prefix else {}
        try:
            paginator = self._clients.logs.get_paginator("describe_log_streams")
            for page in paginator.paginate(logGroupName=self._group, **prefix):
                names += [stream.get("logStreamName", "") for stream in page.get("logStreams", ())]
        except ClientError as error:
            # The group is made with the account's first job, the streams once a job has started.
            if not is_missing(error):
                raise
        found = [name for name in names if name]
        self._hosts.update(_host(name) for name in found)
        return found

    def _new_events(self, stream: str) -> Iterator[dict[str, Any]]:
        place = self._places.setdefault(stream, _Place())
        while True:
            last_time = place.time
            page, known = self._page(stream, place)
            for index, event in enumerate(page.get("events", ())):
                time = int(event.get("timestamp") or 0)
                if index < known and time == last_time:
                    continue
                place.note(time)
                yield event
            # The end of a stream is told by the token that does not change, not by an empty page.
            following = page.get("nextForwardToken")
            if following is None or following == place.token:
                return
            place.token = following

    def _page(self, stream: str, place: _Place) -> tuple[dict[str, Any], int]:
        """Return the next page, and how many of its first events were read before."""
        read = self._clients.logs.get_log_events
        names = {"logGroupName": self._group, "logStreamName": stream}
        try:
            if place.token is None:
                return read(**names, startFromHead=True), 0
            return read(**names, nextToken=place.token), 0
        except ClientError as error:
            if is_missing(error):
                return {}, 0
            if place.token is None or details(error)[0] != "InvalidParameterException":
                raise
        # A token is good for a day only; a stream may be silent for longer.
        place.token = None
        return read(**names, startFromHead=True, startTime=place.time), place.count

    def _last(self, stream: str, count: int) -> list[dict[str, Any]]:
        names = {"logGroupName": self._group, "logStreamName": stream}
        token: str | None = None
        # CloudWatch may answer with an empty page although there are events before it.
        for _ in range(_TAIL_PAGES):
            start = {"startFromHead": False} if token is None else {"nextToken": token}
            try:
                page = self._clients.logs.get_log_events(**names, limit=count, **start)
            except ClientError as error:
                if is_missing(error):
                    return []
                raise
            before, token = token, page.get("nextBackwardToken")
            if page.get("events") or token is None or token == before:
                return list(page.get("events", ()))
        return []


def _host(stream: str) -> str:
    """Return who writes a stream: ``algo-1`` of ``job/algo-1-1700000000``."""
    return _STARTED_AT.sub("", stream.rpartition("/")[2]) or stream


def _line(stream: str, event: dict[str, Any]) -> _Line:
    text = str(event.get("message") or "").rstrip("\r\n")
    return _Line(int(event.get("timestamp") or 0), _host(stream), text)
