"""Files on their way to a bucket, each verified by a checksum that S3 compares with what arrived."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.interface import StoredObject
from sagemaker_dogbreed.store.s3_errors import DAMAGED, error_code, store_error
from sagemaker_dogbreed.store.transfer import Budget

if TYPE_CHECKING:
    import obstore.store

PART_SIZE = 8 << 20
"""Bytes of a part; files longer than one are sent in parts."""

_PARTS_IN_FLIGHT = 8
_MOST_PARTS = 10_000
_TIMES_DAMAGED = 3


class Upload:
    """One bucket as a destination.

    A file of one part is one request, whose SHA-256 S3 checks before there is an object. Of a longer
    file S3 checks each part so, and puts them together only when all are there; S3 then tells the
    checksum over all parts' checksums, which is compared with that of the file on this machine.
    """

    def __init__(self, bucket: obstore.store.S3Store, name: str, client: Any, budget: Budget) -> None:
        self._bucket, self._name, self._budget = bucket, name, budget
        self._client = client  # a function that returns boto3's client: it is seldom needed, and slow to make

    async def put(self, source: Path, key: str) -> StoredObject:
        """Store a file as an object.

        Raises:
            StoreError: The file cannot be read, or the object cannot be stored.
        """
        uri = f"s3://{self._name}/{key}"
        try:
            size = os.stat(source).st_size  # noqa: PTH116  # half the time of Path.stat, for each of many
            if size > PART_SIZE:
                return await self._put_parts(source, key, size)
            async with self._budget.lend(size):
                return StoredObject(uri, size, await self._put_whole(source, key))
        except StoreError:
            raise
        except OSError as error:
            if isinstance(error, FileNotFoundError) and error_code(error):  # obstore's, for a missing bucket
                raise store_error(error, f"store {source} as {uri}", "s3:PutObject") from error
            raise StoreError(f"cannot store {source} as {uri}: {error.strerror or error}") from error
        except Exception as error:
            raise store_error(error, f"store {source} as {uri}", "s3:PutObject") from error

    async def _put_whole(self, source: Path, key: str) -> str:
        import obstore

        for attempt in range(1, _TIMES_DAMAGED + 1):
            try:
                # obstore reads the file itself, outside of Python's lock.
                result = await obstore.put_async(self._bucket, key, source, use_multipart=False)
            except Exception as error:
                if error_code(error) not in DAMAGED or attempt == _TIMES_DAMAGED:
                    raise
            else:
                return (result["e_tag"] or "").strip('"')
        raise AssertionError("unreachable")

    async def _put_parts(self, source: Path, key: str, size: int) -> StoredObject:
        import asyncio

        import obstore

        part_size = max(PART_SIZE, -(-size // _MOST_PARTS))
        async with self._budget.lend(part_size * _PARTS_IN_FLIGHT):
            result = await obstore.put_async(
                self._bucket,
                key,
                source,
                use_multipart=True,
                chunk_size=part_size,
                max_concurrency=_PARTS_IN_FLIGHT,
            )
        await asyncio.to_thread(self._check_parts, source, key, size, part_size)
        return StoredObject(f"s3://{self._name}/{key}", size, (result["e_tag"] or "").strip('"'))

    def _check_parts(self, source: Path, key: str, size: int, part_size: int) -> None:
        """Raise StoreError unless the object is this file, whole and in order."""
        told = self._client().head_object(Bucket=self._name, Key=key, ChecksumMode="ENABLED")
        checksum = told.get("ChecksumSHA256", "").partition("-")[0]
        if told["ContentLength"] == size and checksum in ("", checksum_of_parts(source, part_size)):
            return
        self._client().delete_object(Bucket=self._name, Key=key)
        raise StoreError(
            f"cannot store {source} as s3://{self._name}/{key}: what arrived is not what the file holds, so "
            "it was deleted again; the file may have changed meanwhile. Repeat the call"
        )


def checksum_of_parts(path: Path, part_size: int) -> str:
    """Return what S3 calls a composite checksum: the SHA-256, in base64, over the parts' SHA-256s.

    Source: "Checking object integrity" in the S3 user guide.
    """
    parts = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(part_size):
            parts.update(hashlib.sha256(part).digest())
    return base64.b64encode(parts.digest()).decode()
