"""What specs tell a job about debugging and profiling."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.container.debugging.rules import REGISTRY, RuleError, rule
from sagemaker_dogbreed.container.debugging.settings import (
    OFF,
    DebuggerSettings,
    ProfilerSettings,
    RuleSetting,
    chosen_rules,
    read_settings,
    rules_by_name,
    to_text,
    wanted_rules,
)

names = st.text(string.ascii_letters, min_size=1)
values = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
settings = st.builds(
    DebuggerSettings,
    rules=st.lists(
        st.builds(RuleSetting, name=names, parameters=st.dictionaries(names, values), stops=st.booleans())
    ).map(tuple),
    save_interval=st.none() | st.integers(1),
    hook=st.sampled_from(["native", "smdebug"]),
    collections=st.dictionaries(names, st.dictionaries(names, st.text())),
    own_rules=st.booleans(),
)


@given(settings)
def test_settings_are_read_as_they_were_written(wanted):
    """Whatever a spec tells arrives, in a text that no shell takes apart."""
    text = to_text(wanted)
    assert read_settings(DebuggerSettings, text) == wanted
    assert "'" not in text
    assert text.startswith("json:")


def test_without_a_word_all_is_on_and_off_is_off():
    """A job that is told nothing is watched; one that is told to is not."""
    assert read_settings(ProfilerSettings, None) == ProfilerSettings()
    assert read_settings(DebuggerSettings, OFF) is None
    assert to_text(None) == OFF


@given(st.text().filter(lambda text: text != OFF))
def test_anything_else_is_an_error(text):
    """A text that the library does not write is refused, whatever it is."""
    try:
        found = read_settings(ProfilerSettings, text)
    except ValueError:
        return
    assert isinstance(found, ProfilerSettings)


def test_rules_are_known_by_name_kind_and_parameters():
    """A rule of the other kind, one that does not exist, or a parameter that it lacks is told by name."""
    (found,) = chosen_rules(
        [RuleSetting(name="Overfit", parameters={"patience": 3}, stops=True)], profiles=False
    )
    assert found.parameters["patience"] == 3
    assert found.parameters["ratio_threshold"] == 0.1
    assert found.stops
    with pytest.raises(RuleError, match=r"Overfit is a training rule, and belongs to debugger\.rules"):
        chosen_rules([RuleSetting(name="Overfit")], profiles=True)
    with pytest.raises(RuleError, match=r"Dataloader is a profiler rule, and belongs to profiler\.rules"):
        chosen_rules([RuleSetting(name="Dataloader")], profiles=False)
    wrong = [RuleSetting(name="Overfitt"), RuleSetting(name="Overtraining", parameters={"patients": 3})]
    with pytest.raises(
        RuleError, match=r"did you mean Overfit\?; rule Overtraining has no parameter patients"
    ):
        chosen_rules(wrong, profiles=False)
    with pytest.raises(RuleError, match="no parameter patients"):
        chosen_rules([RuleSetting(name="Overfit", parameters={"patients": 3})], profiles=False)
    with pytest.raises(RuleError, match="must be like 1"):
        chosen_rules([RuleSetting(name="Overfit", parameters={"patience": 0.5})], profiles=False)


def test_all_built_in_rules_judge_where_none_is_named():
    """Without names every built-in rule of a kind is asked, and no rule of anybody's own."""

    @rule("NobodysRule", on="epoch")
    def nobodys_rule(history):
        return None

    try:
        training = {each.name for each in wanted_rules(DebuggerSettings(), None)}
        both = {each.name for each in wanted_rules(DebuggerSettings(), ProfilerSettings())}
        assert {each.name for each in rules_by_name({"NobodysRule": {}})} == {"NobodysRule"}
    finally:
        del REGISTRY["NobodysRule"]
    assert {"VanishingGradient", "Overfit"} <= training
    assert {"BatchSize", "StepOutlier"} <= both - training
    assert "NobodysRule" not in both
    with pytest.raises(RuleError, match="there is no rule NobodysRule"):
        rules_by_name({"NobodysRule": {}})


def test_afterwards_a_job_is_judged_by_the_rules_it_had():
    """Own rules may be of either kind; where they alone were named, no built-in one takes their place."""
    wanted = DebuggerSettings(rules=(RuleSetting(name="OwnMachine", parameters={"most": 2}),), own_rules=True)
    assert wanted_rules(wanted, None, own=False) == []

    @rule("OwnMachine", on="profile")
    def own_machine(history, *, most=1):
        return None

    try:
        (found,) = wanted_rules(wanted, None, own=False)
    finally:
        del REGISTRY["OwnMachine"]
    assert found.parameters == {"most": 2}


def test_a_rule_needs_a_name_a_moment_and_defaults():
    """What cannot be a rule is refused where it is defined."""
    with pytest.raises(RuleError, match="like VanishingGradient"):
        rule("no name", on="epoch")
    with pytest.raises(RuleError, match="on is one of"):
        rule("SomeRule", on="never")
    with pytest.raises(RuleError, match="must come after"):

        @rule("SomeRule", on="epoch")
        def some_rule(history, threshold):
            return None

    with pytest.raises(RuleError, match="there is a rule Overfit already"):

        @rule("Overfit", on="epoch")
        def mine(history):
            return None
