"""What a search may be, and what is refused before it costs."""

from __future__ import annotations

import pytest

from sagemaker_dogbreed import CategoricalRange, ContinuousRange, IntegerRange, SpecError, TuningSpec
from sagemaker_dogbreed.config.files import dumps, loads
from sagemaker_dogbreed.config.schema import schema

SIZES = {"batch_size": CategoricalRange(values=[32, 64, 128])}
HYPERBAND = {"strategy": "Hyperband", "objective": "valid_loss"}

REFUSED = [
    ({"strategy": "Grid"}, "categorical ranges only"),
    ({"strategy": "Grid", "ranges": SIZES, "max_jobs": 2}, "tries all 3 combinations"),
    ({"ranges": SIZES}, "more than there are combinations of values (3)"),
    ({"ranges": {"epochs": IntegerRange(min=1, max=3)}}, "combinations of values (3)"),
    ({"min_epochs": 2}, "are for strategy Hyperband, not Bayesian"),
    ({**HYPERBAND, "min_epochs": 3, "max_epochs": 2}, "more than max_epochs"),
    ({**HYPERBAND, "early_stopping": True}, "leave early_stopping out"),
    ({"strategy": "Hyperband"}, "strategy Hyperband compares trials after each epoch"),
    ({"early_stopping": True}, "use Valid Loss"),
    ({"no_improvement_jobs": 2}, "no_improvement_jobs must be at least 3"),
    ({"max_runtime_seconds": 60}, "max_runtime_seconds must be between 120 and 15768000"),
    ({"target_value": float("nan")}, "target_value must be a number"),
    ({"warm_start": ["a"] * 2}, "5 different names at most"),
    ({"warm_start": list("abcdef")}, "5 different names at most"),
    ({"warm_start": ["a" * 33]}, "warm_start must hold texts like"),
    ({"warm_start": ["a"], "execution": "single_job"}, "warm_start is for execution: service"),
    ({"max_parallel_jobs": 2, "execution": "single_job"}, "max_parallel_jobs is for execution: service"),
    ({"execution": "both"}, "execution must be one of service, single_job"),
    ({"name": "my job"}, "name must match"),
    ({"tags": {"aws:x": "1"}}, "reserved"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_search_that_cannot_be_is_refused(fields, message):
    """The message names the field and what is acceptable."""
    with pytest.raises(SpecError) as caught:
        TuningSpec(**fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "jobs"),
    [
        ({"max_jobs": 20, "max_parallel_jobs": 5}, (20, 5)),
        ({"strategy": "Grid", "ranges": SIZES, "max_parallel_jobs": 4}, (3, 3)),
        ({"execution": "single_job", "max_jobs": 20}, (1, 1)),
    ],
)
def test_how_many_training_jobs_there_are_at_most(fields, jobs):
    """A grid has its combinations, a single job is one."""
    spec = TuningSpec(**fields)
    assert (spec.jobs_at_most, spec.jobs_at_a_time) == jobs


def test_a_search_in_a_file_is_the_same_search():
    """All fields can be written to a file and read from it; the schema knows them."""
    spec = TuningSpec(
        name="dogs",
        objective="valid_loss",
        ranges={**SIZES, "learning_rate": ContinuousRange(min=0.01, max=0.1)},
        strategy="Hyperband",
        min_epochs=2,
        max_epochs=8,
        target_value=0.5,
        no_improvement_jobs=3,
        until_converged=True,
        max_runtime_seconds=600,
        warm_start=["a", "b"],
        warm_start_type="TransferLearning",
        tags={"team": "dogs"},
    )
    workflow = loads("dataset: {source: photos}\ntuning: {}")
    assert workflow.tuning == TuningSpec()
    text = """
dataset: {source: photos}
tuning:
  name: dogs
  objective: valid_loss
  ranges: {batch_size: [32, 64, 128], learning_rate: {min: 0.01, max: 0.1}}
  strategy: Hyperband
  min_epochs: 2
  max_epochs: 8
  target_value: 0.5
  no_improvement_jobs: 3
  until_converged: true
  max_runtime_seconds: 600
  warm_start: [a, b]
  warm_start_type: TransferLearning
  tags: {team: dogs}
"""
    assert loads(text).tuning == spec
    assert loads(dumps(loads(text))).tuning == spec
    tuning = next(part for part in schema()["properties"]["tuning"]["anyOf"] if "properties" in part)
    assert tuning["properties"]["warm_start"]["type"] == "array"
