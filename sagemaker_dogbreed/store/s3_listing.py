"""The objects of a bucket: listed, and deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.interface import StoredObject
from sagemaker_dogbreed.store.location import parse_s3_uri
from sagemaker_dogbreed.store.s3_errors import error_code, store_error
from sagemaker_dogbreed.store.s3_ranges import list_ranges, range_ends
from sagemaker_dogbreed.store.transfer import for_each, run

if TYPE_CHECKING:
    import obstore.store

_HEADS_IN_FLIGHT = 64
_MOST_DELETED = 1000  # in one request


def list_objects(
    connected: obstore.store.S3Store,
    bucket: str,
    prefix: str,
    client: Callable[[], Any],
    expected: Iterable[str],
) -> list[StoredObject]:
    """Return the objects beneath a prefix, sorted by URI; ``expected`` are names it may have there.

    Raises:
        StoreError: They cannot be listed, or a key is one that no file name can stand for.
    """
    start = f"s3://{bucket}/"
    try:
        metas = list_ranges(connected, prefix or None, range_ends(bucket, prefix, expected))
    except Exception as error:
        if not error_code(error) and (uri := _unusable(client, bucket, prefix)):
            raise StoreError(
                f"cannot list {start}{prefix}: the key of {uri!r} has empty parts, '.' or '..' parts, or "
                "control characters; delete or rename it"
            ) from error
        raise store_error(error, f"list {start}{prefix}", "s3:ListBucket") from error
    told = [(start + meta["path"], meta["size"], (meta["e_tag"] or "").strip('"')) for meta in metas]
    found = [StoredObject(*item) for item in sorted(set(told))]
    if all(item.size for item in found):
        return found
    return _without_folder_markers(connected, found, start)


def delete_objects(client: Any, bucket: str, prefix: str, *, and_itself: bool) -> None:
    """Delete the objects beneath a prefix, and perhaps the one it names, whatever their keys are.

    Raises:
        StoreError: They cannot be listed or deleted.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    where = f"s3://{bucket}/{prefix}"
    try:
        keys = list(_keys(client, bucket, prefix))
        if prefix and and_itself:
            keys.append(prefix)
        for number in range(0, len(keys), _MOST_DELETED):
            objects = [{"Key": key} for key in keys[number : number + _MOST_DELETED]]
            answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            for failure in answer.get("Errors", ()):
                raise StoreError(
                    f"cannot delete s3://{bucket}/{failure.get('Key')}: {failure.get('Code')}: "
                    f"{failure.get('Message')}; deleting needs the permission s3:DeleteObject"
                )
    except (ClientError, BotoCoreError) as error:
        raise store_error(error, f"delete {where}", "s3:ListBucket and s3:DeleteObject") from error


def _keys(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"{prefix}/" if prefix else ""
    )
    for page in pages:
        for item in page.get("Contents", ()):
            yield item["Key"]


def _unusable(client: Callable[[], Any], bucket: str, prefix: str) -> str | None:
    """Return the first URI for which obstore may have given up a listing; boto3 lists any key."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        for key in _keys(client(), bucket, prefix):
            try:
                parse_s3_uri(f"s3://{bucket}/{key}")
            except StoreError:
                return f"s3://{bucket}/{key}"
    except (ClientError, BotoCoreError):
        pass  # the listing's own error is told
    return None


def _without_folder_markers(
    connected: obstore.store.S3Store, found: list[StoredObject], start: str
) -> list[StoredObject]:
    """Leave out the objects ``folder/`` that the S3 console makes: obstore lists them as ``folder``."""
    import obstore

    markers: set[StoredObject] = set()

    async def check(item: StoredObject) -> None:
        try:
            await obstore.head_async(connected, item.uri[len(start) :])
        except FileNotFoundError:
            markers.add(item)
        except Exception as error:
            raise store_error(error, f"read {item.uri}", "s3:GetObject") from error

    async def check_all() -> None:
        await for_each((item for item in found if not item.size), check, in_flight=_HEADS_IN_FLIGHT)

    run(check_all)
    return [item for item in found if item not in markers]
