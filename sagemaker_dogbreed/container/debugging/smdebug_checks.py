"""Whether smdebug works here and does what it is asked to; standard library only, as specs ask it too."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Mapping

_NEEDED = {
    "smdebug": "==1.0.34",
    "numpy": "<2.3",
    "protobuf": "==3.20.3",
    "pyinstrument": "==3.4.2",
    "pandas": "",
    "psutil": "",
    "requests": "",
}
if sys.version_info >= (3, 12):
    _NEEDED["setuptools"] = "<81"  # it has the distutils that Python no longer has

PINS = " ".join(f"'{package}{wanted}'" for package, wanted in _NEEDED.items())
"""What smdebug works with, as pip takes it."""

# Names of smdebug's collections that say themselves what is in them, and parameters of any.
_BUILTIN = {"all", "biases", "default", "gradients", "losses", "weights"}
_STEPS = re.compile(r"((train|eval|predict|global)\.)?(save_interval|start_step|end_step|save_steps)")
_NUMBER = re.compile(r"[0-9]{1,9}")
_REDUCTION = re.compile(r"(abs_)?(min|max|mean|std|variance|sum|prod|l1_norm|l2_norm)")


class SmdebugError(Exception):
    """smdebug cannot be used here, or not as it is asked to; the message names the way out."""


def check_installed() -> None:
    """Check that smdebug is installed with versions of other packages that it works with; imports nothing.

    Raises:
        SmdebugError: It is not.
    """
    wrong = []
    for package, wanted in _NEEDED.items():
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{package} is not installed")
            continue
        if not _fits(found, wanted):
            wrong.append(f"{package} {found} does not fit")
    if wrong:
        raise SmdebugError(
            f"hook: smdebug does not work here, for {'; '.join(wrong)}. It needs {PINS}: "
            "pip install 'sagemaker-dogbreed[debugger]', or use hook: native"
        )


def check_collections(collections: Mapping[str, Mapping[str, str]]) -> None:
    """Check names and parameters of collections, which smdebug passes over where it does not know them.

    https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-configure-tensor-collections.html

    >>> check_collections({"gradients": {"train.save_interval": "10"}, "losses": {}})

    Raises:
        SmdebugError: A parameter does not exist or has an unusable value, or a collection would be empty.
    """
    for name, parameters in collections.items():
        if name not in _BUILTIN and "include_regex" not in parameters:
            known = ", ".join(sorted(_BUILTIN))
            raise SmdebugError(
                f"collections.{name}: smdebug's own collections are {known}; another one needs include_regex"
            )
        for key, value in parameters.items():
            if not _acceptable(key, value):
                raise SmdebugError(
                    f"collections.{name}.{key}: {value!r} is not acceptable. There are save_interval, "
                    "start_step, end_step (whole numbers), save_steps (with commas), all four for one mode "
                    "too (train.save_interval), reductions (min, abs_mean, l2_norm, ... with commas), "
                    "include_regex and save_histogram (true or false); all are texts"
                )


def _fits(version: str, wanted: str) -> bool:
    if wanted.startswith("<"):
        return _numbers(version) < _numbers(wanted)
    return not wanted or wanted == f"=={version}"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _acceptable(key: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    if found := _STEPS.fullmatch(key):
        steps = value.split(",") if found[3] == "save_steps" else [value]
        least = 1 if found[3] == "save_interval" else 0
        return all(_NUMBER.fullmatch(step.strip()) and int(step) >= least for step in steps)
    if key == "reductions":
        return all(_REDUCTION.fullmatch(each.strip()) for each in value.split(","))
    if key == "save_histogram":
        return value.lower() in {"true", "false"}
    if key == "include_regex":
        return all(map(_compiles, value.split(",")))
    return False


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern.strip())
    except re.error:
        return False
    return bool(pattern.strip())
