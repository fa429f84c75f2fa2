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
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backbone_measures import Agreement, agreement, memory, speeds
from training_contenders import BACKBONE, ENGINES, Place, script
from training_costs import SPLITS, environment, tell, times, trainings, verdict
from whole_process import run

from sagemaker_dogbreed import packaging

# The goals, in times the reference loop's images a second, and as a difference in accuracy.
_PASS = {"torch": 3.0, "openvino": 4.5}
_TOP_1 = 0.003
_FEW_CLASSES = 5  # with --look


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=_data(), help="folder that has dogs/ and weights/")
    parser.add_argument("--look", action="store_true", help="few images and classes, for a look only")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--reference-batches", type=int, default=12, help="measured of the reference's way")
    parser.add_argument("--images", type=int, default=640, help="images of a round of backbone passes")
    parser.add_argument("--parts", default="trainings,passes,agreement,memory", help="with commas")
    parser.add_argument(
        "--engines", default=",".join(ENGINES), help="of trainings, with commas, fastest last"
    )
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
        tell("Writing random weights")
        run(script("random_weights.py", BACKBONE, data / "train", weights), environment({}))
        engines = options.engines.split(",")
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
            goals += trainings(place, options.rounds, engines)
        if "passes" in parts:
            goals += _passes(data, weights, options.images, options.rounds)
        if "agreement" in parts:
            goals += _agreement(options.data, data, root)
        if "memory" in parts:
            goals += _memory(root)
    print("\n".join(goals))


def _passes(data: Path, weights: Path, images: int, rounds: int) -> Iterator[str]:
    loops = ("reference", "reference-validation", "exact", *ENGINES)
    found = speeds(loops, BACKBONE, weights, data / "train", images, rounds, environment({}))
    print(f"| {BACKBONE}, decoding included | images/s | against the reference loop | images a core-second |")
    print("|---|---|---|---|")
    for loop in loops:
        speed = found[loop]
        ratio = speed.a_second / found["reference"].a_second
        print(f"| {loop} | {speed.a_second:.1f} | {ratio:.2f} x | {speed.a_core_second:.1f} |")
    print()
    for engine in ENGINES:
        ratio = found[engine].a_second / found["reference"].a_second
        yield times(f"backbone pass, {engine}", ratio, _PASS[engine])


def _agreement(shared: Path, data: Path, root: Path) -> Iterator[str]:
    (file,) = (shared / "weights").glob("mobilenet_v2-*.pth")
    weights = root / "mobilenet_v2" / file.name
    weights.parent.mkdir()
    shutil.copyfile(file, weights)
    found: Mapping[str, Agreement] = agreement(ENGINES, "mobilenet_v2", weights, data, root, environment({}))
    print("| mobilenet_v2, valid and test | top-1 | same answer as exact | least cosine |")
    print("|---|---|---|---|")
    for loop, each in found.items():
        print(f"| {loop} | {100 * each.top_1:.2f} % | {100 * each.same:.2f} % | {each.least_cosine:.5f} |")
    print()
    for engine in ENGINES:
        difference = found[engine].top_1 - found["exact"].top_1
        line = f"top-1 with {engine}: {100 * difference:+.2f} points, goal no more than {100 * _TOP_1:g} less"
        yield verdict(line, met=difference >= -_TOP_1)


def _memory(root: Path) -> Iterator[str]:
    tell("Memory of an epoch on 100,000 images' features")
    told = memory(root / "many", environment({}))
    grown = told["peak"] - told["before"]
    print("| an epoch on 100,000 x 2048 features | MB |")
    print("|---|---|")
    print(f"| of the process itself before | {told['before'] / 1e6:,.0f} |")
    print(f"| of the process itself at most | {told['peak'] / 1e6:,.0f} |")
    print(f"| of mapped files, libraries included, at most | {told['mapped'] / 1e6:,.0f} |")
    print(f"| the features as numbers in memory would be | {told['in_memory'] / 1e6:,.0f} |\n")
    line = f"memory grows by {grown / 1e6:.0f} MB, goal at most a tenth of the features"
    yield verdict(line, met=grown <= told["in_memory"] / 10)


def _some(source: Path, target: Path) -> Path:
    """Return a folder of links to two photographs of a class and split, of a few classes."""
    for split in SPLITS:
        for folder in sorted((source / split).iterdir())[:_FEW_CLASSES]:
            (target / split / folder.name).mkdir(parents=True)
            for path in sorted(folder.iterdir())[:2]:
                (target / split / folder.name / path.name).symlink_to(path.resolve())
    return target


def _data() -> Path:
    return Path(os.environ.get("SAGEMAKER_DOGBREED_TEST_DATA", Path(__file__).parents[2] / "shared"))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
