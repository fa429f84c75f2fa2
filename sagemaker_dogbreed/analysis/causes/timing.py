"""Causes in how time is spread: over the job, over steps, over processes."""

from __future__ import annotations

from sagemaker_dogbreed.analysis.causes.amounts import percent, seconds
from sagemaker_dogbreed.analysis.causes.case import FEW_BATCHES, Case
from sagemaker_dogbreed.analysis.causes.cause import Cause
from sagemaker_dogbreed.analysis.quantiles import median, usable

_LONG_SECONDS = 20 * 60  # as AWS's rule MaxInitializationTime has it
_WORTH_SECONDS = 5 * 60
_APART = 1.5  # times the fastest process's time


def initialization(case: Case) -> Cause | None:
    """Find that it takes long until training begins."""
    spent, whole = case.profile.initialization_seconds, case.profile.seconds
    share = spent / whole if spent is not None and whole else 0.0
    long = spent is not None and (spent > _LONG_SECONDS or (spent > _WORTH_SECONDS and share > 0.5))
    if not long and not case.found("MaxInitializationTime"):
        return None
    evidence = list(case.quotes("MaxInitializationTime"))
    if spent is not None:
        of_all = f", {percent(share)} of the job" if share else ""
        evidence.append(f"The first batch came after {seconds(spent)}{of_all}.")
    copied = case.settings.get("input_mode", "File") == "File" and not case.local
    return Cause(
        name="initialization",
        title="It takes long until training begins",
        explanation="Before the first step the data are copied and the model is made."
        + (" FastFile streams images while they are needed." if copied else ""),
        evidence=tuple(evidence),
        change={"input_mode": ("File", "FastFile")} if copied else {},
        advice=()
        if case.local
        else ("For many jobs in a row: compute.keep_alive_seconds keeps the instances.",),
        severity=min(1.0, max(share, 0.2)),
        explains=("MaxInitializationTime", "LowGPUUtilization", "gpu_idle"),
    )


def step_outliers(case: Case) -> Cause | None:
    """Find that some steps take far longer than others, and what they spend the time on."""
    if not case.found("StepOutlier"):
        return None
    batches = case.profile.batches.get("train")
    evidence = list(case.quotes("StepOutlier"))
    slow: list[dict[str, float]] = []
    if batches is not None and batches.seconds.maximum is not None:
        usual = batches.seconds.median
        evidence.append(
            f"A step takes {seconds(usual)} at the median, {seconds(batches.seconds.maximum)} at most."
        )
        slow = [
            dict(each.parts)
            for each in case.history.phases
            if each.mode == "train" and each.total > 5 * usual
        ]
    sums = {
        name: sum(parts[name] for parts in slow if usable(parts.get(name)))
        for name in sorted({name for parts in slow for name in parts})
    }
    advice = ["Look at what happens at those steps: checkpoints, evaluation, other processes on the machine."]
    if sums and sum(sums.values()) > 0:
        phase, most = max(sums.items(), key=lambda pair: pair[1])
        evidence.append(f"{percent(most / sum(sums.values()))} of the slow steps' time is in {phase}.")
        if phase == "data":
            advice = ["Slow steps wait for their images: look for a few huge ones, and raise num_workers."]
    return Cause(
        name="step_outliers",
        title="Some steps take far longer than the others",
        explanation="The rest of the training waits for them.",
        evidence=tuple(evidence),
        advice=tuple(advice),
        severity=0.2,
        explains=("StepOutlier",),
    )


def load_imbalance(case: Case) -> Cause | None:
    """Find that one of several processes keeps the others waiting."""
    nodes = case.profile.nodes
    slowest = max(nodes, key=lambda node: nodes[node], default="")
    usual = median(value for node, value in nodes.items() if node != slowest)
    counts = [each.count for name, each in case.profile.batches.items() if name == "train"]
    apart = bool(usual) and nodes[slowest] > _APART * (usual or 0) and sum(counts) >= FEW_BATCHES * len(nodes)
    if not apart and not case.found("LoadBalancing"):
        return None
    evidence = list(case.quotes("LoadBalancing"))
    lost = 0.3
    if apart and usual:
        lost = 1 - usual / nodes[slowest]
        evidence.append(
            f"{slowest} has its batch ready to learn from after {seconds(nodes[slowest])}, the others after "
            f"{seconds(usual)} on average."
        )
    return Cause(
        name="load_imbalance",
        title="One process keeps the others waiting",
        explanation="Processes that train together wait for the slowest of them at each step.",
        evidence=tuple(evidence),
        advice=(
            "Give all processes the same: instances of one type, equal shares of the images.",
            "Look for other work on the machine of the slow one.",
        ),
        severity=lost,
        explains=("LoadBalancing", "LowGPUUtilization", "gpu_idle"),
    )
