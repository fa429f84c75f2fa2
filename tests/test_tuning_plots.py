"""Plots of tuning results, read back from the figures that are drawn."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sagemaker_dogbreed.analysis.parameter_importance import parameter_importance
from sagemaker_dogbreed.analysis.scales import scale_for, wants_log
from sagemaker_dogbreed.analysis.trials import scored
from sagemaker_dogbreed.analysis.tuning_plots import (
    plot_history,
    plot_parallel_coordinates,
    plot_parameter_importance,
)
from sagemaker_dogbreed.errors import MissingExtraError
from sagemaker_dogbreed.jobs.tuning_results import Trial, TuningResults
from sagemaker_dogbreed.specs.tuning import Objective

PLOTS = (plot_history, plot_parallel_coordinates, plot_parameter_importance)
VERMILION = "#d55e00"


def trial(value, status="Completed", **hyperparameters):
    return Trial(name="trial", value=value, status=status, hyperparameters=hyperparameters)


def results(*trials, metric="Test Loss"):
    goal = "Minimize" if metric.endswith("Loss") else "Maximize"
    return TuningResults(objective=Objective(metric=metric, goal=goal), trials=trials)


def search(count, *, seed=0, effect=1.0):
    """A random search in which the learning rate matters, best in the middle, and nothing else does."""
    draw = random.Random(seed)
    trials = []
    for _ in range(count):
        rate, size = 10 ** draw.uniform(-3, -1), draw.choice([32, 64, 128, 256, 512])
        optimizer, dropout = draw.choice(["adam", "adamw", "sgd"]), draw.uniform(0, 0.5)
        loss = effect * (draw.gauss(0, 0.05) + (rate**0.5 - 0.15) ** 2 * 50) + (1 - effect) * draw.random()
        trials.append(trial(loss, learning_rate=rate, batch_size=size, optimizer=optimizer, dropout=dropout))
    return results(*trials)


def texts(figure) -> list[str]:
    """Every text in a figure, legends included."""
    found = [figure.get_suptitle()]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [
            axes.get_xlabel(),
            axes.get_ylabel(),
            *(label.get_text() for label in axes.get_yticklabels()),
        ]
    for legend in figure.legends:
        found += [text.get_text() for text in legend.get_texts()]
    return found


def points(axes, color) -> list[tuple[float, float]]:
    """The places of an axes' marks of one face color."""
    return [
        tuple(map(float, place))
        for marks in axes.collections
        if len(marks.get_facecolors()) and to_hex(marks.get_facecolors()[0]) == color
        for place in marks.get_offsets()
    ]


MIXED = results(
    trial(3.0, rate=0.1),
    trial(None, "Failed", rate=0.2),
    trial(1.0, rate=0.01),
    trial(0.5, "Stopped", rate=0.02),
    trial(None, "InProgress", rate=0.03),
    trial(1.0, rate=0.04),
)
"""Of each status one at least; the stopped trial's value is lowest, and two completed ones are equal."""


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    "drawn",
    [
        results(),
        results(trial(1.0, rate=0.1)),
        results(*[trial(None, "Failed", rate=0.1, size=32)] * 4),
        results(*[trial(1.5, rate=0.1 * number) for number in range(6)]),
        results(*[trial(0.5, kind="a")] * 6),
        results(trial(float("nan"), rate=1.0), trial(float("inf"), rate=float("nan")), trial(2.0, rate=3.0)),
        results(trial(1.0, rate=0.1), trial(2.0, size=32), trial(3.0, rate="auto", size=64)),
        results(trial(1.0, "Stopping", rate=0.1), trial(None, "Queued", rate=0.2)),
        results(trial(1.0), trial(2.0)),
        results(*[trial(number / 7, rate=1e-300 * number) for number in range(6)]),
        results(trial(-1.0, rate=-5), trial(1e300, rate=0), trial(-1e300, rate=10**9)),
        MIXED,
        search(100),
    ],
    ids=[
        *("none", "one", "all failed", "equal", "one value", "no numbers", "not all have it"),
        *("other statuses", "nothing tuned", "tiny", "huge", "mixed", "hundred"),
    ],
)
def test_whatever_the_trials_are_there_is_a_figure(plot, drawn, tmp_path):
    """Each plot draws any results, without a warning, and can be written as an image."""
    figure = plot(drawn)
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "plot.png", dpi=50)
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_the_history_tells_trials_apart():
    """The best completed trial has the star, equals count from the first, others have their own marks."""
    figure = plot_history(MIXED)
    axes, strip = figure.axes
    assert points(axes, VERMILION) == [(3, 1.0)]
    told = texts(figure)
    assert "Test Loss: 1 at best, trial 3 of 6" in told
    assert "best: 1, trial 3, first of 2 equal" in told
    assert {"3 completed", "1 failed", "1 stopped", "1 running", "best so far"} <= set(told)
    without_value = sorted(float(x) for marks in strip.collections for x, _ in marks.get_offsets())
    assert without_value == [2, 5]
    (line,) = axes.lines
    assert list(line.get_xdata()) == [1, 3, 6, 6.6]
    assert list(line.get_ydata()) == [3.0, 1.0, 1.0, 1.0]


def test_what_is_better_depends_on_the_objective():
    """Accuracies are better the higher, and the axis says so."""
    figure = plot_history(results(trial(0.2, rate=0.1), trial(0.9, rate=0.2), metric="Test Top-1"))
    assert points(figure.axes[0], VERMILION) == [(2, 0.9)]
    assert "Test Top-1\n(share of images; higher is better)" in texts(figure)
    assert list(figure.axes[0].lines[0].get_ydata()) == [0.2, 0.9, 0.9]


def test_the_axis_is_logarithmic_where_a_trial_diverged():
    """Losses that differ by a factor of thousands are shown by their logarithm, others are not."""
    losses = [0.5, 0.7, 0.9, 1.1, 30_000.0]
    diverged = plot_history(results(*(trial(loss, rate=0.1) for loss in losses)))
    usual = plot_history(results(*(trial(loss, rate=0.1) for loss in losses[:4])))
    assert [figure.axes[0].get_yscale() for figure in (diverged, usual)] == ["log", "linear"]


def test_scales_suit_the_values():
    """Learning rates and powers of two are placed by their logarithm, shares evenly, texts side by side."""
    assert scale_for([0.001, 0.004, 0.01, 0.02, 0.1]).logarithmic
    sizes = scale_for([512, 32, 64, 128, 256, 32])
    assert sizes.logarithmic
    assert list(sizes.ticks.values()) == ["32", "64", "128", "256", "512"]
    assert list(sizes.ticks) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert not scale_for([0.01, 0.2, 0.3, 0.45]).logarithmic
    words = scale_for(["sgd", "adam", "adamw"])
    assert dict(words.ticks) == {0.0: "adam", 0.5: "adamw", 1.0: "sgd"}
    close = scale_for([1, 2, 100, 101])
    assert list(close.ticks) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert not wants_log([0.0, 1.0, 1000.0])


def test_parallel_coordinates_have_a_line_for_each_trial():
    """Lines go over all axes; without a value they end at the status; the best one ends at the star."""
    figure = plot_parallel_coordinates(MIXED)
    (axes,) = figure.axes
    lines = [line for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert len(lines) == len(MIXED.trials)
    (best,) = [line for line in lines if to_hex(line.get_color()) == VERMILION]
    assert best.get_ydata()[1] == pytest.approx(points(axes, VERMILION)[0][1])
    below = [line for line in lines if line.get_ydata()[1] < 0]
    assert len(below) == 2
    assert {"failed", "running", "rate"} <= set(texts(figure))
    assert "stopped" not in texts(figure)


def test_choices_are_ticks_and_lines_through_one_are_spread():
    """Texts are written at their axis, and trials with the same choice do not lie upon each other."""
    drawn = results(*(trial(float(n), optimizer="adam" if n % 2 else "sgd") for n in range(6)))
    (axes,) = plot_parallel_coordinates(drawn).axes
    assert {"adam", "sgd"} <= {text.get_text() for text in axes.texts}
    starts = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert len(set(starts)) == 6


def test_importance_finds_what_matters():
    """The learning rate, whose best value is in the middle, stands out of 20 trials; the rest does not."""
    found = parameter_importance(search(20))
    assert found[0].name == "learning_rate"
    assert [each.name for each in found if each.stands_out] == ["learning_rate"]
    assert 0.5 < found[0].share <= 1
    figure = plot_parameter_importance(search(20))
    assert figure.axes[0].get_yticklabels()[0].get_text() == "learning_rate"
    assert f"{100 * found[0].share:.0f} %" in texts(figure)


def test_importance_of_a_choice():
    """A choice that decides everything explains everything."""
    draw = random.Random(1)
    chosen = [(draw.choice("ab"), draw.random()) for _ in range(30)]
    found = parameter_importance(results(*(trial(float(kind == "a"), kind=kind, x=x) for kind, x in chosen)))
    assert [(each.name, each.stands_out) for each in found] == [("kind", True), ("x", False)]
    assert found[0].share == pytest.approx(1)


def test_chance_seldom_stands_out():
    """Where nothing matters, hardly a search of many has a hyperparameter that stands out."""
    alarms = sum(
        any(each.stands_out for each in parameter_importance(search(20, seed=seed, effect=0.0)))
        for seed in range(60)
    )
    assert alarms <= 9  # 3 are expected; more than 9 would come of an honest level once in a thousand


def test_a_diverged_trial_weighs_no_more_than_any_other():
    """However large the worst losses are, the shares stay the same."""
    trials = search(20).trials
    worst = max(trials, key=lambda each: each.value)
    diverged = [trial(1e9, **each.hyperparameters) if each is worst else each for each in trials]
    assert parameter_importance(results(*diverged)) == parameter_importance(results(*trials))


def test_only_completed_trials_count():
    """Values of stopped, running and failed trials change nothing, and few completed ones tell nothing."""
    trials = search(20).trials
    others = [
        trial(float(number), status, **search(20).trials[number].hyperparameters)
        for number, status in enumerate(["Stopped", "InProgress", "Failed"])
    ]
    assert parameter_importance(results(*trials, *others)) == parameter_importance(results(*trials))
    assert all(each.share is None for each in parameter_importance(results(*trials[:3])))
    assert "Nothing can be told from 3 completed trials." in texts(
        plot_parameter_importance(results(*trials[:3]))
    )
    assert scored(MIXED) == [(2, 1.0), (5, 1.0), (0, 3.0)]


def test_results_plot_themselves():
    """The methods of the results give the same pictures as the functions, of the same best trial."""
    methods = (MIXED.plot_history, MIXED.plot_parallel_coordinates, MIXED.plot_parameter_importance)
    pictures = [method()._repr_png_() for method in methods]
    assert pictures == [plot(MIXED)._repr_png_() for plot in PLOTS]
    assert MIXED.trials[scored(MIXED)[0][0]] is MIXED.best


def test_a_notebook_shows_the_figure():
    """The figure is an image by itself, in 1,200 pixels of width."""
    image = plot_history(MIXED)._repr_png_()
    assert image.startswith(b"\x89PNG")
    assert int.from_bytes(image[16:20], "big") == 1200


def test_the_users_matplotlib_is_left_alone():
    """No pyplot, no backend, no changed settings, and the same picture whatever the settings are."""
    program = """
import sys, matplotlib
from test_tuning_plots import MIXED, PLOTS
plain = [plot(MIXED)._repr_png_() for plot in PLOTS]
matplotlib.rcParams.update({"font.size": 30, "figure.facecolor": "black", "text.color": "red"})
settings = lambda: {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}
before = settings()
assert [plot(MIXED)._repr_png_() for plot in PLOTS] == plain
assert settings() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=__file__.rpartition("/")[0],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    """The error gives the command that installs what is missing."""
    for name in list(sys.modules):
        if name.startswith(("sagemaker_dogbreed.analysis.figures", "matplotlib")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delattr("sagemaker_dogbreed.analysis.figures", raising=False)
    for plot in PLOTS:
        with pytest.raises(MissingExtraError, match=r"pip install 'sagemaker-dogbreed\[reports\]'"):
            plot(MIXED)


def test_without_numpy_the_extra_is_named(monkeypatch):
    """Importance needs numpy, which comes with matplotlib."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(
        MissingExtraError, match="the importance of hyperparameters needs the package 'numpy'"
    ):
        parameter_importance(MIXED)
