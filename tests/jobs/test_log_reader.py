"""Logs of several streams: merged by time, each line once, to the very end."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_aws import (
    COMPLETED,
    DOWN,
    NO_GROUP,
    THROTTLED,
    Clock,
    ScriptedAws,
    log_page,
    log_streams,
    training_job,
)

from sagemaker_dogbreed import TrainingJob
from sagemaker_dogbreed.jobs.logs import LogReader

TWO = log_streams("dogs/algo-1-1700000000", "dogs/algo-2-1700000001")
ONE = log_streams("dogs/algo-1-1700000000")
BAD_TOKEN = (400, "InvalidParameterException", "The specified nextToken is invalid.")


def test_lines_of_several_hosts_are_merged_by_time():
    """Each read is in the order things happened, and says who wrote."""
    aws = ScriptedAws(
        DescribeLogStreams=[TWO],
        GetLogEvents=[
            log_page("t1", (1, "first"), (5, "fifth")),
            log_page("t1"),
            log_page("u1", (2, "second"), (5, "sixth")),
            log_page("u1"),
        ],
    )
    lines = LogReader.of_job(aws.clients, "dogs").new_lines()
    assert lines == ["[algo-1] first", "[algo-2] second", "[algo-1] fifth", "[algo-2] sixth"]
    assert aws.requests("DescribeLogStreams")[0]["logStreamNamePrefix"] == "dogs/"


def test_a_log_that_does_not_exist_yet_is_empty():
    """A job that has not started has no log group or streams; that is no error."""
    aws = ScriptedAws(DescribeLogStreams=[NO_GROUP, ONE], GetLogEvents=[NO_GROUP])
    reader = LogReader.of_job(aws.clients, "dogs")
    assert reader.new_lines() == []
    assert reader.new_lines() == []


def test_every_stream_is_read_from_where_the_last_read_ended():
    """Lines come once each, an empty page in between or not; a token that stays is the end."""
    pages = [("t1", "one"), ("t2",), ("t3", "two"), ("t3",), ("t4", "three"), ("t4",)]
    aws = ScriptedAws(
        DescribeLogStreams=[ONE],
        GetLogEvents=[log_page(token, *[(1, line) for line in lines]) for token, *lines in pages],
    )
    reader = LogReader.of_job(aws.clients, "dogs")
    assert reader.new_lines() == ["one", "two"]
    assert reader.new_lines() == ["three"]
    tokens = [request.get("nextToken") for request in aws.requests("GetLogEvents")]
    assert tokens == [None, "t1", "t2", "t3", "t3", "t4"]


def test_what_was_read_before_an_error_comes_with_the_next_read():
    """A throttled page costs no line and brings none twice."""
    aws = ScriptedAws(
        DescribeLogStreams=[TWO],
        GetLogEvents=[
            log_page("t1", (1, "one")),
            log_page("t1"),
            THROTTLED,
            log_page("t1"),
            log_page("u1", (0, "zero")),
            log_page("u1"),
        ],
    )
    reader = LogReader.of_job(aws.clients, "dogs")
    with pytest.raises(ClientError):
        reader.new_lines()
    assert reader.new_lines() == ["[algo-2] zero", "[algo-1] one"]


def test_a_token_that_has_grown_old_is_replaced():
    """A stream that was silent for a day goes on after the last event that was read."""
    aws = ScriptedAws(
        DescribeLogStreams=[ONE],
        GetLogEvents=[
            log_page("t1", (1, "one"), (7, "same time"), (7, "same time")),
            log_page("t1"),
            BAD_TOKEN,
            log_page("n1", (7, "same time"), (7, "same time"), (7, "late"), (9, "nine")),
            log_page("n1"),
        ],
    )
    reader = LogReader.of_job(aws.clients, "dogs")
    assert reader.new_lines() == ["one", "same time", "same time"]
    assert reader.new_lines() == ["late", "nine"]
    assert aws.requests("GetLogEvents")[3]["startTime"] == 7


def test_lines_that_come_after_the_end_are_waited_for():
    """CloudWatch is some seconds late: reading goes on until nothing new comes."""
    clock = Clock()
    aws = ScriptedAws(
        DescribeTrainingJob=[COMPLETED],
        DescribeLogStreams=[ONE],
        GetLogEvents=[log_page("t0"), log_page("t0"), DOWN, log_page("t1", (1, "late")), log_page("t1")],
    )
    job = TrainingJob("dogs", aws.clients, clock.poller(settle_seconds=5))
    assert list(job.logs(follow=True)) == ["late"]
    assert clock.naps == [5, 2, 5]


def test_a_local_log_is_not_waited_for():
    """Where a log is never late, nothing waits for it."""
    clock = Clock()
    aws = ScriptedAws(
        DescribeTrainingJob=[COMPLETED], DescribeLogStreams=[ONE], GetLogEvents=[log_page("t0")]
    )
    assert list(TrainingJob("dogs", aws.clients, clock.poller()).logs(follow=True)) == []
    assert clock.naps == []


def test_a_log_that_never_ends_does_not_hold_the_caller():
    """Settling has an end of its own."""
    clock = Clock()
    endless = [log_page("a", (1, "again")), log_page("a")] * 50
    aws = ScriptedAws(DescribeTrainingJob=[COMPLETED], DescribeLogStreams=[ONE], GetLogEvents=endless)
    list(TrainingJob("dogs", aws.clients, clock.poller(settle_seconds=5)).logs(follow=True))
    assert clock.now <= 100


def test_the_tail_reads_the_end_only():
    """The last lines of each stream take one call each, an empty page apart."""
    aws = ScriptedAws(
        DescribeLogStreams=[TWO],
        GetLogEvents=[
            log_page("t9", (8, "eight")),
            log_page("u9"),
            log_page("u8", (7, "seven"), (9, "nine")),
        ],
    )
    assert LogReader.of_job(aws.clients, "dogs").tail(2) == ["[algo-1] eight", "[algo-2] nine"]
    requests = aws.requests("GetLogEvents")
    assert [request.get("startFromHead") for request in requests] == [False, False, None]
    assert requests[2]["nextToken"] == "b-u9"


def test_the_log_of_a_job_as_it_is():
    """Without follow the lines so far come at once, whatever the job's status."""
    aws = ScriptedAws(
        DescribeTrainingJob=[training_job()],
        DescribeLogStreams=[ONE],
        GetLogEvents=[log_page("t", (1, "a\n"))],
    )
    assert list(TrainingJob("dogs", aws.clients, Clock().poller()).logs()) == ["a", "a"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=3), min_size=1, max_size=3))
def test_no_line_is_lost_or_doubled(streams):
    """However events are spread over streams and pages, each comes once, in its stream's order."""
    pages, expected = [], []
    for number, stream in enumerate(streams):
        lines = iter(sorted(time for page in stream for time in page))
        for index, page in enumerate(stream):
            events = [(next(lines), f"{number}-{index}-{place}") for place in range(len(page))]
            pages.append(log_page(f"{number}-{index}", *events))
            expected += events
        pages += [log_page(f"{number}-end"), log_page(f"{number}-end")]
    names = [f"dogs/algo-{number}-1700000000" for number in range(len(streams))]
    aws = ScriptedAws(DescribeLogStreams=[log_streams(*names)], GetLogEvents=pages)
    lines = [line.rpartition(" ")[2] for line in LogReader.of_job(aws.clients, "dogs").new_lines()]
    assert lines == [line for _, line in sorted(expected, key=lambda event: event[0])]
