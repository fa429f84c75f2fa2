"""What trainings and tunings cost, and the reference project's way by extrapolation."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from training_contenders import (
    BACKBONE,
    Contender,
    Place,
    Program,
    contenders,
    extraction,
    reference,
)
from whole_process import Run, RunFailed, run

SPLITS = ("train", "valid", "test")
_USUAL = ("PATH", "HOME", "LANG", "OMP_NUM_THREADS", "LD_LIBRARY_PATH")  # variables that runs inherit
# The goals, in times the reference project's core time.
_TUNING, _FIRST_USE, _CACHED = 400.0, 30.0, 500.0
_OVER_BOUND, _ALLOWANCE = 1.2, 60.0  # times the lower bound, and seconds beyond, for a tuning's duration


class Cost(NamedTuple):
    """Seconds, and seconds of processor time."""

    seconds: float
    core_seconds: float


def trainings(place: Place, rounds: int, engines: Sequence[str]) -> Iterator[str]:
    """Measure all ways, print their table, and yield the goals with their verdicts."""
    counts = {split: sum(1 for path in (place.data / split).rglob("*.jp*g")) for split in SPLITS}
    ways = [way for engine in engines for way in contenders(engine)]
    measured: dict[str, list[Cost]] = defaultdict(list)
    bounds: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(rounds):
        tell("The reference project's way, in part")
        measured["reference"].append(_reference_cost(_start(reference(place)), counts, place.epochs))
        for engine in engines:
            tell(f"Every image through the backbone once ({engine})")
            told = _start(extraction(engine, place)).told
            images = sum(counts.values())
            factor = images / told["images"]  # the first batch is not in it
            bounds[engine].append(Cost(told["seconds"] * factor, told["core_seconds"] * factor))
        for way in ways:
            if (cost := _library_cost(way, place)) is not None:
                measured[way.name].append(cost)
    one = _median(measured.pop("reference"))
    many = Cost(one.seconds * place.trials, one.core_seconds * place.trials)
    described = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    print(f"{BACKBONE}, images: {described}; {place.epochs} epochs; {place.trials} trials\n")
    print("| | seconds | core-seconds | less time | less core time |")
    print("|---|---|---|---|---|")
    print(_row("reference, one training (extrapolated)", one))
    print(_row(f"reference, {place.trials} trials (extrapolated)", many))
    costs = {name: _median(found) for name, found in measured.items()}
    for way in ways:
        base = many if way.trials else one
        print(
            _row(way.name, costs[way.name], base) if way.name in costs else f"| {way.name} | not run | | | |"
        )
    for engine, found in bounds.items():
        print(_row(f"every image once, nothing else ({engine})", _median(found)))
    print()
    fastest = min(_median(found).seconds for found in bounds.values())
    for way in ways:
        if cost := costs.get(way.name):
            base = many if way.trials else one
            wanted = _CACHED if way.cached and not way.trials else _TUNING if way.trials else _FIRST_USE
            yield times(f"{way.name}, core time", base.core_seconds / cost.core_seconds, wanted)
            if way.trials and not way.cached and way.name.endswith(f"({engines[-1]})"):
                limit = _OVER_BOUND * fastest + _ALLOWANCE
                line = (
                    f"{way.name}: {cost.seconds:,.0f} s, goal at most "
                    f"{_OVER_BOUND:g} x {fastest:,.0f} s + {_ALLOWANCE:.0f} s = {limit:,.0f} s"
                )
                yield verdict(line, met=cost.seconds <= limit)


def _row(name: str, cost: Cost, base: Cost | None = None) -> str:
    ratios = ["", ""] if base is None else [f"{a / b:,.1f} x" for a, b in zip(base, cost, strict=True)]
    return f"| {name} | {cost.seconds:,.1f} | {cost.core_seconds:,.1f} | {ratios[0]} | {ratios[1]} |"


def _reference_cost(measured: Run, counts: Mapping[str, int], epochs: int) -> Cost:
    train, valid = measured.told["train"], measured.told["valid"]
    evaluated = epochs * counts["valid"] + counts["test"]
    seconds, core_seconds = (
        epochs * counts["train"] * train[kind] + evaluated * valid[kind]
        for kind in ("seconds", "core_seconds")
    )
    return Cost(seconds, core_seconds)


def _library_cost(way: Contender, place: Place) -> Cost | None:
    """Return what a way costs; None where it left no result, as a version that does not know it would."""
    tell(way.name)
    if not way.cached:
        shutil.rmtree(place.scratch / "features", ignore_errors=True)
    for job in ("training", "tuning"):
        shutil.rmtree(place.scratch / job, ignore_errors=True)
    program = way.program(place)
    try:
        measured = _start(program)
    except RunFailed as error:  # the other ways are of interest all the same
        tell(str(error))
        return None
    if program.result is not None and not program.result.is_file():
        tell(f"{way.name}: {program.result.name} is not there; left out")
        return None
    if way.trials and program.result is not None:
        trials = json.loads(program.result.read_text())["trials"]
        completed = sum(trial["status"] == "Completed" for trial in trials)
        print(f"{way.name}: {completed} of {len(trials)} trials completed\n")
    return Cost(measured.seconds, measured.core_seconds)


def _start(program: Program) -> Run:
    return run(program.command, environment(program.environment))


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return what of this process's environment a run gets, and more."""
    return {name: os.environ[name] for name in _USUAL if name in os.environ} | dict(more)


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def times(name: str, ratio: float, wanted: float) -> str:
    """Return a line that says whether something is so many times as good as the reference."""
    return verdict(f"{name}: {ratio:,.1f} x the reference, goal {wanted:g} x", met=ratio >= wanted)


def verdict(line: str, *, met: bool) -> str:
    """Return a line that ends in whether its goal is met."""
    return f"{line}: {'met' if met else 'NOT MET'}"


def tell(line: str) -> None:
    """Say on stderr what is being done."""
    print(line, file=sys.stderr, flush=True)
