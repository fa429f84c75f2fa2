"""Tells SageMaker's "there is no such resource" from its other errors."""

from __future__ import annotations

from botocore.exceptions import ClientError


def is_missing(error: ClientError) -> bool:
    """Whether an error says that the resource does not exist."""
    details = error.response["Error"]
    if details["Code"] in ("ResourceNotFound", "ResourceNotFoundException"):
        return True
    # Describe and delete calls have no code of their own for it.
    return details["Code"] == "ValidationException" and (
        "could not find" in details["Message"].lower() or "not found" in details["Message"].lower()
    )
