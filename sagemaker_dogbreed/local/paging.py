"""Lists in pages: each page begins behind the last item of the one before, whatever came in between."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sagemaker_dogbreed.local.faults import ServiceFault, invalid
from sagemaker_dogbreed.local.workspace import Parameters

Item = TypeVar("Item")
Key = Sequence[Any]

_DEFAULT_PAGE = 10


def page(
    items: Iterable[Item],
    key: Callable[[Item], Key],
    token: str | None,
    limit: int,
    *,
    descending: bool = False,
) -> tuple[list[Item], str | None]:
    """Return the page behind ``token`` and the next page's token, None on the last page.

    Keys are sequences of texts and numbers, different for every item.

    Raises:
        ServiceFault: The token is none that this function made.
    """
    ordered = sorted(items, key=lambda item: list(key(item)), reverse=descending)
    if token:
        last = _decode(token)
        try:
            ordered = [
                item for item in ordered if (list(key(item)) < last if descending else list(key(item)) > last)
            ]
        except TypeError:
            raise _bad_token() from None
    found = ordered[:limit]
    return found, _encode(key(found[-1])) if len(ordered) > limit else None


def summaries(
    descriptions: Iterable[dict[str, Any]],
    parameters: Parameters,
    *,
    name: str,
    status: str | None = None,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Filter, sort and page descriptions as SageMaker's List operations do.

    Args:
        descriptions: What Describe answers, of each resource.
        parameters: The List operation's own.
        name: The member that holds the name.
        status: The member that holds the status, where the resource has one.

    Returns:
        The page's descriptions, and the answer's ``NextToken`` where there is another page.
    """

    def wanted(item: dict[str, Any]) -> bool:
        created, modified = item["CreationTime"], item.get("LastModifiedTime", item["CreationTime"])
        return (
            parameters.get("NameContains", "") in item[name]
            and (status is None or parameters.get("StatusEquals") in {None, item[status]})
            and created > parameters.get("CreationTimeAfter", float("-inf"))
            and created < parameters.get("CreationTimeBefore", float("inf"))
            and modified > parameters.get("LastModifiedTimeAfter", float("-inf"))
            and modified < parameters.get("LastModifiedTimeBefore", float("inf"))
        )

    def key(item: dict[str, Any]) -> Key:
        by = parameters.get("SortBy", "CreationTime")
        first = {"Name": item[name], "Status": item[status] if status else ""}.get(by, item["CreationTime"])
        return first, item[name]

    found, token = page(
        filter(wanted, descriptions),
        key,
        parameters.get("NextToken"),
        parameters.get("MaxResults", _DEFAULT_PAGE),
        descending=parameters.get("SortOrder", "Descending") == "Descending",
    )
    return found, {"NextToken": token} if token else {}


def _encode(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode()


def _decode(token: str) -> list[Any]:
    try:
        key = json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        raise _bad_token() from None
    if not isinstance(key, list):
        raise _bad_token()
    return key


def _bad_token() -> ServiceFault:
    return invalid("The pagination token is not valid; use the one of the last answer")
