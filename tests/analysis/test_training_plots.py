"""Plots of a training, read back from the figures that are drawn."""

from __future__ import annotations

import io
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watched_trainings import broken, evaluation, one_step, tensor, training

from sagemaker_dogbreed.analysis.confusion_matrix import OTHERS, shown
from sagemaker_dogbreed.analysis.evaluation import read_evaluation
from sagemaker_dogbreed.analysis.series import thinned
from sagemaker_dogbreed.analysis.step_times import outlier_limit, shares
from sagemaker_dogbreed.analysis.training_plots import (
    plot_confusion,
    plot_gradient_health,
    plot_learning_curves,
    plot_steps,
    plot_system,
)
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Phases, Tensors

PLOTS = (plot_learning_curves, plot_gradient_health, plot_system, plot_steps)


def lines(axes) -> dict[str, list[tuple[float, float]]]:
    """Places of an axes' lines by their label."""
    return {
        line.get_label(): list(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in axes.get_lines()
    }


def words(figure) -> set[str]:
    found = {figure.get_suptitle()}
    for axes in figure.axes:
        found |= {text.get_text() for text in axes.texts} | {axes.get_title(loc="left")}
    for legend in figure.legends:
        found |= {text.get_text() for text in legend.get_texts()}
    return found


def drawn(figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=20)
    return content.getvalue()


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    "history", [History(), one_step(), broken()], ids=["empty", "one step", "not a number"]
)
@pytest.mark.parametrize("width", [8.0, 4.0])
def test_every_history_can_be_drawn(plot, history, width):
    """Without records, with one of each, and without a number, there is a figure and no warning."""
    assert drawn(plot(history, width=width)).startswith(b"\x89PNG")


def test_training_and_validation_are_in_one_plot():
    """Loss and top-1 have a line of each split, with the epochs' values, and the steps faintly behind."""
    history = training(epochs=4, steps=10)
    loss, top_1 = plot_learning_curves(history).axes
    for axes, measure in ((loss, "loss"), (top_1, "top_1")):
        for label, split in (("training", "train"), ("validation", "valid")):
            values = [(each.epoch, each.measures[f"{split}_{measure}"]) for each in history.epochs]
            assert lines(axes)[label] == values
    steps = lines(loss)["recorded steps"]
    assert [value for _, value in steps] == [step.loss for step in history.steps]
    assert steps[9] == (1.0, history.steps[9].loss)  # the epoch's last step is at its end
    assert steps[19][0] == 2.0


def test_the_best_epoch_has_a_star():
    """It is the one with the lowest validation loss, and the title says so."""
    figure = plot_learning_curves(training(epochs=8, steps=5))
    assert "best: epoch 6" in words(figure)
    assert figure.get_suptitle().startswith("Best validation loss 0.372 in epoch 6 of 8")
    star = [marks for marks in figure.axes[0].collections if marks.get_label() == "best: epoch 6"]
    assert star[0].get_offsets().tolist() == [[6, pytest.approx(0.3717, abs=1e-4)]]


def test_resumptions_are_marked():
    """There is a line where training went on, and none where it was not interrupted."""
    loss = plot_learning_curves(training(epochs=3, steps=5, resumed_after=2)).axes[0]
    assert [x for x, _ in lines(loss)["resumed"]] == [2, 2]
    assert "resumed" not in lines(plot_learning_curves(training(epochs=3, steps=5)).axes[0])


def test_steps_that_are_not_numbers_have_a_mark():
    """Each such step has a cross, so that a training that diverged is not an empty plot."""
    loss = plot_learning_curves(broken()).axes[0]
    crosses = [marks for marks in loss.collections if marks.get_label() == "not a number"]
    assert len(crosses[0].get_offsets()) == 3


def test_gradients_are_drawn_by_layer():
    """Weights have a line each, on a logarithmic axis; biases are left out where there are weights."""
    history = training(epochs=2, steps=10, layers=2)
    norms, ratios = plot_gradient_health(history).axes
    assert set(lines(norms)) == {"backbone.layer0.weight", "head.0.weight"}
    assert (norms.get_yscale(), ratios.get_yscale()) == ("log", "log")
    first = history.tensors[0].tensors
    assert lines(norms)["head.0.weight"][0] == (0, first["gradient/head.0.weight"].norm)
    assert lines(ratios)["head.0.weight"][0] == (0, first["weight/head.0.weight"].update)


def test_of_many_layers_first_and_last_stand_out():
    """More lines than colors would be told apart by nobody."""
    figure = plot_gradient_health(training(epochs=1, steps=10, layers=12))
    assert {"first: backbone.layer0.weight", "last: head.0.weight", "10 between"} <= words(figure)


def test_gradients_of_zero_have_a_mark():
    """A logarithmic axis has no zero: there is a mark below, and the plot says that nothing is above."""
    zeros = [Tensors(time=0, step=n, tensors={"gradient/head.weight": tensor(norm=0.0)}) for n in (0, 3)]
    norms, ratios = plot_gradient_health(History(tensors=zeros)).axes
    marks = [marks for marks in norms.collections if marks.get_label() == "exactly zero"]
    assert [x for x, _ in marks[0].get_offsets()] == [0, 3]
    assert {text.get_text() for text in ratios.texts} == {"not recorded"}
    assert "no numbers above zero" in {text.get_text() for text in norms.texts}


@pytest.mark.parametrize(("gpus", "rows"), [(0, 4), (1, 5)])
def test_the_machine_has_a_row_for_each_part(gpus, rows):
    """The strip of phases is above them; there is a row for GPUs only where there are any."""
    figure = plot_system(training(epochs=2, steps=10, gpus=gpus))
    assert len(figure.axes) == rows + 1
    assert ("GPU" in {axes.get_title(loc="left") for axes in figure.axes}) == bool(gpus)
    assert {"initialization", "train", "evaluation", "checkpoint", "test"} <= words(figure)


def test_a_gap_in_the_measurements_is_a_gap():
    """Where the job was interrupted the lines are interrupted as well."""
    whole = plot_system(training(epochs=2, steps=20)).axes[1].get_lines()
    parts = plot_system(training(epochs=2, steps=20, resumed_after=1)).axes[1].get_lines()
    assert len(parts) == 2 * len(whole)


def test_outliers_are_counted_and_colored():
    """The slow steps of the record, and no others, are outliers."""
    history = training(epochs=4, steps=55)
    slow = [each for each in history.phases if each.mode == "train" and each.step % 55 == 54]
    limit = outlier_limit([each.total for each in history.phases if each.mode == "train"])
    assert {each.total > limit for each in slow} == {True}
    figure = plot_steps(history)
    assert "4 outliers" in words(figure)
    assert "4 of 220 are outliers" in figure.get_suptitle().replace("\n", " ")
    heights = [sum(bar.get_height() for bar in bars) for bars in figure.axes[0].containers]
    assert heights == [216, 4]


def test_shares_of_a_steps_time_make_a_whole():
    """The phases' shares, and what they leave to the loop itself, are all of the time."""
    found = shares(training(epochs=1, steps=10), "train")
    assert sum(found.values()) == pytest.approx(1)
    assert found["data"] == pytest.approx(0.8)
    assert found["other"] == pytest.approx(0.03)
    assert shares(History(), "train") == {}


def test_a_small_confusion_matrix_is_shown_whole():
    """Rows are true classes, columns predicted ones; the diagonal is what was right."""
    read = read_evaluation(evaluation(("beagle", "pug", "whippet")))
    matrix = shown(read, 24)
    assert matrix.names == ["beagle", "pug", "whippet"]
    assert [sum(row) for row in matrix.counts] == [40, 40, 40]
    assert matrix.counts[1][1] == read.classes[1].right
    axes = plot_confusion(read).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == matrix.names


def test_of_a_large_one_the_worst_classes_are_shown():
    """The classes with the most errors have a row each, and all the others one together."""
    names = [f"breed {number}" for number in range(133)]
    content = evaluation(names)
    content["classes"][77]["right"] = 0
    read = read_evaluation(content)
    matrix = shown(read, 24)
    assert (len(matrix.names), matrix.names[-1]) == (24, OTHERS)
    assert "breed 77" in matrix.names
    assert sum(map(sum, matrix.counts)) == 133 * 40 - 32
    assert drawn(plot_confusion(read, width=4.0))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(width=32), max_size=60), st.integers(1, 20))
def test_thinned_series_stay_within_their_values(values, most):
    """Means are within the lowest and the highest, which are the series' own; nothing is made up."""
    series = thinned(range(len(values)), values, most)
    numbers = [value for value in values if math.isfinite(value)]
    assert len(series.means) == min(len(values), most)
    if numbers:
        assert np.nanmin(series.low) == min(numbers)
        assert np.nanmax(series.high) == max(numbers)
        slack = 1e-6 * max(map(abs, numbers))
        assert all(
            math.isnan(mean) or low - slack <= mean <= high + slack
            for mean, low, high in zip(series.means, series.low, series.high, strict=True)
        )


def test_long_trainings_are_drawn_in_few_points():
    """Thousands of steps are no more points than a figure has room for."""
    times = [
        Phases(time=n, node="rank-0", mode="train", step=n, total=0.1 + n % 7 / 100, parts={})
        for n in range(5_000)
    ]
    assert len(drawn(plot_steps(History(phases=times)))) < 20_000
    loss = plot_learning_curves(training(epochs=2, steps=300)).axes[0]
    assert len(lines(loss)["recorded steps, averaged"]) == 400


def test_the_rooms_load_matplotlib_on_use_only():
    """Importing the plots loads no matplotlib."""
    program = "import sys; import sagemaker_dogbreed.analysis.training_plots; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "matplotlib" not in run.stdout.split()
