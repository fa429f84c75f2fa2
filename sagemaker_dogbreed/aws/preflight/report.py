"""What was checked before spending, and how it came out."""

from __future__ import annotations

import attrs

from sagemaker_dogbreed.errors import PreflightError

OK, WARNING, ERROR, UNKNOWN = "ok", "warning", "error", "unknown"
_LONGEST = 600  # characters of a message on one line


@attrs.frozen
class Check:
    """One check: its name, ``ok``, ``warning``, ``error`` or ``unknown``, and what was found.

    ``unknown`` is what could not be looked at, for want of a permission say; it may be in order.
    """

    name: str
    status: str
    message: str

    def __str__(self) -> str:
        message = " ".join(self.message.split())
        shown = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
        return f"{self.status:8} {self.name}: {shown}"


@attrs.frozen
class PreflightReport:
    """All checks, in the order they were made; printing it shows a line for each."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether no check found an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Check, ...]:
        """The checks that found an error."""
        return tuple(check for check in self.checks if check.status == ERROR)

    def __str__(self) -> str:
        return "\n".join(map(str, self.checks))

    def raise_for_errors(self) -> None:
        """Do nothing where all is well.

        Raises:
            PreflightError: A check found an error; all of them are in the message.
        """
        if self.errors:
            lines = "".join(f"\n  {check.name}: {check.message}" for check in self.errors)
            count = f"{len(self.errors)} check" + ("s" if len(self.errors) != 1 else "")
            raise PreflightError(f"{count} failed, and nothing was submitted:{lines}", self)
