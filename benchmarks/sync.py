"""Times the upload of many image files to S3 with this library and with the usual tools, in one run.

Each run is a whole process, started anew: interpreters, imports and listings count. The server is the
lean S3 beside this file, started anew for each contender, so that all meet it empty. Rounds are
interleaved (A B C, B C A, ...) and the medians reported, so that what else the machine does meets all;
the processor time of each process is less touched by it. An answer is delayed by the latency, a "100
Continue" is not.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from contenders import BUCKET, CONTENDERS, OURS, REFERENCE, RIVALS, Contender, Place

_SMALLEST, _LARGEST = 60_000, 200_000  # bytes of a file: photographs of a few hundred pixels
_CLASSES = 20
_COLD, _UNCHANGED = "cold", "unchanged"
_LOOKS = 3  # runs in a round that find all unchanged: they are short, so what else runs shows in them
_TIMES_REFERENCE = {_COLD: 6.0, _UNCHANGED: 5.0}  # the goals


class Run(NamedTuple):
    """One process: its duration, and the processor time it took, both in seconds."""

    seconds: float
    cpu_seconds: float


Case = tuple[float, str]  # latency in milliseconds, and what is there already
Results = dict[tuple[Case, str], list[Run]]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latencies", default="0,25", help="milliseconds before each answer, with commas")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="contenders whose names hold one of these")
    options = parser.parse_args(argv)
    contenders = [
        item for item in CONTENDERS if not options.only or any(part in item.name for part in options.only)
    ]
    latencies = [float(part) for part in options.latencies.split(",")]
    with tempfile.TemporaryDirectory(prefix="sync-benchmark-") as name:
        root = Path(name)
        total = _make_files(root / "data", options.files)
        few = root / "few"
        _make_files(few, _CLASSES)
        results: Results = defaultdict(list)
        for contender in contenders:  # brings programs and libraries into the page cache
            _measure(contender, few, root, 0, _CLASSES)
        for latency in latencies:
            for number in range(options.rounds):
                turn = number % len(contenders)
                for contender in [*contenders[turn:], *contenders[:turn]]:
                    if contender.slow and number:
                        continue
                    measured = _measure(contender, root / "data", root, latency, options.files)
                    for state, runs in measured.items():
                        results[(latency, state), contender.name] += runs
                        seconds = ", ".join(f"{run.seconds:.2f}" for run in runs)
                        _tell(f"{latency:g} ms, {state}, {contender.name}: {seconds} s")
    print(f"{options.files:,} files, {total / 1e6:,.0f} MB; {os.cpu_count()} cores, {platform.platform()}")
    print(f"{options.rounds} rounds; seconds are medians\n")
    for latency in latencies:
        for state in (_COLD, _UNCHANGED):
            print("\n".join(_table(results, (latency, state), contenders, options.files)), end="\n\n")
    print("\n".join(_goals(results, latencies)))


def _make_files(folder: Path, count: int) -> int:
    """Write files of random bytes in class folders, and return how many bytes they are together."""
    sizes = random.Random(count)
    total = 0
    for number in range(count):
        path = folder / "train" / f"{number % _CLASSES:03}.breed" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        total += path.write_bytes(os.urandom(sizes.randint(_SMALLEST, _LARGEST)))
    for split in ("valid", "test"):
        (folder / split).mkdir()
    an_hour_ago = time.time() - 3600  # tools trust no file that has only just been written
    for path in folder.rglob("*.jpg"):
        os.utime(path, (an_hour_ago, an_hour_ago))
    return total


def _measure(
    contender: Contender, folder: Path, root: Path, latency: float, files: int
) -> dict[str, list[Run]]:
    """Return the runs of one contender, cold and then, if it makes a difference to it, unchanged."""
    with tempfile.TemporaryDirectory(dir=root) as scratch, _server(latency) as endpoint:
        place = Place(folder, endpoint, Path(scratch))
        environment = _environment(contender, place)
        runs = {_COLD: [_timed(contender.command(place), environment)]}
        if (found := _count(endpoint)) != files:
            raise SystemExit(f"{contender.name} stored {found} objects of {files}")
        if contender.unchanged:
            runs[_UNCHANGED] = [_timed(contender.command(place), environment) for _ in range(_LOOKS)]
    return runs


def _environment(contender: Contender, place: Place) -> dict[str, str]:
    config = place.scratch / "aws-config"
    if contender.requests is not None:
        config.write_text(f"[default]\ns3 =\n  max_concurrent_requests = {contender.requests}\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(place.scratch),
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(config),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _timed(command: list[str], environment: dict[str, str]) -> Run:
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read().decode(errors='replace')}")
    return Run(seconds, usage.ru_utime + usage.ru_stime)


@contextmanager
def _server(latency: float) -> Iterator[str]:
    """Start the lean S3, empty, and yield its address."""
    script = Path(__file__).with_name("lean_s3.py")
    command = [sys.executable, str(script), "--lean", "--discard", ".jpg", "--latency-ms", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def _count(endpoint: str) -> int:
    """Return how many images the server has."""
    found, after = 0, ""
    while True:
        address = f"{endpoint}/{BUCKET}?list-type=2&encoding-type=url&start-after={after}"
        with urllib.request.urlopen(address) as answer:
            page: str = answer.read().decode()
        keys = [part.partition("</Key>")[0] for part in page.split("<Key>")[1:]]
        found += sum(key.endswith(".jpg") for key in keys)
        if "<IsTruncated>true" not in page:
            return found
        after = keys[-1]


def _table(results: Results, case: Case, contenders: Sequence[Contender], files: int) -> Iterator[str]:
    latency, state = case
    yield f"| {latency:g} ms, {state} | seconds | files/s | against {REFERENCE} | processor seconds |"
    yield "|---|---|---|---|---|"
    reference = _median(results, case, REFERENCE)
    for contender in contenders:
        if not (runs := results.get((case, contender.name))):
            yield f"| {contender.name} | sends all again | | | |"
            continue
        seconds = statistics.median(run.seconds for run in runs)
        cpu = statistics.median(run.cpu_seconds for run in runs)
        ratio = f"{reference / seconds:.1f} x" if reference else ""
        yield f"| {contender.name} | {seconds:.2f} | {files / seconds:,.0f} | {ratio} | {cpu:.2f} |"


def _goals(results: Results, latencies: Sequence[float]) -> Iterator[str]:
    for latency in latencies:
        for state, times in _TIMES_REFERENCE.items():
            case = (latency, state)
            ours = _median(results, case, OURS)
            if ours is None:
                continue
            for name, wanted in ((REFERENCE, times), *((rival, 1.0) for rival in RIVALS)):
                if other := _median(results, case, name):
                    verdict = "met" if other / ours >= wanted else "NOT MET"
                    yield (
                        f"{latency:g} ms, {state}: {other / ours:.2f} x {name}, goal {wanted:g} x: {verdict}"
                    )


def _median(results: Results, case: Case, name: str) -> float | None:
    runs = results.get((case, name))
    return statistics.median(run.seconds for run in runs) if runs else None


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
