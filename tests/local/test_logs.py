"""Logs of the local SageMaker, read as CloudWatch's are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support import end_processes, training_request, wait_for_job

from sagemaker_dogbreed.local.log_files import LogWriter
from sagemaker_dogbreed.local.service import LocalSageMaker

GROUP = "/aws/sagemaker/TrainingJobs"
STREAM = "job/algo-1-1"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sagemaker")


@pytest.fixture(scope="module")
def client(root: Path) -> Any:
    return LocalSageMaker(root).boto_session().client("logs")


@pytest.fixture(scope="module")
def writer(root: Path) -> LogWriter:
    writer = LogWriter(root, GROUP, STREAM)
    for number in range(5):
        writer.write(f"line {number}")
    return writer


def _messages(answer: dict[str, Any]) -> list[str]:
    return [event["message"] for event in answer["events"]]


def test_a_jobs_output_is_its_log(tmp_path: Path) -> None:
    """Both outputs arrive line by line, with whatever bytes, in the stream named after the job."""
    service = LocalSageMaker(tmp_path)
    session = service.boto_session()
    script = r"""
        import os
        os.write(1, "größer\r\n".encode())
        os.write(2, b"\xff bad\n\n")
        os.write(1, b"x" * 300_000 + b"\nunfinished")
    """
    try:
        session.client("sagemaker").create_training_job(**training_request(service, "talks", script))
        wait_for_job(session.client("sagemaker"), "talks")
    finally:
        end_processes(tmp_path)
    logs = session.client("logs")
    (stream,) = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="talks/")["logStreams"]
    assert stream["logStreamName"].startswith("talks/algo-1-")
    answer = logs.get_log_events(
        logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True
    )
    texts = _messages(answer)
    assert texts[:3] == ["größer", "\ufffd bad", ""]
    assert "".join(texts[3:]) == "x" * 300_000 + "unfinished"
    times = [event["timestamp"] for event in answer["events"]]
    assert times == sorted(times)
    assert stream["firstEventTimestamp"] == times[0]


def test_reading_forward_ends_with_the_same_token(client: Any, root: Path) -> None:
    """The forward token walks through the stream, repeats at the end, and finds what is added later."""
    growing = LogWriter(root, GROUP, "growing/algo-1-1")
    for number in range(3):
        growing.write(str(number))
    read: list[list[str]] = []
    tokens: list[str] = []
    more: dict[str, Any] = {"startFromHead": True}
    for _ in range(4):
        answer = client.get_log_events(logGroupName=GROUP, logStreamName="growing/algo-1-1", limit=2, **more)
        read.append(_messages(answer))
        tokens.append(answer["nextForwardToken"])
        more = {"nextToken": tokens[-1]}
    assert read == [["0", "1"], ["2"], [], []]
    assert tokens[1] == tokens[2] == tokens[3]
    growing.write("3")
    answer = client.get_log_events(logGroupName=GROUP, logStreamName="growing/algo-1-1", **more)
    assert _messages(answer) == ["3"]
    growing.close()


def test_reading_backward_from_the_end(client: Any, writer: LogWriter) -> None:
    """Without startFromHead the last lines come first, and the backward token leads to the earlier ones."""
    last = client.get_log_events(logGroupName=GROUP, logStreamName=STREAM, limit=2)
    assert _messages(last) == ["line 3", "line 4"]
    before = client.get_log_events(
        logGroupName=GROUP, logStreamName=STREAM, limit=2, nextToken=last["nextBackwardToken"]
    )
    assert _messages(before) == ["line 1", "line 2"]
    after = client.get_log_events(
        logGroupName=GROUP, logStreamName=STREAM, nextToken=before["nextForwardToken"]
    )
    assert _messages(after) == ["line 3", "line 4"]


def test_a_line_that_is_being_written_is_not_there_yet(client: Any, root: Path) -> None:
    """Half a line is neither shown nor skipped."""
    torn = LogWriter(root, GROUP, "torn/algo-1-1")
    torn.write("whole")
    path = root / "logs" / "TrainingJobs" / "torn" / "algo-1-1.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:10])
    for start in (True, False):
        answer = client.get_log_events(logGroupName=GROUP, logStreamName="torn/algo-1-1", startFromHead=start)
        assert _messages(answer) == ["whole"]
        path.write_bytes(whole + whole)
        again = client.get_log_events(
            logGroupName=GROUP, logStreamName="torn/algo-1-1", nextToken=answer["nextForwardToken"]
        )
        assert _messages(again) == ["whole"]
        path.write_bytes(whole + whole[:10])
    torn.close()


def test_times_narrow_a_reading(client: Any, writer: LogWriter) -> None:
    """The start is included, the end is not."""
    events = client.get_log_events(logGroupName=GROUP, logStreamName=STREAM)["events"]
    last = events[-1]["timestamp"]
    late = {"logGroupName": GROUP, "logStreamName": STREAM}
    assert client.get_log_events(**late, startTime=last + 1)["events"] == []
    assert "line 4" not in _messages(client.get_log_events(**late, endTime=last))
    assert "line 4" in _messages(client.get_log_events(**late, startTime=last, endTime=last + 1))


def test_searching_several_streams(client: Any, writer: LogWriter, root: Path) -> None:
    """FilterLogEvents finds words over the streams of a prefix, in pages."""
    other = LogWriter(root, GROUP, "job-2/algo-1-1")
    other.write("line of another")
    other.close()

    def found(pattern: str = "", **more: Any) -> list[str]:
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, filterPattern=pattern, PaginationConfig={"PageSize": 2}, **more
        )
        return [message for page in pages for message in _messages(page)]

    assert found("line", logStreamNames=[STREAM]) == [f"line {number}" for number in range(5)]
    assert found('"line 2"') == ["line 2"]
    assert found("line -another ?1 ?3", logStreamNamePrefix="job") == ["line 1", "line 3"]
    assert found("another") == ["line of another"]
    with pytest.raises(ClientError, match="by words only"):
        found("{ $.x = 1 }")
    with pytest.raises(ClientError, match="filterPattern"):
        found('"open')


def test_streams_are_listed_in_pages(client: Any, root: Path, writer: LogWriter) -> None:
    """By name or by time of the last event, either way round."""
    for number in range(3):
        LogWriter(root, GROUP, f"page/algo-1-{number}").close()
    pages = client.get_paginator("describe_log_streams").paginate(
        logGroupName=GROUP, logStreamNamePrefix="page/", descending=True, PaginationConfig={"PageSize": 2}
    )
    found = [[stream["logStreamName"] for stream in page["logStreams"]] for page in pages]
    assert found == [["page/algo-1-2", "page/algo-1-1"], ["page/algo-1-0"]]
    by_time = client.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime")["logStreams"]
    times = [stream["lastEventTimestamp"] for stream in by_time]
    assert times == sorted(times)


def test_what_is_not_there_or_not_valid(client: Any, writer: LogWriter) -> None:
    """Missing groups and streams, and tokens of somebody's making, are errors in CloudWatch's words."""
    missing: list[Callable[[], Any]] = [
        lambda: client.describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/nobody"),
        lambda: client.describe_log_streams(logGroupName="/var/log"),
        lambda: client.get_log_events(logGroupName=GROUP, logStreamName="nobody/algo-1-1"),
        lambda: client.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/nobody"),
    ]
    for call in missing:
        with pytest.raises(client.exceptions.ResourceNotFoundException, match="does not exist"):
            call()
    for token in ("x", "f/12/s", f"f/{3:056d}/s", f"f/{10**9:056d}/s", f"b/{'9' * 56}/s", "f/" + "²" * 56):
        with pytest.raises(client.exceptions.InvalidParameterException, match="nextToken"):
            client.get_log_events(logGroupName=GROUP, logStreamName=STREAM, nextToken=token)
    with pytest.raises(client.exceptions.InvalidParameterException, match="logGroupName"):
        client.describe_log_streams(logGroupIdentifier=GROUP)
