"""The system metrics that SageMaker writes, line by line."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.analysis.profile import profile_of
from sagemaker_dogbreed.analysis.system_metrics import read_system_metrics
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.errors import RecordingError

BEGAN = 1_700_000_000.0


def line(kind, name, dimension, value, *, time=BEGAN, node="algo-1"):
    return json.dumps(
        {
            "Type": kind,
            "Name": name,
            "Dimension": dimension,
            "Value": value,
            "NodeId": node,
            "Timestamp": time,
        }
    )


def look(time, node="algo-1", busy=10.0):
    return [
        line("cpu", "cpu10", "CPUUtilization", busy + 2, time=time, node=node),
        line("cpu", "cpu2", "CPUUtilization", busy, time=time, node=node),
        line("gpu", "gpu0", "GPUUtilization", 40.0, time=time, node=node),
        line("gpu", "gpu0", "GPUMemoryUtilization", 30, time=time, node=node),
        line("memory", "MemoryUsedPercent", "Memory", 50.0, time=time, node=node),
        line("network", "ReceiveBytesPerSecond", "Algorithm", 1e6, time=time, node=node),
        line("network", "TransmitBytesPerSecond", "Algorithm", 2e6, time=time, node=node),
    ]


def write(folder, name, lines):
    path = folder / "system" / "incremental" / "2023111422" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_looks_are_put_together(tmp_path):
    """What was measured at a time is one record; cores are in the order of their numbers."""
    write(tmp_path, "1700000000.algo-1.json", look(BEGAN + 0.5) + look(BEGAN))
    write(tmp_path, "1700000000.algo-2.json", look(BEGAN, node="algo-2", busy=80.0))
    first, other, second = read_system_metrics(tmp_path)
    assert (first.node, first.time, first.cpu) == ("algo-1", BEGAN, (10.0, 12.0))
    assert (first.gpu, first.gpu_memory, first.memory) == ((40.0,), (30.0,), 50.0)
    assert (first.network_in, first.network_out) == (1e6, 2e6)
    assert (other.node, other.cpu) == ("algo-2", (80.0, 82.0))
    assert second.time == BEGAN + 0.5
    assert math.isnan(first.io_wait)


def test_they_make_a_profile(tmp_path):
    """What is read goes where our own measurements go."""
    write(tmp_path, "1700000000.algo-1.json", [each for second in range(9) for each in look(BEGAN + second)])
    profile = profile_of(History(system=read_system_metrics(tmp_path)))
    assert (profile.cpu.median, profile.gpu.median, profile.memory.median) == (11, 40, 50)
    assert (profile.io_wait, profile.own_memory) == (None, ())
    assert profile.network.median == 3e6


def test_time_that_processors_wait_is_read(tmp_path):
    """It is averaged over the cores."""
    lines = [line("cpu", f"cpu{core}", "I/OWaitPercentage", 10.0 * core) for core in (0, 1)]
    write(tmp_path, "1700000000.algo-1.json", lines)
    assert read_system_metrics(tmp_path)[0].io_wait == 5.0


def test_lines_that_are_cut_off_or_strange_are_passed_over(tmp_path):
    """A job that was killed leaves half a line; what is no measurement is none."""
    strange = ['{"Type": "cpu", "Na', "[]", "3", "", line("cpu", "cpu0", "CPUUtilization", None), "[" * 9000,
               line("cpu", ["x"], "CPUUtilization", 1.0), line("cpu", "cpu0", "CPUUtilization", 1.0, time=-1),
               line("cpu", "cpu0", "CPUUtilization", math.nan), "x" * 30_000]  # fmt: skip
    write(tmp_path, "1700000000.algo-1.json", [*strange, *look(BEGAN)])
    assert [each.cpu for each in read_system_metrics(tmp_path)] == [(10.0, 12.0)]


def test_a_folder_without_metrics_says_what_to_give(tmp_path):
    """Other JSON files are none; files without any measurement are told apart."""
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(RecordingError, match="holds no system metrics"):
        read_system_metrics(tmp_path)
    write(tmp_path, "1700000000.algo-1.json", ["{}"])
    with pytest.raises(RecordingError, match="none of the 1 files"):
        read_system_metrics(tmp_path)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(("Type", "Name", "Dimension", "Value", "NodeId", "Timestamp"), VALUES),
        ),
        max_size=5,
    )
)
def test_any_fields_are_read(tmp_path_factory, lines):
    """Whatever a line's fields are, it is a measurement or passed over."""
    folder = tmp_path_factory.mktemp("metrics")
    write(folder, "1700000000.algo-1.json", [*look(BEGAN), *map(json.dumps, lines)])
    assert profile_of(History(system=read_system_metrics(folder))).cpu is not None
