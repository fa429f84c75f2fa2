"""Plots of trainings of which little was recorded, and of names that the font has not."""

from __future__ import annotations

import io
import math

import pytest
from watched_trainings import HOSTILE, evaluation, one_step, tensor, training

from sagemaker_dogbreed.analysis.evaluation import read_evaluation
from sagemaker_dogbreed.analysis.training_plots import (
    plot_confusion,
    plot_gradient_health,
    plot_learning_curves,
)
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.records import Tensors


def words(figure) -> str:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    found += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return " | ".join([*found, *(axes.get_xlabel() for axes in figure.axes)])


def sample(step, *names, norm=1.0):
    """A sampled step, with the gradients and the updates of layers."""
    found = {f"weight/{name}": tensor("weight", update=0.01) for name in names}
    return Tensors(
        time=step, step=step, tensors={**found, **{f"gradient/{name}": tensor(norm=norm) for name in names}}
    )


def points(axes, label) -> list[tuple[float, float]]:
    line = next(line for line in axes.get_lines() if line.get_label() == label)
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def drawn(figure, kind="png") -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=20, bbox_inches="tight")
    return content.getvalue()


def test_one_step_of_one_layer_is_a_sentence():
    """Two dots on empty axes would say less than the numbers."""
    figure = plot_gradient_health(History(tensors=[sample(7, "head.weight", norm=0.25)]))
    assert "step 7, and one layer, head.weight: the gradient's norm is 0.25, its update over" in words(figure)
    assert figure.get_figheight() < 2
    assert "the gradient's norm is not a number" in words(
        plot_gradient_health(History(tensors=[sample(7, "head.weight", norm=math.nan)]))
    )
    assert "the gradient's norm is 1." in words(plot_gradient_health(one_step()))


@pytest.mark.parametrize("layers", [3, 40])
def test_one_step_of_several_layers_is_drawn_over_the_layers(layers):
    """The horizontal axis counts layers, in the order in which they were recorded, not steps."""
    names = [f"layer{number}.weight" for number in reversed(range(layers))]
    figure = plot_gradient_health(History(tensors=[sample(0, *names, norm=2.0)]))
    axes = figure.axes[0]
    first, last = (names[0], names[-1]) if layers == 3 else (f"first: {names[0]}", f"last: {names[-1]}")
    assert points(axes, first) == [(1, 2.0)]
    assert points(axes, last) == [(layers, 2.0)]
    assert axes.get_xlim()[0] > 0
    assert "layer, from the first to the last" in words(figure)
    assert figure.get_suptitle() == f"Gradients and updates of {layers} layers, sampled in step 0 only"


def test_layers_that_join_in_later_have_their_place():
    """A backbone that trains from the second sample on is still before the head."""
    backbone = [f"z{number}.weight" for number in range(9)]
    history = History(tensors=[sample(0, "head.weight"), sample(5, *backbone, "head.weight")])
    shown = words(plot_gradient_health(history))
    assert "first: z0.weight" in shown
    assert "last: head.weight" in shown


def test_updates_that_were_not_recorded_are_not_said_to_be_zero():
    """Other hooks record gradients only."""
    history = History(
        tensors=[Tensors(time=n, step=n, tensors={"gradient/a.weight": tensor()}) for n in (0, 5)]
    )
    assert "not recorded" in words(plot_gradient_health(history))


def test_steps_whose_neighbours_were_skipped_are_points():
    """Those that follow each other are a line, which ends where steps were skipped."""
    history = training(epochs=4, steps=10)
    history.steps = [step for step in history.steps if step.step < 20 or step.step % 5 == 0]
    axes = plot_learning_curves(history).axes[0]
    assert len(points(axes, "recorded steps")) == 21  # 20 follows 19
    lonely = [line for line in axes.get_lines() if line.get_linestyle() == "None"]
    assert [len(line.get_xdata()) for line in lonely] == [3]
    assert [step.loss for step in history.steps[-3:]] == list(lonely[0].get_ydata())


def test_a_line_has_a_gap_where_steps_were_skipped():
    """Two runs of steps are not joined by what nobody has measured."""
    history = training(epochs=4, steps=10)
    history.steps = [step for step in history.steps if not 10 <= step.step < 20]
    values = [value for _, value in points(plot_learning_curves(history).axes[0], "recorded steps")]
    assert [index for index, value in enumerate(values) if math.isnan(value)] == [10]
    assert len(values) == 31


def test_every_tenth_step_of_a_long_training_is_a_point_of_its_own():
    """They are averaged where there are more than a figure has room for, and the legend says so."""
    history = training(epochs=9, steps=100)
    history.steps = history.steps[::2]
    axes = plot_learning_curves(history).axes[0]
    assert len(points(axes, "recorded steps, averaged")) == 400


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("names", [(HOSTILE, "pug"), ("", "$"), ("a" * 10_000, "犬")])
def test_names_are_drawn_whatever_they_are(names, kind):
    """Formulas, control characters, half characters and any script in names are no trouble, nor a warning."""
    content = drawn(plot_confusion(read_evaluation(evaluation(names))), kind)
    if kind == "svg" and "犬" in names:
        assert "犬" in content.decode()


def test_wide_letters_have_the_room_they_take():
    """A name in Chinese makes the figure as wide as one of twice as many Latin letters."""
    wide, narrow, latin = (
        plot_confusion(read_evaluation(evaluation((name, "pug")))).get_figwidth()
        for name in ("犬" * 10, "a" * 10, "a" * 20)
    )
    assert wide == latin > narrow
