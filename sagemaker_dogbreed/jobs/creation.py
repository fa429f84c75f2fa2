"""Sends a request that creates a resource, once and for all, whatever becomes of its answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sagemaker_dogbreed.jobs.trouble import AWS_ERRORS, details, kind_of, may_have_arrived

ROLE_PAUSES = (2.0, 4.0, 8.0, 15.0, 15.0, 16.0)
"""Seconds between tries while a role that was just made is not known everywhere: a minute in all."""

_UNKNOWN_ROLE = re.compile(
    r"[Cc]ould not assume role|[Uu]nable to assume role|cannot be assumed|not valid for the role"
)


def create(
    send: Callable[..., Any],
    request: Mapping[str, Any],
    exists: Callable[[], bool],
    sleep: Callable[[float], None],
) -> None:
    """Create a resource.

    Args:
        send: The call that creates it.
        request: Its parameters.
        exists: Whether there is a resource as the request describes it; asked where the answer was lost.
        sleep: Waits some seconds.

    Raises:
        ClientError: AWS refused; other errors of botocore likewise.
    """
    for pause in (*ROLE_PAUSES, None):
        try:
            send(**request)
            return
        except AWS_ERRORS as error:
            if may_have_arrived(error) and _is_there(exists, error):
                return
            is_new_role = _UNKNOWN_ROLE.search(details(error)[1]) and kind_of(error) in ("refused", "denied")
            if pause is None or not is_new_role:
                raise
        sleep(pause)


def _is_there(exists: Callable[[], bool], error: Exception) -> bool:
    try:
        return exists()
    except AWS_ERRORS:
        if kind_of(error) in ("connection", "busy"):
            error.add_note("Whether the request was carried out cannot be told, for AWS cannot be asked.")
        return False
