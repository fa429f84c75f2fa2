"""Names and numbers as they are written in figures."""

from __future__ import annotations

_UNITS = ((1, "s"), (60, "min"), (3600, "h"))


def plain(text: str, longest: int = 26) -> str:
    r"""Return any text as matplotlib can draw it: no formulas, no control characters, not too long.

    >>> print(plain("a$b$"), plain("a very long name of a breed", 12))
    a\$b\$ a very long…
    """
    printable = "".join(letter if letter.isprintable() else "\ufffd" for letter in text[: longest + 1])
    shortened = printable if len(printable) <= longest else f"{printable[: longest - 1]}…"
    return shortened.replace("$", r"\$")


def time_unit(seconds: float) -> tuple[int, str]:
    """Return the seconds of the unit in which a time of such a length is best read, and its sign.

    >>> time_unit(90), time_unit(1000)
    ((1, 's'), (60, 'min'))
    """
    return next((unit for unit in reversed(_UNITS) if seconds >= 3 * unit[0]), _UNITS[0])


def seconds_text(seconds: float) -> str:
    """Return a time in words as short as they are clear.

    >>> seconds_text(0.00312), seconds_text(4.25), seconds_text(200), seconds_text(7260)
    ('3.12 ms', '4.25 s', '3 min 20 s', '2 h 1 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def bytes_text(amount: float) -> str:
    """Return an amount of bytes in decimal units.

    >>> bytes_text(0), bytes_text(1_500_000)
    ('0 B', '1.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if abs(amount) < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"
