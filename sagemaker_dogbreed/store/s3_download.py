"""Objects on their way to this machine: in parallel, verified, and there whole or not at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.interface import StoredObject
from sagemaker_dogbreed.store.s3_errors import store_error
from sagemaker_dogbreed.store.s3_upload import PART_SIZE, checksum_of_parts
from sagemaker_dogbreed.store.transfer import Budget, for_each

if TYPE_CHECKING:
    import obstore.store

_PARTS_IN_FLIGHT = 16
_ATTEMPTS = 3
_CHUNK = 1 << 20


class Download:
    """One bucket as a source.

    An object comes in parts, all of the version that was listed. Its MD5 is compared with the etag;
    where the etag is none (KMS, multipart), the checksum that S3 keeps is asked for and compared.
    """

    def __init__(self, bucket: obstore.store.S3Store, name: str, client: Any, budget: Budget) -> None:
        self._bucket, self._name, self._budget = bucket, name, budget
        self._client = client  # a function that returns boto3's client: it is seldom needed, and slow to make

    async def get(self, found: StoredObject, key: str, destination: Path) -> None:
        """Write an object to a file, which appears in one step.

        Raises:
            StoreError: The object cannot be read or was damaged on the way, or the file cannot be written.
        """
        partial = destination.with_name(f".{uuid.uuid4().hex}.part")
        try:
            try:
                destination.parent.mkdir(parents=True, exist_ok=True)
                for attempt in range(1, _ATTEMPTS + 1):
                    await self._fetch(found, key, partial)
                    complaint = await asyncio.to_thread(self._complaint, found, key, partial)
                    if not complaint:
                        break
                    if attempt == _ATTEMPTS:
                        raise StoreError(
                            f"cannot read {found.uri}: it arrived damaged each time: {complaint}"
                        )
                partial.replace(destination)
            finally:
                partial.unlink(missing_ok=True)
        except StoreError:
            raise
        except OSError as error:
            if error.errno is not None:
                raise StoreError(f"cannot write {found.uri} to {destination}: {error.strerror}") from error
            raise store_error(error, f"read {found.uri}", "s3:GetObject") from error
        except Exception as error:
            raise store_error(error, f"read {found.uri}", "s3:GetObject") from error

    async def _fetch(self, found: StoredObject, key: str, partial: Path) -> None:
        file = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
        try:

            async def fetch(start: int) -> None:
                end = min(start + PART_SIZE, found.size)
                async with self._budget.lend(end - start):
                    content = await self._part(found, key, start, end)
                    await asyncio.to_thread(_write, file, content, start)

            await for_each(range(0, found.size, PART_SIZE), fetch, in_flight=_PARTS_IN_FLIGHT)
        finally:
            os.close(file)

    async def _part(self, found: StoredObject, key: str, start: int, end: int) -> Any:
        import obstore
        from obstore.exceptions import GenericError

        options: Any = {"if_match": f'"{found.etag}"'} if found.etag else {}
        if end - start < found.size:
            options["range"] = (start, end)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = await obstore.get_async(self._bucket, key, options=options)
                return await answer.bytes_async()
            except GenericError:  # a connection that broke in the middle of the body
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _complaint(self, found: StoredObject, key: str, path: Path) -> str:
        """Return how a file differs from the object; empty if it does not."""
        size = path.stat().st_size
        if size != found.size:
            return f"{size} bytes instead of {found.size}"
        if re.fullmatch(r"[0-9a-f]{32}", found.etag):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            if digest.hexdigest() == found.etag:
                return ""
        return self._complaint_of_checksum(found, key, path)

    def _complaint_of_checksum(self, found: StoredObject, key: str, path: Path) -> str:
        told = self._client().head_object(Bucket=self._name, Key=key, ChecksumMode="ENABLED")
        composite = told.get("ChecksumType") == "COMPOSITE" or "-" in found.etag
        if checksum := told.get("ChecksumSHA256"):
            part_size = found.size or 1
            if composite:
                first = self._client().head_object(Bucket=self._name, Key=key, PartNumber=1)
                part_size = max(first["ContentLength"], 1)
                actual = checksum_of_parts(path, part_size)
            else:
                with path.open("rb") as file:
                    actual = base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()
            return "" if actual == checksum.partition("-")[0] else "its SHA-256 is another"
        if (checksum := told.get("ChecksumCRC32")) and not composite:
            return "" if _crc32(path) == checksum else "its CRC-32 is another"
        if re.fullmatch(r"[0-9a-f]{32}", found.etag) and told.get("ServerSideEncryption") in (None, "AES256"):
            return "its MD5 is another"
        return ""


def _write(file: int, content: Any, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _crc32(path: Path) -> str:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return base64.b64encode(value.to_bytes(4, "big")).decode()
