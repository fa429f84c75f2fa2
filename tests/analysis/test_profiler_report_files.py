"""What AWS's ProfilerReport wrote, whole, in parts, and damaged."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.analysis.diagnosis import diagnose
from sagemaker_dogbreed.analysis.profiler_report import RULES, read_profiler_report
from sagemaker_dogbreed.errors import RecordingError


def content(details=None, *, triggered=0, violations=0, datapoints=100):
    return {
        "RuleTriggered": triggered,
        "Violations": violations,
        "Details": details or {},
        "Datapoints": datapoints,
        "RuleParameters": "threshold:1\npatience:10",
    }


REPORT = {
    "Dataloader": content(
        {
            "pin_memory": True,
            "num_workers": 2,
            "cores": 8,
            "dataloading_time": {"p25": 0.1, "p50": 0.2, "p95": 0.4, "probs": [1, 2], "binedges": [0, 1, 2]},
        },
        datapoints=12,
    ),
    "LowGPUUtilization": content(
        {"algo-1": {"gpu0": {"p50": 5.0}, "gpu1": {"p50": 6.0}}, "last_timestamp": 3},
        triggered=2,
        violations=3,
    ),
    "MaxInitializationTime": content(
        {
            "step_num": {"first": 1_700_000_060_000_000},
            "job_start": 1_700_000_000.0,
            "job_end": 1_700_000_600.0,
        }
    ),
    "OverallSystemUsage": content(
        {
            "CPU": {"algo-1": {"max": 90, "p95": 80, "p50": 30, "min": 1}, "algo-2": {"p95": 90, "p50": 40}},
            "GPU": {"algo-1": {"max": 50, "p95": 40, "p50": 5, "min": 0}},
        },
        datapoints=77,
    ),
    "StepOutlier": content(
        {
            "step_details": {
                "algo-1-27": {"phase": "Step:ModeKeys.TRAIN", "step_stats": {"p50": 0.05}, "probs": [3, 4]},
                "algo-1-28": {"phase": "Step:ModeKeys.TRAIN", "step_stats": {"p50": 0.06}, "probs": [30, 4]},
                "algo-1-29": {
                    "phase": "Step:ModeKeys.EVAL",
                    "step_stats": {"p50": 0.02, "max": 3},
                    "probs": [5],
                },
            }
        }
    ),
}


def write(folder, report):
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in report.items():
        (folder / f"{name}.json").write_text(each if isinstance(each, str) else json.dumps(each))
    return folder


def test_a_report_is_read(tmp_path):
    """Times, the machine, the loader and the rules are where our own records have them."""
    profile = read_profiler_report(write(tmp_path, REPORT))
    assert (profile.origin, profile.seconds, profile.initialization_seconds) == ("ProfilerReport", 600, 60)
    assert (profile.processors, profile.num_workers, profile.pin_memory) == (8, 2, True)
    assert (profile.loading.count, profile.loading.median, profile.loading.p95) == (12, 0.2, 0.4)
    assert (profile.gpus, profile.device, profile.samples) == (2, "cuda", 77)
    assert (profile.cpu.median, profile.cpu.p95, profile.gpu.high) == (40, 90, 40)
    assert {name: (each.count, each.seconds.median) for name, each in profile.batches.items()} == {
        "train": (34, 0.06),
        "evaluate": (5, 0.02),
    }
    statuses = {rule.name: rule for rule in profile.rules}
    assert set(statuses) == set(REPORT)
    assert statuses["LowGPUUtilization"].status == "IssuesFound"
    assert statuses["LowGPUUtilization"].details == "3 of 100 measurements are beyond the thresholds"
    assert statuses["StepOutlier"].status == "NoIssuesFound"


def test_the_folders_that_aws_writes_are_found_in_a_jobs_output(tmp_path):
    """Any folder above will do; of two reports the newer one is read."""
    inner = "ProfilerReport-{}/profiler-output/profiler-reports"
    old = write(tmp_path / "rule-output" / inner.format(1), {"Dataloader": content({"cores": 2})})
    new = write(tmp_path / "rule-output" / inner.format(2), {"Dataloader": content({"cores": 4})})
    os.utime(old / "Dataloader.json", (1_000, 1_000))
    os.utime(new / "Dataloader.json", (2_000, 2_000))
    for folder in (tmp_path, tmp_path / "rule-output", new.parent):
        assert read_profiler_report(folder).processors == 4


def test_what_is_missing_is_none(tmp_path):
    """A single file is a report, too."""
    profile = read_profiler_report(write(tmp_path, {"BatchSize": content(triggered=1)}))
    assert (profile.processors, profile.gpu, profile.loading, profile.seconds) == (None, None, None, None)
    assert [rule.name for rule in profile.rules] == ["BatchSize"]


@pytest.mark.parametrize("text", ["", '{"RuleTriggered": 1, "Det', "[1]", "null", "[" * 100_000])
def test_a_damaged_file_is_named(tmp_path, text):
    """What is cut off, or no object, is an error that says which file it is."""
    write(tmp_path, {"Dataloader": text})
    with pytest.raises(RecordingError, match=r"Dataloader\.json"):
        read_profiler_report(tmp_path)


def test_a_folder_without_a_report_says_what_to_give(tmp_path):
    """Other JSON files are none of AWS's, and no folder is no report."""
    (tmp_path / "notes.json").write_text("{}")
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(RecordingError, match="give the folder profiler-reports"):
            read_profiler_report(folder)


def test_numbers_that_cannot_be_are_none(tmp_path):
    """NaN, infinite, negative and huge values are passed over, wherever they are."""
    text = json.dumps(REPORT["Dataloader"]).replace('"cores": 8', f'"cores": 1{"0" * 400}')
    text = text.replace('"p50": 0.2', '"p50": NaN').replace('"num_workers": 2', '"num_workers": -1')
    times = content({"job_start": 1e308, "job_end": -5, "step_num": {"first": "soon"}})
    profile = read_profiler_report(write(tmp_path, {"Dataloader": text, "MaxInitializationTime": times}))
    assert (profile.processors, profile.num_workers, profile.loading) == (None, None, None)
    assert (profile.seconds, profile.initialization_seconds) == (None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["algo-1", "gpu0", "p50", "max", "step_details", "phase", "step_stats", "probs", "GPU"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(name=st.sampled_from(RULES), details=JSON, count=JSON)
def test_any_details_are_read(tmp_path_factory, name, details, count):
    """Whatever a file's details are, there is a profile, and a diagnosis of it."""
    folder = write(
        tmp_path_factory.mktemp("report"),
        {name: {"RuleTriggered": count, "Violations": count, "Datapoints": count, "Details": details}},
    )
    assert str(diagnose(read_profiler_report(folder)))


def test_a_real_report_is_read(test_data):
    """The one that the reference project's training left."""
    folder = test_data / "fixtures" / "profiler-reports"
    if not folder.is_dir():
        pytest.skip(f"no profiler report at {folder}")
    profile = read_profiler_report(folder)
    assert (profile.num_workers, profile.pin_memory, profile.processors, profile.gpus) == (0, False, 4, 1)
    assert profile.loading.median == pytest.approx(0.354, abs=0.001)
    assert profile.gpu.median == 1
    assert profile.initialization_seconds == pytest.approx(340.5, abs=0.1)
    assert len(profile.rules) == len(RULES)
