"""Fields that jobs and endpoints share: environment, tags, keys."""

from __future__ import annotations

import re
from typing import Any

from sagemaker_dogbreed.errors import SpecError
from sagemaker_dogbreed.specs.validation import text, text_mapping

TAG_PREFIX = "sagemaker-dogbreed:"
"""Tags of this library's own begin so."""

_MOST_ENTRIES = 40
"""SageMaker takes 50 tags and 100 variables; the library adds its own."""

_TAG = re.compile(r"[\w .:/=+\-@]*")


def environment(help_text: str) -> Any:
    """Return an attrs field for environment variables of a container, none by default."""
    return text_mapping(help_text, _environment_entry, most=_MOST_ENTRIES)


def tags(help_text: str) -> Any:
    """Return an attrs field for tags, none by default."""
    return text_mapping(help_text, _tag, most=_MOST_ENTRIES)


def kms_key(help_text: str) -> Any:
    """Return an attrs field for a KMS key, None by default."""
    return text(help_text, default=None, pattern=r"[a-zA-Z0-9:/_-]{1,2048}", example="alias/my-key")


def framework_version(default: str, help_text: str) -> Any:
    """Return an attrs field for a version of PyTorch."""
    return text(help_text, default=default, pattern=r"\d{1,2}\.\d{1,2}(\.\d{1,2})?", example=default)


def image_uri(help_text: str) -> Any:
    """Return an attrs field for a container image, None by default."""
    return text(
        help_text,
        default=None,
        pattern=r"\S{1,255}",
        example="123456789012.dkr.ecr.us-east-1.amazonaws.com/my-image:1",
    )


def _environment_entry(field: str, key: str, value: str) -> None:
    """Refuse environment variables that SageMaker would refuse, or that break its containers."""
    if len(key) > 512 or len(value) > 512 or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", key):
        raise SpecError(
            f"{field}: {key!r} must be letters, digits and underscores, name and value at most 512 characters"
        )
    if "\0" in value:
        raise SpecError(f"{field}: the value of {key!r} must not hold NUL characters")
    if key.startswith(("SM_", "SAGEMAKER_", "AWS_")):
        raise SpecError(f"{field}: {key!r} is a name that SageMaker sets itself; choose another")


def _tag(field: str, key: str, value: str) -> None:
    """Refuse tags that SageMaker would refuse, and ones that pass for the library's own."""
    for part, longest in ((key, 128), (value, 256)):
        if len(part) > longest or not _TAG.fullmatch(part) or "\n" in part:
            raise SpecError(
                f"{field}: {part!r} must be letters, digits, spaces and . : / = + - @ _, "
                f"at most {longest} characters"
            )
    if not key or key.lower().startswith(("aws:", TAG_PREFIX)):
        raise SpecError(f"{field}: {key!r} is not a name for a tag: it is empty, or reserved; choose another")
