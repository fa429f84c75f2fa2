"""Writes the report."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from sagemaker_dogbreed import __version__
from sagemaker_dogbreed.analysis import confusion_matrix, step_times, training_plots
from sagemaker_dogbreed.analysis.evaluation import Evaluation, read_evaluation
from sagemaker_dogbreed.analysis.report import summary
from sagemaker_dogbreed.analysis.report.content import ReportContent
from sagemaker_dogbreed.analysis.report.inline_svg import inline_svg
from sagemaker_dogbreed.errors import JobError, MissingExtraError

try:
    import jinja2
except ImportError as error:
    raise MissingExtraError("jinja2", "reports", "writing a report") from error

_WIDE, _SQUARE, _NARROW = 10.4, 8.2, 4.2  # inches, of figures for screens (wide, or as high) and for phones
_MOST_CLASSES = 200  # rows of the table


class Plot(NamedTuple):
    """A figure in the widths that the page has, and what it shows in a sentence."""

    caption: str
    wide: str
    narrow: str


def write_report(path: Path, content: ReportContent) -> Path:
    """Write the report as one HTML file, whole or not at all, and return its path.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
        OSError: The file cannot be written, or the path is a folder's; the message names the path.
    """
    _check_place(path)
    page = render(content).encode()
    try:
        _write_whole(path, page)
    except OSError as error:
        why = f"the report cannot be written: {error.strerror}; choose another path"
        raise OSError(error.errno, why, str(path)) from error
    return path


def _check_place(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # mostly there is nothing yet; whatever else it is, writing will say so
    if stat.S_ISDIR(mode):
        why = f"a report is a file, {path / 'report.html'} say, and this is a folder"
        raise IsADirectoryError(errno.EISDIR, why, str(path))
    if not stat.S_ISREG(mode):
        raise FileExistsError(errno.EEXIST, "a report is a file, and this is a device or the like", str(path))


def _write_whole(path: Path, page: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=".report.", suffix=".partial")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(page)
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def render(content: ReportContent) -> str:
    """Return the report as HTML.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": summary.percent, "number": summary.number, "text": summary.text}
    evaluation, trouble = _evaluation(content)
    history, describe = content.history, content.describe
    page = environment.get_template("report.html").render(
        content=content,
        version=__version__,
        status=summary.text(describe.get("TrainingJobStatus") or ""),
        failure=summary.text(describe.get("FailureReason") or ""),
        began=summary.when(start.time for start in history.starts),
        tiles=summary.tiles(content),
        rules=summary.rule_rows(content),
        facts=summary.job_facts(describe),
        hyperparameters=summary.named(describe.get("HyperParameters") or {}),
        settings=summary.named(content.settings or history.settings),
        plots=_plots(content, evaluation),
        evaluation=evaluation,
        evaluation_trouble=trouble,
        classes=_class_rows(evaluation),
    )
    return summary.visible(page.strip()) + "\n"


def _plots(content: ReportContent, evaluation: Evaluation | None) -> dict[str, Plot]:
    history = content.history
    found = {}
    if history.steps or history.epochs:
        found["curves"] = _plot("curves", training_plots.plot_learning_curves, history)
    if history.tensors:
        found["gradients"] = _plot("gradients", training_plots.plot_gradient_health, history)
    if history.system:
        found["system"] = _plot("system", training_plots.plot_system, history)
    if any(step_times.steps_of(history, mode) for mode in step_times.MODES):
        found["steps"] = _plot("steps", training_plots.plot_steps, history)
    if evaluation is not None and evaluation.images:
        plot = _plot("confusion", training_plots.plot_confusion, evaluation, wide=_SQUARE)
        found["confusion"] = plot._replace(caption=confusion_matrix.headline(evaluation))
    return found


def _plot(name: str, draw: Callable[..., Any], data: object, *, wide: float = _WIDE) -> Plot:
    figure = draw(data, width=wide)
    caption = figure.get_suptitle().replace("\n", " ")
    return Plot(caption, inline_svg(figure, name), inline_svg(draw(data, width=_NARROW), f"{name}-narrow"))


def _evaluation(content: ReportContent) -> tuple[Evaluation | None, str]:
    """Return the evaluation, or why there is none."""
    if content.evaluation is None:
        return None, "There is no evaluation: the test split was not evaluated, or the job has not ended."
    try:
        return read_evaluation(content.evaluation), ""
    except JobError as error:
        return None, str(error)


def _class_rows(evaluation: Evaluation | None) -> list[Any]:
    """Return the classes with the worst recall first, those without images last."""
    classes = evaluation.classes if evaluation else ()
    order = sorted(classes, key=lambda row: (row.recall is None, row.recall or 0.0, -row.images))
    return order[:_MOST_CLASSES]
