"""A report where something is missing, damaged or in the way."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from watched_trainings import evaluation, image

from sagemaker_dogbreed.analysis.evaluation import read_evaluation
from sagemaker_dogbreed.analysis.report.content import ReportContent
from sagemaker_dogbreed.analysis.report.document import render, write_report

CONTENT = ReportContent(job_name="job-1")


@pytest.mark.parametrize(
    "damage",
    [
        {"classes": "none"},
        {"confusion": [[0, 99, 1]]},
        {"confusion": [[0, 1]]},
        {"images": float("nan")},
        {"images": True},
        {"top_1": 1e308, "images": 10**300},
        {"worst": [image(thumbnail='"><script>')]},
        {"worst": [{"file": "a"}]},
        {"confused": [3]},
    ],
)
def test_a_damaged_evaluation_is_said_to_be(damage):
    """An evaluation that is not what jobs write is no error of the report, which says what is wrong."""
    html = render(ReportContent(job_name="job-1", evaluation={**evaluation(), **damage}))
    assert "the evaluation cannot be read" in html


@pytest.mark.parametrize("content", [{}, [], "text", {"classes": {}}])
def test_what_is_no_evaluation_costs_its_section_only(content):
    """The report is there, says so in one place, and shows no images."""
    html = render(ReportContent(job_name="job-1", evaluation=content))
    assert html.count("the evaluation cannot be read") == 1
    assert "There are no images to show" in html


def test_an_evaluation_is_short_where_it_is_printed():
    """Neither its text nor its representation has the pictures; a picture's length is told."""
    found = read_evaluation(evaluation())
    assert str(found).startswith("120 images of 3 classes, top-1 ")
    assert len(repr(found)) < 300
    assert len(found.worst[0].thumbnail) > 400
    assert len(repr(found.worst[0])) < 300
    assert found.worst[0].thumbnail not in repr(found.worst) + repr(found.confused)
    assert str(found.worst[0]) == "beagle/0.jpg: beagle, taken for pug, loss 3.2"


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    """Where it cannot be rendered the report that was there stays, and no part of another is left."""
    path = write_report(tmp_path / "report.html", ReportContent(job_name="first"))
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        write_report(path, ReportContent(job_name="second", rules=["no rule"]))
    assert path.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"report.html"}


def test_a_folder_is_no_report(tmp_path):
    """The error names the folder, and a file in it that would do; nothing is written."""
    with pytest.raises(IsADirectoryError, match=r"a report is a file, .*report\.html say") as caught:
        write_report(tmp_path, CONTENT)
    assert caught.value.filename == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_not_replaced(tmp_path):
    """What is no file (a pipe, a device) is not taken away for a report."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="a report is a file"):
        write_report(pipe, CONTENT)
    assert pipe.is_fifo()


def test_the_error_names_the_path_that_was_given(tmp_path):
    """A file in the way of a folder, or a name that is too long: the message has the path, and no other."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "report.html", tmp_path / f"{'a' * 300}.html"):
        with pytest.raises(OSError, match="choose another path") as caught:
            write_report(path, CONTENT)
        assert caught.value.filename == str(path)
        assert "partial" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_long_names_are_no_trouble(tmp_path):
    """The file beside which the report is written first has a short name of its own."""
    assert write_report(tmp_path / f"{'a' * 250}.html", CONTENT).is_file()


ROOMS = (
    "report.document",
    "report.inline_svg",
    "confusion_matrix",
    "gradient_health",
    "learning_curves",
    "step_times",
    "system_timeline",
)


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2", "numpy"])
def test_the_error_says_what_to_install(missing):
    """Whichever room of a report is loaded first, and whichever plot is asked for, the command is told."""
    rooms = ROOMS if missing == "matplotlib" else ROOMS[:1]
    plots = [] if missing == "jinja2" else ["plot_confusion", "plot_steps", "plot_learning_curves"]
    program = f"""
import importlib, sys
sys.modules[{missing!r}] = None
from sagemaker_dogbreed import errors
from sagemaker_dogbreed.analysis import training_plots
from sagemaker_dogbreed.jobs.training_job import TrainingJob
def attempt(call, *arguments):
    try:
        call(*arguments)
    except errors.MissingExtraError as error:
        print("sagemaker-dogbreed[reports]" in str(error))
for room in {rooms!r}:
    attempt(importlib.import_module, "sagemaker_dogbreed.analysis." + room)
for plot in {plots!r}:
    attempt(getattr(training_plots, plot), None)
attempt(TrainingJob.report, None)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True"] * (len(rooms) + len(plots) + 1)
