"""The search: SageMaker's strategies, ranges and rules, and that it can be repeated and gone on with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.container.tuning import search_space
from sagemaker_dogbreed.container.tuning.early_stopping import MedianRule
from sagemaker_dogbreed.container.tuning.search import STRATEGIES, Search, Suggestion

RATE = {"type": "Continuous", "min": 0.001, "max": 0.1, "scaling": "Logarithmic"}
DEPTH = {"type": "Integer", "min": 1, "max": 9}
SIZE = {"type": "Categorical", "values": [32, 64, 128]}
KIND = {"type": "Categorical", "values": ["a", "b"]}
ALL = {"rate": RATE, "depth": DEPTH, "size": SIZE}

Objective = Callable[[Mapping[str, str]], float]


def _search(ranges: Mapping[str, Any] = ALL, strategy: str = "Bayesian", **changes: Any) -> Search:
    described: dict[str, Any] = {
        "strategy": strategy,
        "minimize": True,
        "seed": 1,
        "max_trials": 12,
        "early_stopping": False,
        "max_epochs": 9 if strategy == "Hyperband" else None,
    }
    return Search(ranges, **(described | changes))


def _ask(search: Search) -> Suggestion:
    suggestion = search.ask()
    assert suggestion is not None
    return suggestion


def _loss(values: Mapping[str, str]) -> float:
    return abs(math.log10(float(values["rate"])) + 2)


def _run(search: Search, count: int, objective: Objective = _loss) -> list[Mapping[str, str]]:
    tried = []
    for _ in range(count):
        suggestion = _ask(search)
        search.tell(suggestion.number, objective(suggestion.values))
        tried.append(suggestion.values)
    return tried


@pytest.mark.parametrize("strategy", ["Bayesian", "Random", "Hyperband"])
def test_the_same_seed_and_tells_give_the_same_suggestions(strategy: str) -> None:
    """Two searches agree on every trial; another seed, or none, disagrees."""
    first, again, other, none = (_run(_search(strategy=strategy, seed=seed), 12) for seed in (1, 1, 2, None))
    assert first == again
    assert other != first
    assert none != first


def test_values_are_texts_within_their_ranges() -> None:
    """What a trial gets can be read back, and lies where the range says."""
    for values in _run(_search(), 20):
        assert 0.001 <= float(values["rate"]) <= 0.1
        assert 1 <= int(values["depth"]) <= 9
        assert values["size"] in {"32", "64", "128"}


def test_numbers_count_from_zero() -> None:
    """A trial's number tells its place among all trials, those that were added included."""
    search = _search()
    search.add({"rate": "0.01", "depth": "3", "size": "32"}, 0.5)
    assert [_ask(search).number for _ in range(3)] == [1, 2, 3]


def test_a_bayesian_search_learns() -> None:
    """After a few trials it looks where the objective was good, in both directions."""
    for minimize, objective in ((True, _loss), (False, lambda values: -_loss(values))):
        tried = _run(_search({"rate": RATE}, minimize=minimize, max_trials=30), 30, objective)
        early = sum(_loss(values) for values in tried[:10])
        late = sum(_loss(values) for values in tried[-10:])
        assert late < early / 2


def test_a_grid_is_every_combination_once_and_then_done() -> None:
    """In the order of the values; what was tried before is not tried again."""
    search = _search({"size": SIZE, "kind": KIND}, "Grid")
    search.add({"size": "64", "kind": "a"}, 0.1)
    search.add({"size": "64", "kind": "b"}, None)
    tried = [(values["size"], values["kind"]) for values in _run(search, 4, lambda values: 1.0)]
    assert sorted(tried) == [("128", "a"), ("128", "b"), ("32", "a"), ("32", "b")]
    assert search.ask() is None
    assert search.ask() is None


@pytest.mark.parametrize("strategy", ["Bayesian", "Random"])
def test_few_values_are_tried_before_any_comes_again(strategy: str) -> None:
    """A range of whole numbers and names has no trial twice until it is used up; then it goes on."""
    search = _search({"kind": KIND, "n": {"type": "Integer", "min": 1, "max": 9}}, strategy)
    tried = {tuple(values.values()) for values in _run(search, 18, lambda values: float(values["n"]))}
    assert len(tried) == 18
    assert len(_run(search, 2, lambda values: 1.0)) == 2


def test_a_random_search_that_was_cut_off_goes_on() -> None:
    """With its ended trials added, a new search tries what the first would have tried next."""
    whole = _run(_search(strategy="Random"), 10)
    resumed = _search(strategy="Random")
    for values in whole[:6]:
        resumed.add(values, _loss(values))
    assert _run(resumed, 4) == whole[6:]


def test_added_trials_guide_the_search() -> None:
    """What earlier searches found is built upon; what does not fit is passed over."""
    search = _search({"rate": RATE}, max_trials=3)
    for exponent in range(20):
        rate = 0.001 * 10 ** (exponent / 10)
        search.add({"rate": repr(rate)}, _loss({"rate": repr(rate)}))
    search.add({"rate": "7", "other": "1"}, 0.0)
    search.add({"rate": "many"}, 0.0)
    search.add({}, 0.0)
    search.add({"rate": "0.01"}, math.nan)
    tried = _run(search, 10)
    assert sum(_loss(values) for values in tried) / 10 < 0.25


def test_failed_trials_are_no_part_of_what_is_learned() -> None:
    """None and values that are not finite are failures, and the search goes on."""
    search = _search()
    for value in (None, math.nan, math.inf, -math.inf):
        search.tell(_ask(search).number, value)
    assert len(_run(search, 8)) == 8


def test_several_trials_at_a_time() -> None:
    """Trials may be asked for before others have ended, and end in any order."""
    search = _search()
    first, second = _ask(search), _ask(search)
    search.tell(second.number, 1.0)
    third = _ask(search)
    search.tell(first.number, 2.0)
    search.tell(third.number, 3.0)
    assert len({tuple(item.values.values()) for item in (first, second, third)}) == 3


def test_a_trial_ends_once() -> None:
    """Who tells of a trial that does not run hears of it."""
    search = _search()
    number = _ask(search).number
    search.tell(number, 1.0)
    with pytest.raises(ValueError, match="no trial 0 is running"):
        search.tell(number, 1.0)
    with pytest.raises(ValueError, match="no trial 5 is running"):
        search.report(5, 1, 1.0)


@pytest.mark.parametrize("strategy", ["Bayesian", "Grid"])
def test_early_stopping(strategy: str) -> None:
    """A trial behind the median of three is stopped, and stays so; without the rule none is."""
    ranges = {"size": {"type": "Categorical", "values": [1, 2, 3, 4, 5]}}
    for early_stopping in (True, False):
        search = _search(ranges, strategy, early_stopping=early_stopping)
        for value in (1.0, 2.0, 3.0):
            number = _ask(search).number
            assert not any(search.report(number, epoch, value) for epoch in (1, 2))
            search.tell(number, value)
        good, bad = _ask(search).number, _ask(search).number
        assert not search.report(good, 1, 2.0)
        assert not search.report(bad, 1, math.nan)
        assert search.report(bad, 2, 2.5) == early_stopping
        assert search.report(bad, 3, 0.0) == early_stopping
        search.tell(bad, 2.5)
        search.tell(good, 1.5)


def test_the_median_rule_compares_averages_up_to_the_epoch() -> None:
    """Earlier trials count with what they had on average until then, and only if they succeeded."""
    rule = MedianRule(minimize=False)
    for number, curve in enumerate([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.9, 0.9]]):
        for epoch, value in enumerate(curve, 1):
            assert not rule.falls_behind(number, epoch, value) or number == 3
        rule.end(number, counts=number < 3)
    assert not rule.falls_behind(9, 1, 0.2)  # the median at epoch 1
    assert rule.falls_behind(9, 1, 0.19)
    assert not rule.falls_behind(9, 2, 0.5)  # the median of the averages at epoch 2
    assert rule.falls_behind(9, 2, 0.49)


def test_hyperband_stops_the_worse_trials() -> None:
    """Of trials whose objectives differ from the first epoch on, some end early: not the best one."""
    search = _search({"rate": RATE}, "Hyperband", max_epochs=27)
    stopped = {}
    for _ in range(20):
        suggestion = _ask(search)
        value = _loss(suggestion.values)
        stopped[value] = any(search.report(suggestion.number, epoch, value) for epoch in range(1, 28))
        search.tell(suggestion.number, value)
    assert 5 <= sum(stopped.values()) < 20
    assert not stopped[min(stopped)]


def test_a_value_of_an_epoch_counts_once() -> None:
    """A second report of the same epoch is passed over, without a word."""
    search = _search(strategy="Hyperband")
    number = _ask(search).number
    assert not search.report(number, 1, 1.0)
    assert not search.report(number, 1, 2.0)
    search.tell(number, 1.0)


@pytest.mark.parametrize(
    ("low", "high", "scaling"),
    [
        (0.001, 0.1, "Logarithmic"),
        (0.001, 0.1, "Auto"),
        (0.001, 0.1, "Linear"),
        (0.9, 0.999, "ReverseLogarithmic"),
    ],
)
def test_scaling(low: float, high: float, scaling: str) -> None:
    """Logarithmic scaling looks as often at each decade; reverse, at each decade of the distance to 1."""
    ranges = {"rate": {"type": "Continuous", "min": low, "max": high, "scaling": scaling}}
    rates = [float(values["rate"]) for values in _run(_search(ranges, "Random"), 200, lambda values: 1.0)]
    near = sum(1 - rate < 0.01 if scaling == "ReverseLogarithmic" else rate < 0.01 for rate in rates)
    assert (70 < near < 130) if scaling != "Linear" else near < 40


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1, 99, "Linear"), (1, 100, "Logarithmic"), (0, 100, "Linear"), (-100, -1, "Linear")],
)
def test_automatic_scaling(low: int, high: int, expected: str) -> None:
    """It is logarithmic from two decades on, where both ends are above 0."""
    (dimension,) = search_space.read({"n": {"type": "Integer", "min": low, "max": high}})
    assert dimension.scaling == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "Guess"}, "strategy must be one of Bayesian, Random, Grid, Hyperband, got 'Guess'"),
        ({"strategy": "Grid"}, "Grid needs Categorical ranges only"),
        ({"strategy": "Hyperband"}, "Hyperband needs 1 <= min_epochs <= max_epochs"),
        ({"strategy": "Hyperband", "max_epochs": 2, "min_epochs": 3}, "got 3 and 2"),
        ({"strategy": "Hyperband", "max_epochs": 2, "min_epochs": 0}, "got 0 and 2"),
    ],
)
def test_searches_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    """They are refused before anything is tried."""
    with pytest.raises(ValueError, match=message):
        _search(**({"max_epochs": None} | changes))


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (None, "a: a range must be a mapping, got None"),
        ({}, "a: type must be Continuous, Integer or Categorical, got None"),
        ({"type": "Continuous", "min": True, "max": 2}, "a: min and max must be numbers, got True"),
        ({"type": "Continuous", "min": 0}, "a: min and max must be numbers, got None"),
        ({"type": "Integer", "min": 0, "max": 2**60}, "whole numbers of at most"),
        ({"type": "Integer", "min": 2, "max": 1}, "must not be more than max"),
        ({"type": "Continuous", "min": 1, "max": 2, "scaling": "Cubic"}, "scaling must be one of"),
        ({"type": "Categorical", "values": "ab"}, "values must be a list"),
        ({"type": "Categorical", "values": []}, "values must be a list"),
        ({"type": "Categorical", "values": [1, "1"]}, "values must differ"),
        ({"type": "Categorical", "values": [True]}, "values must be texts or numbers"),
    ],
)
def test_ranges_that_cannot_be(described: Any, message: str) -> None:
    """The hyperparameter is named, and what is wrong with its range."""
    with pytest.raises(ValueError, match=message):
        _search({"a": described})
    with pytest.raises(ValueError, match="at least one hyperparameter"):
        _search({})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_RANGE = st.fixed_dictionaries(
    {"type": st.sampled_from(["Continuous", "Integer", "Categorical"])},
    optional={
        "min": _JSON | st.floats(),
        "max": _JSON | st.floats(),
        "scaling": st.sampled_from(search_space.SCALINGS) | _JSON,
        "values": _JSON | st.lists(st.integers() | st.text(max_size=3), max_size=3),
    },
)


@given(described=_RANGE | _JSON)
def test_any_description_of_a_range_is_searched_or_refused(described: Any) -> None:
    """Whatever a JSON text holds as a range: a ValueError, or texts that the range takes back."""
    try:
        search = _search({"a": described}, "Random")
    except ValueError:
        return
    text = _ask(search).values["a"]
    (dimension,) = search_space.read({"a": described})
    dimension.encode(text)
    if dimension.kind != "Categorical":
        assert dimension.low <= float(text) <= dimension.high


def test_all_strategies_of_sagemaker_are_known() -> None:
    """A search can be made for each."""
    for strategy in STRATEGIES:
        assert _search({"kind": KIND}, strategy).ask() is not None
