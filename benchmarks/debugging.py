"""Times trainings that are watched: by the library's recorder and profiler, by smdebug's hook, by nothing.

Two trainings: a head on cached features, whose steps take a millisecond or two, and a whole ResNet18 on small
images. Each is the library's own loop in a process of its own; the ways take turns, forwards and backwards,
and are compared round by round. What ``nothing, again`` differs by is the noise, which on a shared machine is
more than the recorder and the profiler cost. So the time that is spent in their calls is taken as well, less
what the same calls take where nothing watches, with the share of a core that measuring the machine takes; the
goals are judged by that.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from debugging_loop import HEAD, NETWORKS, WAYS
from training_contenders import script
from training_costs import environment, tell, verdict
from whole_process import run

_STEPS = {HEAD: 1000}  # of an epoch
_OTHER_STEPS = 100  # so many as from one recording of tensors to the next
_MUCH = "smdebug: losses, weights, gradients"  # leaves 100 MB a step: a tenth of the steps will do
_BASE = "nothing"
# The goals: the most that a step may take longer, as a share of a step that nothing watches.
_GOALS = {"recorder": 0.03, "profiler": 0.02}


class Step(NamedTuple):
    """What a step takes: seconds, seconds of processor time, seconds in the watcher, and bytes recorded."""

    seconds: float
    core_seconds: float
    watching: float
    sampling: float
    size: float


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--look", action="store_true", help="few steps and one round, for a look only")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="that torch computes with; default: one a core")
    parser.add_argument("--network", action="append", choices=sorted(NETWORKS))
    parser.add_argument("--way", action="append", choices=[way for way in WAYS if way != _BASE])
    options = parser.parse_args(argv)
    rounds = 1 if options.look else options.rounds
    ways = [_BASE, *(options.way or [way for way in WAYS if way != _BASE])]
    print(f"{os.cpu_count()} cores, {platform.platform()}; {rounds} rounds, medians\n")
    goals: list[str] = []
    for network in options.network or NETWORKS:
        steps = _STEPS.get(network, _OTHER_STEPS)
        variables = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
        of_epoch = steps // 10 if options.look else steps
        goals += _network(network, ways, of_epoch, rounds, environment(variables))
    print("\n".join(goals))


def _network(
    network: str, ways: Sequence[str], steps: int, rounds: int, variables: Mapping[str, str]
) -> Iterator[str]:
    """Measure all ways, print their table, and yield the goals with their verdicts."""
    measured: dict[str, list[Step]] = defaultdict(list)
    losses: dict[str, list[float]] = {}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            tell(f"{network}, {way}, round {number + 1} of {rounds}")
            of_epoch = max(2, steps // 10) if way == _MUCH else steps
            command = script("debugging_loop.py", network, way, "--steps", of_epoch)
            told = run(command, variables).told
            count = told["steps"]
            measured[way].append(
                Step(
                    told["seconds"] / count,
                    told["core_seconds"] / count,
                    told["watching_seconds"],
                    told["sampling_share"],
                    told["bytes_a_step"],
                )
            )
            losses[way] = told["losses"]
    wanted = NETWORKS[network]
    print(f"| {wanted.backbone}, finetune: {wanted.finetune}, batch of {wanted.batch_size}", end="")
    print(" | ms a step | core-ms a step | time | core time | spent watching | recorded a step |")
    print("|---|---|---|---|---|---|---|")
    for way in ways:
        step = Step(*(statistics.median(values) for values in zip(*measured[way], strict=True)))
        time, core_time = _more(measured, way)
        print(
            f"| {way} | {1000 * step.seconds:.3f} | {1000 * step.core_seconds:.3f} | {time:+.1%} | "
            f"{core_time:+.1%} | {_watching(measured, way):.1%} | {step.size / 1000:,.1f} kB |"
        )
    print()
    for way, goal in _GOALS.items():
        if way in measured:
            share = _watching(measured, way)
            line = f"{network}, {way}: {share:.1%} of a step spent watching, goal at most {goal:.0%}"
            yield verdict(line, met=share <= goal)
    same = all(found == losses[_BASE] for way, found in losses.items() if way != _MUCH)
    yield verdict(f"{network}: losses are the same to the last bit, watched or not", met=same)


def _watching(measured: dict[str, list[Step]], way: str) -> float:
    """Return the share of a step, as it is where nothing watches, that is spent watching."""
    pairs = zip(measured[way], measured[_BASE], strict=True)
    return statistics.median(
        (step.watching - base.watching) / base.seconds + step.sampling for step, base in pairs
    )


def _more(measured: dict[str, list[Step]], way: str) -> tuple[float, float]:
    """Return by which share a step takes longer than with nothing, in time and in processor time."""
    pairs = list(zip(measured[way], measured[_BASE], strict=True))
    time = statistics.median(step.seconds / base.seconds for step, base in pairs) - 1
    core_time = statistics.median(step.core_seconds / base.core_seconds for step, base in pairs) - 1
    return time, core_time


if __name__ == "__main__":
    main()
