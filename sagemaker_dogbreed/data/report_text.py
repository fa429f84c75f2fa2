"""An inspection report as plain text, at most 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sagemaker_dogbreed.container.metrics import SPLITS

if TYPE_CHECKING:
    from sagemaker_dogbreed.data.report import Finding, InspectionReport, Spread

WIDTH = 100
_EXAMPLES = 3
_ALL_CLASSES = 12  # up to this many are all shown, of more the largest and the smallest
_FEW_CLASSES = 5
_BAR = 40


def render(report: InspectionReport) -> str:
    """Return the report for a terminal: totals, splits, class balance, findings by kind."""
    errors, warnings = len(report.errors), len(report.warnings)
    totals = f"{report.image_count:,} images, {len(report.counts):,} classes, {_bytes(report.total_bytes)}"
    lines = [
        f"{printable(report.name)}: {totals}; {_count(errors, 'error')}, {_count(warnings, 'warning')}",
        *_splits(report),
        *_sizes(report),
        *_balance(report),
        *_findings(report),
    ]
    if report.left_out:
        lines += ["", f"{_count(len(report.left_out), 'file')} left out, being of no use for training"]
    return "\n".join(_cropped(line) for line in lines)


def finding_line(finding: Finding, root: Path) -> str:
    """Return a finding as one line, with its files relative to the data set's folder."""
    paths = [_relative(path, root) for path in finding.paths[:_EXAMPLES]]
    if len(finding.paths) > _EXAMPLES:
        paths.append("...")
    where = f"{', '.join(paths)}: " if paths else ""
    return printable(f"{where}{finding.message}")


def printable(text: str) -> str:
    """Return a text with control characters escaped, so that file names cannot steer a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _splits(report: InspectionReport) -> Iterator[str]:
    yield ""
    yield f"  {'split':<8}{'images':>10}{'classes':>10}"
    for split in SPLITS:
        counts = [splits.get(split, 0) for splits in report.counts.values()]
        yield f"  {split:<8}{sum(counts):>10,}{sum(map(bool, counts)):>10,}"


def _sizes(report: InspectionReport) -> Iterator[str]:
    def row(name: str, spread: Spread) -> str:
        return f"  {name:<8}{spread.minimum:>10,}{spread.median:>10,}{spread.maximum:>10,}"

    if report.width is not None and report.height is not None:
        yield ""
        yield f"  {'pixels':<8}{'min':>10}{'median':>10}{'max':>10}"
        yield row("width", report.width)
        yield row("height", report.height)


def _balance(report: InspectionReport) -> Iterator[str]:
    """Yield the number of training images of the classes, largest first."""
    sizes = sorted(
        ((splits.get("train", 0), name) for name, splits in report.counts.items()),
        key=lambda item: (-item[0], item[1]),
    )
    if not sizes:
        return
    yield ""
    yield "  training images by class"
    label_width = min(32, max(len(printable(name)) for _, name in sizes))
    shown: Sequence[tuple[int, str] | None] = sizes
    if len(sizes) > _ALL_CLASSES:
        shown = [*sizes[:_FEW_CLASSES], None, *sizes[-_FEW_CLASSES:]]
    largest = max(1, sizes[0][0])
    for item in shown:
        if item is None:
            yield f"    ... {len(sizes) - 2 * _FEW_CLASSES:,} classes in between ..."
            continue
        size, name = item
        bar = "#" * max(int(size > 0), round(_BAR * size / largest))
        yield f"    {_shortened(printable(name), label_width):<{label_width}} {size:>8,}  {bar}".rstrip()


def _findings(report: InspectionReport) -> Iterator[str]:
    for title, findings in (("errors", report.errors), ("warnings", report.warnings)):
        if findings:
            yield ""
            yield f"  {title}"
        for kind in dict.fromkeys(finding.kind for finding in findings):
            of_kind = [finding for finding in findings if finding.kind == kind]
            yield f"    {kind} ({len(of_kind):,})"
            if kind == "duplicate_across_splits" and report.leaked:
                yield from _wrapped(_leak(report))
            for finding in of_kind[:_EXAMPLES]:
                yield from _wrapped(finding_line(finding, report.root))
            if len(of_kind) > _EXAMPLES:
                yield f"      and {len(of_kind) - _EXAMPLES:,} more"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 10, break_on_hyphens=False
    )


def _leak(report: InspectionReport) -> str:
    measured = sum(splits.get(split, 0) for splits in report.counts.values() for split in ("valid", "test"))
    return (
        f"{report.leaked:,} of {measured:,} validation and test images are also in train: "
        "measured accuracy will be too good"
    )


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _bytes(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def _shortened(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    tail = (width - 3) // 2
    return f"{text[: width - 3 - tail]}...{text[len(text) - tail :]}"


def _cropped(line: str) -> str:
    return _shortened(line, WIDTH)
