"""Times trainings and tuning with this library and as the reference project did them, in one run.

Each run is a whole process, started anew: interpreters, imports, and what processes they start count. All
have the same photographs and the same random ResNet50 (there are no pretrained weights here; speed is what
is measured). The reference project's way is measured in part and extrapolated, as each of its epochs costs
the same: 20 epochs of training and validation and one test pass, 20 times over for 20 trials; its start-up is
left out. Photographs are those below ``$SAGEMAKER_DOGBREED_TEST_DATA`` (default ``../shared``).
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from backbone_measures import Agreement, agreement, memory, speeds
from training_contenders import (
    BACKBONE,
    ENGINES,
    Contender,
    Place,
    Program,
    contenders,
    extraction,
    reference,
    script,
)
from whole_process import Run, run

from sagemaker_dogbreed import packaging

_SPLITS = ("train", "valid", "test")
_USUAL = ("PATH", "HOME", "LANG", "OMP_NUM_THREADS", "LD_LIBRARY_PATH")  # variables that runs inherit
# The goals, in times the reference project's core time.
_TUNING, _FIRST_USE, _CACHED = 400.0, 30.0, 500.0
_OVER_BOUND, _ALLOWANCE = 1.2, 60.0  # times the lower bound, and seconds beyond, for a tuning's duration
_PASS = {"torch": 3.0, "openvino": 4.5}  # times the reference loop's images a second
_TOP_1 = 0.003
_FEW_CLASSES = 12  # with --look


class Cost(NamedTuple):
    """Seconds, and seconds of processor time."""

    seconds: float
    core_seconds: float


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=_data(), help="folder that has dogs/ and weights/")
    parser.add_argument(
        "--photographs", type=int, metavar="N", help="of a class and split at most, for a look"
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--reference-batches", type=int, default=12, help="measured of the reference's way")
    parser.add_argument("--images", type=int, default=640, help="images of a round of backbone passes")
    parser.add_argument("--parts", default="trainings,passes,agreement,memory", help="with commas")
    options = parser.parse_args(argv)
    if not (options.data / "dogs").is_dir():
        raise SystemExit(f"no photographs at {options.data}; set SAGEMAKER_DOGBREED_TEST_DATA or --data")
    print(
        f"{os.cpu_count()} cores, {platform.platform()}, {_processor()}; {options.rounds} rounds, medians\n"
    )
    with tempfile.TemporaryDirectory(prefix="training-benchmark-") as name:
        root = Path(name)
        data = options.data / "dogs" / "stanford120"
        if options.look:
            data = _some(data, root / "some")
        weights = root / "weights" / f"{BACKBONE}.pth"
        weights.parent.mkdir()
        _tell("Writing random weights")
        run(script("random_weights.py", BACKBONE, data / "train", weights), _environment({}))
        parts = options.parts.split(",")
        goals: list[str] = []
        if "trainings" in parts:
            place = Place(
                data=data,
                weights=weights,
                tree=packaging.stage(root / "tree"),
                scratch=root / "scratch",
                epochs=options.epochs,
                trials=options.trials,
                reference_batches=options.reference_batches,
            )
            goals += _trainings(place, options.rounds)
        if "passes" in parts:
            goals += _passes(data, weights, options.images, options.rounds)
        if "agreement" in parts:
            goals += _agreement(options.data, data, root)
        if "memory" in parts:
            goals += _memory(root)
    print("\n".join(goals))


def _trainings(place: Place, rounds: int) -> Iterator[str]:
    counts = {split: sum(1 for path in (place.data / split).rglob("*.jp*g")) for split in _SPLITS}
    ways = [way for engine in ENGINES for way in contenders(engine)]
    measured: dict[str, list[Cost]] = defaultdict(list)
    bounds: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(rounds):
        _tell("The reference project's way, in part")
        measured["reference"].append(_reference_cost(_start(reference(place)), counts, place.epochs))
        for engine in ENGINES:
            _tell(f"Every image through the backbone once ({engine})")
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
            yield _verdict(f"{way.name}, core time", base.core_seconds / cost.core_seconds, wanted)
            if way.trials and not way.cached and way.name.endswith(f"({ENGINES[-1]})"):
                limit = _OVER_BOUND * fastest + _ALLOWANCE
                yield (
                    f"{way.name}: {cost.seconds:.0f} s, goal at most {_OVER_BOUND:g} x {fastest:.0f} s + "
                    f"{_ALLOWANCE:.0f} s = {limit:.0f} s: {'met' if cost.seconds <= limit else 'NOT MET'}"
                )


def _row(name: str, cost: Cost, base: Cost | None = None) -> str:
    ratios = ["", ""] if base is None else [f"{a / b:,.0f} x" for a, b in zip(base, cost, strict=True)]
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
    _tell(way.name)
    if not way.cached:
        shutil.rmtree(place.scratch / "features", ignore_errors=True)
    for job in ("training", "tuning"):
        shutil.rmtree(place.scratch / job, ignore_errors=True)
    program = way.program(place)
    measured = _start(program)
    if program.result is not None and not program.result.is_file():
        _tell(f"{way.name}: {program.result.name} is not there; left out")
        return None
    return Cost(measured.seconds, measured.core_seconds)


def _passes(data: Path, weights: Path, images: int, rounds: int) -> Iterator[str]:
    loops = ("reference", "reference-validation", "exact", *ENGINES)
    found = speeds(loops, BACKBONE, weights, data / "train", images, rounds, _environment({}))
    print(f"| {BACKBONE}, decoding included | images/s | against the reference loop | images a core-second |")
    print("|---|---|---|---|")
    for loop in loops:
        speed = found[loop]
        ratio = speed.a_second / found["reference"].a_second
        print(f"| {loop} | {speed.a_second:.1f} | {ratio:.2f} x | {speed.a_core_second:.1f} |")
    print()
    for engine in ENGINES:
        ratio = found[engine].a_second / found["reference"].a_second
        yield _verdict(f"backbone pass, {engine}", ratio, _PASS[engine])


def _agreement(shared: Path, data: Path, root: Path) -> Iterator[str]:
    (file,) = (shared / "weights").glob("mobilenet_v2-*.pth")
    weights = root / "mobilenet_v2" / file.name
    weights.parent.mkdir()
    shutil.copyfile(file, weights)
    found: Mapping[str, Agreement] = agreement(ENGINES, "mobilenet_v2", weights, data, root, _environment({}))
    print("| mobilenet_v2, valid and test | top-1 | same answer as exact | least cosine |")
    print("|---|---|---|---|")
    for loop, each in found.items():
        print(f"| {loop} | {100 * each.top_1:.2f} % | {100 * each.same:.2f} % | {each.least_cosine:.5f} |")
    print()
    for engine in ENGINES:
        difference = found[engine].top_1 - found["exact"].top_1
        verdict = "met" if abs(difference) <= _TOP_1 else "NOT MET"
        yield f"top-1 with {engine}: {100 * difference:+.2f} points, goal within {100 * _TOP_1:g}: {verdict}"


def _memory(root: Path) -> Iterator[str]:
    _tell("Memory of an epoch on 100,000 images' features")
    told = memory(root / "many", _environment({}))
    grown = told["peak"] - told["before"]
    print("| an epoch on 100,000 x 2048 features | MB |")
    print("|---|---|")
    print(f"| of the process itself before | {told['before'] / 1e6:,.0f} |")
    print(f"| of the process itself at most | {told['peak'] / 1e6:,.0f} |")
    print(f"| of mapped files, libraries included, at most | {told['mapped'] / 1e6:,.0f} |")
    print(f"| the features as numbers in memory would be | {told['in_memory'] / 1e6:,.0f} |\n")
    verdict = "met" if grown <= told["in_memory"] / 10 else "NOT MET"
    yield f"memory grows by {grown / 1e6:.0f} MB, goal at most a tenth of the features: {verdict}"


def _start(program: Program) -> Run:
    return run(program.command, _environment(program.environment))


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in _USUAL if name in os.environ} | dict(more)


def _some(source: Path, target: Path) -> Path:
    """Return a folder of links to two photographs of a class and split, of a few classes."""
    for split in _SPLITS:
        for folder in sorted((source / split).iterdir())[:_FEW_CLASSES]:
            (target / split / folder.name).mkdir(parents=True)
            for path in sorted(folder.iterdir())[:2]:
                (target / split / folder.name / path.name).symlink_to(path.resolve())
    return target


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def _verdict(name: str, ratio: float, wanted: float) -> str:
    return (
        f"{name}: {ratio:,.1f} x the reference, goal {wanted:g} x: {'met' if ratio >= wanted else 'NOT MET'}"
    )


def _data() -> Path:
    return Path(os.environ.get("SAGEMAKER_DOGBREED_TEST_DATA", Path(__file__).parents[2] / "shared"))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
