"""Reads a job's CloudWatch log streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

GROUP = "/aws/sagemaker/TrainingJobs"


class LogReader:
    """Reads the log of one job from where the last read ended."""

    def __init__(self, logs_client: Any, job_name: str) -> None:
        self._client = logs_client
        self._prefix = f"{job_name}/"
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> Iterator[str]:
        """Yield the lines that were written since the last call, stream by stream."""
        for stream in self._streams():
            yield from self._read(stream)

    def _streams(self) -> list[str]:
        try:
            pages = self._client.get_paginator("describe_log_streams").paginate(
                logGroupName=GROUP, logStreamNamePrefix=self._prefix
            )
            return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            # The group is made with the account's first job, the streams once a job has started.
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return []
            raise

    def _read(self, stream: str) -> Iterator[str]:
        while True:
            start = {"nextToken": self._tokens[stream]} if stream in self._tokens else {"startFromHead": True}
            page = self._client.get_log_events(logGroupName=GROUP, logStreamName=stream, **start)
            yield from (event["message"] for event in page["events"])
            # The end of a stream is told by the token that does not change, not by an empty page.
            if self._tokens.get(stream) == page["nextForwardToken"]:
                return
            self._tokens[stream] = page["nextForwardToken"]
