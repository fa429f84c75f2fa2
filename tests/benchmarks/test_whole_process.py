"""What a benchmark reports of a process is the process's, its children included."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import whole_process

BUSY = "sum(range(10_000_000))"


def test_the_output_and_the_time_are_told():
    """The last line of the output is read as JSON, whatever was printed before it."""
    measured = whole_process.run([sys.executable, "-c", "print('begun'); print('{\"images\": 3}')"])
    assert measured.told == {"images": 3}
    assert measured.core_seconds > 0
    assert measured.seconds > 0


def test_what_children_compute_counts():
    """The processor time of a child that was waited for is in the sum."""
    program = f"""
import resource, subprocess, sys
subprocess.run([sys.executable, "-c", {BUSY!r}], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
own = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime + own.ru_utime)
"""
    measured = whole_process.run([sys.executable, "-c", program])
    assert measured.core_seconds >= float(measured.output)


def test_a_failure_ends_the_benchmark_with_its_reason():
    """What the program wrote on stderr is in the message."""
    with pytest.raises(SystemExit, match="no such engine"):
        whole_process.run([sys.executable, "-c", "raise ValueError('no such engine')"])


def test_only_the_variables_given_reach_the_program(monkeypatch):
    """A run's environment is what the benchmark says it is."""
    monkeypatch.setenv("AMBIENT", "1")
    program = "import os; print('AMBIENT' in os.environ, os.environ['WANTED'])"
    assert whole_process.run([sys.executable, "-c", program], {"WANTED": "yes"}).output == "False yes\n"
