"""Records and the files that hold them: what is written is read, whatever else is in the files."""

from __future__ import annotations

import dataclasses
import json
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_dogbreed.container.debugging import records
from sagemaker_dogbreed.container.debugging.history import History
from sagemaker_dogbreed.container.debugging.record_files import RecordFile, read_records
from sagemaker_dogbreed.container.debugging.records import Epoch, RecordError, Span, Step, Tensor, Tensors

FINITE = st.floats(-1e149, 1e149)
NUMBER = FINITE | st.just(math.nan)
WHOLE = st.integers(-(10**16), 10**16)
TEXT = st.text(max_size=8)
VALUES = {
    "float": NUMBER,
    "float | None": st.none() | FINITE,
    "int": WHOLE,
    "str": TEXT,
    "tuple[float, ...]": st.lists(NUMBER, max_size=3).map(tuple),
    "tuple[int, ...]": st.lists(WHOLE, max_size=3).map(tuple),
    "Mapping[str, float]": st.dictionaries(TEXT, NUMBER, max_size=3),
    "Mapping[str, Any]": st.dictionaries(TEXT, TEXT | st.integers() | st.booleans(), max_size=3),
}


def made(kind: type) -> st.SearchStrategy:
    """Return a strategy of records of a kind."""
    tensors = st.dictionaries(TEXT, made(Tensor), max_size=2) if kind is Tensors else None
    fields = {field.name: VALUES.get(str(field.type), tensors) for field in dataclasses.fields(kind)}
    if "time" in fields:
        fields["time"] = st.floats(0, 9e10)
    return st.builds(kind, **fields)


ANY = st.one_of([made(kind) for kind in records._KINDS.values()])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8)


@given(ANY)
def test_a_record_comes_back_from_its_line(record):
    """Any record is one line, which is read as the same record; NaN is NaN."""
    line = records.to_line(record)
    assert "\n" not in line
    assert repr(records.from_line(line)) == repr(record)


def test_what_is_not_finite_is_null():
    """JSON has neither infinities nor NaN: they are written as null, and read as NaN."""
    line = records.to_line(Span(time=1.0, node="rank-0", name="train", seconds=-math.inf))
    assert json.loads(line)["seconds"] is None
    assert math.isnan(records.from_line(line).seconds)


@pytest.mark.parametrize("time", ["null", "-1", "1e300", "9" * 400])
def test_a_record_is_of_a_time_that_calendars_have(time):
    """Of another time there are no records: neither plots nor dates could be made of them."""
    with pytest.raises(RecordError):
        records.from_line(f'{{"kind":"span","time":{time},"node":"a","name":"train","seconds":1}}')


def test_numbers_that_nothing_can_be_reckoned_with_are_none():
    """A number that only damage can have made is read as NaN, and as a whole number refused."""
    line = records.to_line(Span(time=1.0, node="rank-0", name="train", seconds=1e300))
    assert math.isnan(records.from_line(line).seconds)
    with pytest.raises(RecordError):
        records.from_line(records.to_line(records.Resume(time=1.0, epoch=1, step=10**18)))


@given(ANY, st.data())
def test_a_line_that_is_cut_off_is_no_record(record, data):
    """Of a line that a killed job has not ended, nothing is taken for a record."""
    line = records.to_line(record)
    with pytest.raises(RecordError):
        records.from_line(line[: data.draw(st.integers(0, len(line) - 1))])


@given(JSON | st.fixed_dictionaries({"kind": st.sampled_from([*records._KINDS])}, optional={"time": LEAVES}))
def test_other_json_is_no_record(value):
    """Whatever else a line holds is refused with the one error, never read in part."""
    with pytest.raises(RecordError):
        records.from_line(json.dumps(value))


@given(ANY, st.data())
def test_a_field_of_another_type_is_refused(record, data):
    """A field's value of a wrong type, or a field that no record has, makes it none."""
    fields = json.loads(records.to_line(record))
    name = data.draw(st.sampled_from([*sorted(set(fields) - {"kind"}), "unknown"]))
    fields[name] = data.draw(st.sampled_from([True, [["x"]], {"a": ["b"]}]))
    if fields["kind"] == "start" and name == "settings" and isinstance(fields[name], dict):
        return  # settings may be anything that has names
    with pytest.raises(RecordError):
        records.from_line(json.dumps(fields))


@pytest.mark.parametrize(
    "line", ["", "null", "[" * 100_000, '{"kind": []}', '{"kind": "step"}', '{"kind":"span","time":NaN}']
)
def test_hostile_lines_are_refused(line):
    """Deep nesting and what is not JSON end in the same error, which quotes no more than a little."""
    with pytest.raises(RecordError) as error:
        records.from_line(line)
    assert len(str(error.value)) < 400


def span(time: float) -> Span:
    """Make a record of a time."""
    return Span(time=time, node="rank-0", name="train", seconds=1.0)


def test_files_are_read_in_order_of_time(tmp_path):
    """Several processes' files become one sequence; files of other names are left alone."""
    for name, times in (("training.jsonl", (1.0, 4.0)), ("profile-1.jsonl", (2.0, 3.0))):
        with RecordFile(tmp_path / "debugger" / name) as file:
            for time in times:
                file.write(span(time))
    (tmp_path / "debugger" / "rules.json").write_text("{}")
    assert [each.time for each in read_records(tmp_path / "debugger")] == [1.0, 2.0, 3.0, 4.0]
    assert list(read_records(tmp_path / "elsewhere")) == []


def test_after_a_torn_line_the_next_one_is_whole(tmp_path):
    """What a killed process left of its last line costs that record alone, when training goes on."""
    path = tmp_path / "training.jsonl"
    with RecordFile(path) as file:
        file.write(span(1.0))
        file.write(span(2.0))
    os.truncate(path, path.stat().st_size - 5)
    assert [each.time for each in read_records(tmp_path)] == [1.0]
    with RecordFile(path) as file:
        file.write(span(3.0))
    assert [each.time for each in read_records(tmp_path)] == [1.0, 3.0]


def test_records_are_in_the_file_at_once(tmp_path):
    """Nothing waits in memory for the file to be closed."""
    with RecordFile(tmp_path / "training.jsonl") as file:
        file.write(span(1.0))
        assert [each.time for each in read_records(tmp_path)] == [1.0]


@given(st.binary(max_size=300))
def test_other_bytes_are_passed_over(tmp_path_factory, noise):
    """Records around noise are read all the same."""
    folder = tmp_path_factory.mktemp("records")
    line = records.to_line(span(1.0)).encode() + b"\n"
    (folder / "training.jsonl").write_bytes(line + noise + b"\n" + line)
    assert [each.time for each in read_records(folder)] == [1.0, 1.0]


def test_a_history_has_a_list_for_each_kind():
    """All kinds of records find their list; the latest tensors are those of the last sampled step."""
    step = Step(time=0.0, step=3, epoch=1, loss=1.0, top_1=0.5, learning_rate=0.1, images=8)
    epoch = Epoch(time=1.0, epoch=1, step=3, measures={})
    history = History.of([step, epoch, span(2.0)])
    assert (history.steps, history.epochs, history.spans) == ([step], [epoch], [span(2.0)])
    assert history.latest("weight") == {}
    assert history.settings == {}
    numbers = dict.fromkeys(
        ("mean", "mean_abs", "std", "minimum", "maximum", "norm", "zeros", "low", "high"), 0.0
    )
    weight, gradient = (
        Tensor(kind=kind, layer="Linear", elements=1, not_finite=0, **numbers)
        for kind in ("weight", "gradient")
    )
    history.add(
        Tensors(time=3.0, step=3, tensors={"weight/head.weight": weight, "gradient/head.weight": gradient})
    )
    assert history.latest("weight") == {"head.weight": weight}
