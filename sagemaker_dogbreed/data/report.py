"""What the inspection of a data set found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from sagemaker_dogbreed.errors import InspectionError

_EXAMPLES = 5

ALWAYS_ERRORS = frozenset({"empty_split"})
"""Kinds that no setting makes acceptable: with an empty split there is nothing to train or measure with."""


@attrs.frozen(kw_only=True)
class Finding:
    """One thing the inspection found; ``kind`` is a key of ``CHECKS``, ``severity`` error or warning."""

    kind: str
    severity: str
    message: str
    paths: tuple[Path, ...] = ()


@attrs.frozen(kw_only=True)
class Spread:
    """Smallest, median and largest value of a measure."""

    minimum: int
    median: int
    maximum: int


@attrs.frozen(kw_only=True)
class InspectionReport:
    """The state of a data set; ``str()`` of it is meant for a terminal.

    ``counts`` maps class names to splits to numbers of usable images; ``left_out`` are the files in
    class folders that cannot be used; ``width`` and ``height`` are in pixels, None without images;
    ``leaked`` is the number of validation and test images that are training images as well.
    """

    name: str
    root: Path
    findings: tuple[Finding, ...]
    counts: Mapping[str, Mapping[str, int]]
    image_count: int
    total_bytes: int
    width: Spread | None
    height: Spread | None
    left_out: tuple[Path, ...]
    leaked: int = 0

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop the data set from being used."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that do not."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def raise_for_errors(self) -> None:
        """Do nothing if there are no errors.

        Raises:
            InspectionError: There are; the message lists the first of them and the way out.
        """
        if not self.errors:
            return
        from sagemaker_dogbreed.data.report_text import finding_line

        kinds = dict.fromkeys(finding.kind for finding in self.errors)
        lines = [f"  {finding_line(finding, self.root)}" for finding in self.errors[:_EXAMPLES]]
        if len(self.errors) > _EXAMPLES:
            lines.append(f"  and {len(self.errors) - _EXAMPLES} more")
        count = f"{len(self.errors)} error" + ("s" if len(self.errors) > 1 else "")
        acceptable = [kind for kind in kinds if kind not in ALWAYS_ERRORS]
        way_out = "Repair or remove what is listed (print the error's report for all of it)"
        if acceptable:
            what = "it" if len(acceptable) == len(kinds) else "the rest"
            listed = ", ".join(f"{kind}: warning" for kind in acceptable)
            way_out += (
                f", or accept {what} with checks: {{{listed}}}; files that cannot be used are then left out"
            )
        raise InspectionError(
            "\n".join([f"data set {self.name!r} has {count}:", *lines, way_out]),
            self,
        )

    def __str__(self) -> str:
        from sagemaker_dogbreed.data.report_text import render

        return render(self)
