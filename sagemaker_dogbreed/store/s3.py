"""Amazon S3 itself, with many requests in flight."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.errors import StoreError
from sagemaker_dogbreed.store.interface import Stored, StoredObject
from sagemaker_dogbreed.store.location import parse_s3_uri
from sagemaker_dogbreed.store.s3_connection import Connections
from sagemaker_dogbreed.store.s3_errors import store_error
from sagemaker_dogbreed.store.s3_listing import delete_objects, list_objects
from sagemaker_dogbreed.store.s3_upload import Upload
from sagemaker_dogbreed.store.transfer import Budget, for_each, run

if TYPE_CHECKING:
    from sagemaker_dogbreed.clients import Clients

_IN_FLIGHT = 64
_MOST_IN_FLIGHT = 256  # at a latency of 100 ms and more
_MEMORY = 256 << 20  # bytes of content under way at once


class S3Store:
    """Amazon S3, through obstore: requests are signed, sent and repeated outside of Python.

    What is uploaded is verified by S3 against its SHA-256, what is downloaded is verified here. An
    interruption ends a transfer at once and leaves whole objects and whole files only.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        kms_key: str | None = None,
        endpoint_url: str | None = None,
        max_attempts: int = 10,
    ) -> None:
        """Name the way to S3; nothing is sent yet.

        Args:
            clients: Where credentials, region and boto3's S3 client come from.
            kms_key: ARN or id of the KMS key new objects are encrypted with; default: as the bucket says.
            endpoint_url: Another endpoint than boto3 finds.
            max_attempts: How often a request is sent before a failing service is given up.
        """
        self._clients = clients
        self._connections = Connections(
            clients,
            kms_key=kms_key,
            endpoint_url=endpoint_url,
            max_attempts=max_attempts,
        )

    def __repr__(self) -> str:
        return "S3Store()"

    def check_writable(self) -> None:
        """Make sure that there are credentials; which bucket is meant is not known here.

        Raises:
            StoreError: There are none, or they cannot be renewed.
        """
        self._connections.credentials()

    def put_file(self, source: Path, uri: str) -> StoredObject:
        """Store a file as an object, verified by its checksum.

        Raises:
            StoreError: The file cannot be read, or the object cannot be stored; with the reason.
        """
        bucket, key = _object(uri)
        connected = self._connections.bucket(bucket)

        async def put() -> StoredObject:
            return await Upload(connected, bucket, self._client, Budget(_MEMORY)).put(Path(source), key)

        return run(put)

    def put_tree(
        self, files: Iterable[tuple[str, Path]], prefix_uri: str, stored: Stored | None = None
    ) -> None:
        """Store files beneath a prefix, many at a time; each comes with its relative name.

        Raises:
            StoreError: A file cannot be stored; what was stored before stays.
        """
        bucket, prefix = _prefix(prefix_uri)
        connected = self._connections.bucket(bucket)

        async def put_all() -> None:
            upload = Upload(connected, bucket, self._client, Budget(_MEMORY))

            async def put(item: tuple[str, Path]) -> None:
                name, source = item
                result = await upload.put(source, _joined(bucket, prefix, name))
                if stored is not None:
                    stored(name, result)

            await for_each(files, put, in_flight=_IN_FLIGHT, at_most=_MOST_IN_FLIGHT)

        run(put_all)

    def copy_tree(
        self, copies: Iterable[tuple[str, str]], prefix_uri: str, stored: Stored | None = None
    ) -> None:
        """Have S3 copy objects to beneath a prefix of the same bucket; none is sent.

        Raises:
            StoreError: An object is in another bucket, is gone, or cannot be copied.
        """
        bucket, prefix = _prefix(prefix_uri)
        connected = self._connections.bucket(bucket)

        async def copy_all() -> None:
            import obstore

            async def copy(item: tuple[str, str]) -> None:
                source, name = item
                source_bucket, source_key = _object(source)
                if source_bucket != bucket:
                    raise StoreError(f"cannot copy {source} to the bucket {bucket}: it is in another")
                target = _joined(bucket, prefix, name)
                with _store_errors(
                    f"copy {source} to s3://{bucket}/{target}", "s3:GetObject and s3:PutObject"
                ):
                    await obstore.copy_async(connected, source_key, target)
                    # The answer to a copy does not tell the etag.
                    meta = await obstore.head_async(connected, target)
                if stored is not None:
                    etag = (meta["e_tag"] or "").strip('"')
                    stored(name, StoredObject(f"s3://{bucket}/{target}", meta["size"], etag))

            await for_each(copies, copy, in_flight=_IN_FLIGHT, at_most=_MOST_IN_FLIGHT)

        run(copy_all)

    def get_file(self, uri: str, destination: Path) -> None:
        """Write an object to a file, verified; the file appears in one step.

        Raises:
            StoreError: There is no such object, it cannot be read or arrived damaged, or the file cannot be
                written.
        """
        from sagemaker_dogbreed.store.s3_download import Download

        bucket, key = _object(uri)
        connected = self._connections.bucket(bucket)

        async def get() -> None:
            import obstore

            with _store_errors(f"read {uri}", "s3:GetObject"):
                meta = await obstore.head_async(connected, key)
            found = StoredObject(uri, meta["size"], (meta["e_tag"] or "").strip('"'))
            await Download(connected, bucket, self._client, Budget(_MEMORY)).get(
                found, key, Path(destination)
            )

        run(get)

    def get_tree(self, prefix_uri: str, destination: Path) -> None:
        """Write the objects of a prefix to a folder, many at a time, named as beneath the prefix.

        A prefix that is one object becomes one file, named by the last part of its key.

        Raises:
            StoreError: There is no object of this prefix, one's key would lead out of the folder, one cannot
                be read or arrived damaged, or the folder cannot be written.
        """
        from sagemaker_dogbreed.store.s3_download import Download

        bucket, prefix = _prefix(prefix_uri)
        found = self.objects(prefix_uri)
        if not found:
            raise StoreError(f"there are no objects of the prefix {prefix_uri}")
        one = [prefix] == [parse_s3_uri(item.uri)[1] for item in found]
        start = len(f"s3://{bucket}/") + (prefix.rfind("/") + 1 if one else len(prefix) + bool(prefix))
        connected = self._connections.bucket(bucket)
        # Parsed before anything is written: then no part of a key is empty, "." or "..".
        keyed = [(item, _object(item.uri)[1]) for item in found]

        async def get_all() -> None:
            download = Download(connected, bucket, self._client, Budget(_MEMORY))

            async def get(pair: tuple[StoredObject, str]) -> None:
                item, key = pair
                await download.get(item, key, Path(destination) / item.uri[start:])

            await for_each(keyed, get, in_flight=_IN_FLIGHT, at_most=_MOST_IN_FLIGHT)

        run(get_all)

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Return the content of an object.

        Raises:
            StoreError: There is no such object, it cannot be read, or it is longer than ``max_bytes``.
        """
        import obstore

        bucket, key = _object(uri)
        connected = self._connections.bucket(bucket)
        with _store_errors(f"read {uri}", "s3:GetObject"):
            answer = obstore.get(connected, key)
            if answer.meta["size"] > max_bytes:
                raise StoreError(f"{uri} is longer than {max_bytes:,} bytes; it is not what it should be")
            return bytes(answer.bytes())

    def objects(self, prefix_uri: str, expected: Iterable[str] = ()) -> Sequence[StoredObject]:
        """Return the objects of a prefix, sorted by URI; markers of empty folders are none.

        The pages of names that are ``expected`` are asked for at once.

        Raises:
            StoreError: The prefix cannot be listed, or has a key that no file name can stand for.
        """
        bucket, prefix = _prefix(prefix_uri)
        found = list_objects(self._connections.bucket(bucket), bucket, prefix, self._client, expected)
        if not found and prefix and not prefix_uri.endswith("/"):
            found = [item for item in [self._head(bucket, prefix)] if item is not None]
        return found

    def list(self, prefix_uri: str) -> Sequence[tuple[str, int]]:
        """Return the URI and the size, bytes, of each object of a prefix, sorted by URI.

        Raises:
            StoreError: As ``objects``.
        """
        return [(item.uri, item.size) for item in self.objects(prefix_uri)]

    def exists(self, uri: str) -> bool:
        """Return whether there is an object of exactly this URI.

        Raises:
            StoreError: S3 does not tell.
        """
        bucket, key = parse_s3_uri(uri)
        return bool(key) and not key.endswith("/") and self._head(bucket, key) is not None

    def has_content(self, uri: str, sha256: str) -> bool:  # noqa: ARG002
        """Return False: in S3 another etag is another content."""
        return False

    def delete(self, prefix_uri: str) -> None:
        """Delete the objects of a prefix, whatever their keys are; none is no error.

        Raises:
            StoreError: They cannot be listed or deleted.
        """
        bucket, prefix = _prefix(prefix_uri)
        delete_objects(self._client(), bucket, prefix, and_itself=not prefix_uri.endswith("/"))

    def _head(self, bucket: str, key: str) -> StoredObject | None:
        import obstore

        uri = f"s3://{bucket}/{key}"
        connected = self._connections.bucket(bucket)
        try:
            meta = obstore.head(connected, key)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise store_error(error, f"read {uri}", "s3:GetObject and s3:ListBucket") from error
        return StoredObject(uri, meta["size"], (meta["e_tag"] or "").strip('"'))

    def _client(self) -> Any:
        return self._clients.client("s3")


def _object(uri: str) -> tuple[str, str]:
    bucket, key = parse_s3_uri(uri)
    if not key or key.endswith("/"):
        raise StoreError(f"{uri!r} names no object; the key must not be empty or end in a slash")
    return bucket, key


def _prefix(uri: str) -> tuple[str, str]:
    bucket, key = parse_s3_uri(uri)
    return bucket, key.removesuffix("/")


def _joined(bucket: str, prefix: str, name: str) -> str:
    return _object(f"s3://{bucket}/{prefix}/{name}" if prefix else f"s3://{bucket}/{name}")[1]


@contextlib.contextmanager
def _store_errors(action: str, permission: str) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        raise store_error(error, action, permission) from error
