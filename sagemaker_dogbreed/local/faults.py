"""The errors a caller sees, with the codes AWS uses."""

from __future__ import annotations

from typing import Any


class ServiceFault(Exception):  # noqa: N818 - the service's word; it becomes a ClientError
    """An answer that is an error; botocore turns it into a ``ClientError``.

    ``members`` are further members of the error's shape (``OriginalStatusCode``, say).
    """

    def __init__(self, code: str, message: str, *, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members


def invalid(message: str) -> ServiceFault:
    """Return the error for a request that SageMaker does not accept."""
    return ServiceFault("ValidationException", message)


def in_use(message: str) -> ServiceFault:
    """Return the error for a name that is taken, or a resource that is busy."""
    return ServiceFault("ResourceInUse", message)
