"""The way to a bucket: endpoint, region, credentials, and whose bucket it is."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.errors import MissingExtraError, StoreError

if TYPE_CHECKING:
    import obstore.store

    from sagemaker_dogbreed.clients import Clients

_CREDENTIALS_KEPT = timedelta(minutes=10)  # botocore renews them when less than that is left
_CONNECT_TIMEOUT = timedelta(seconds=10)
_REQUEST_TIMEOUT = timedelta(minutes=5)
_RETRYING = timedelta(minutes=4)  # a signature is good for 15


class Connections:
    """One connection pool for each bucket, made on first use; safe to share between threads.

    After ``Clients.reconnect()`` they are made anew, with the new credentials.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        kms_key: str | None,
        endpoint_url: str | None,
        max_attempts: int,
    ) -> None:
        self.clients = clients
        self._kms_key, self._endpoint_url = kms_key, endpoint_url
        self._max_attempts = max_attempts
        self._lock = threading.Lock()
        self._generation = clients.generation
        self._buckets: dict[str, obstore.store.S3Store] = {}

    def bucket(self, name: str) -> obstore.store.S3Store:
        """Return the connections to a bucket.

        Raises:
            MissingExtraError: obstore is not installed.
            StoreError: There are no credentials or no region.
        """
        with self._lock:
            generation = self.clients.generation
            if generation != self._generation:
                self._buckets.clear()
                self._generation = generation
            if name not in self._buckets:
                self._buckets[name] = self._connected(name)
            return self._buckets[name]

    def credentials(self) -> dict[str, Any]:
        """Return the credentials as obstore wants them, renewed by botocore if they are about to expire.

        Raises:
            StoreError: There are none, or they cannot be renewed.
        """
        expires_at = datetime.now(UTC) + _CREDENTIALS_KEPT
        if (access := self.clients.access()) is not None:
            return {
                "access_key_id": access.access_key,
                "secret_access_key": access.secret_key,
                "token": access.token,
                "expires_at": expires_at,
            }
        from botocore.exceptions import BotoCoreError

        try:
            found = self.clients.session.get_credentials()
            frozen = found.get_frozen_credentials() if found is not None else None
        except BotoCoreError as error:
            raise StoreError(f"the AWS credentials cannot be renewed: {error}; log in again") from error
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            raise StoreError(
                "there are no AWS credentials; log in (aws sso login, aws configure) or name a profile"
            )
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": expires_at,
        }

    def _connected(self, bucket: str) -> obstore.store.S3Store:
        try:
            from obstore.store import S3Store
        except ImportError as error:
            raise MissingExtraError("obstore", "aws", "transfer to and from S3") from error
        self.credentials()  # here rather than in the midst of a transfer
        access = self.clients.access()
        region = access.region if access is not None else self.clients.session.region_name
        if region is None:
            raise StoreError("no AWS region is set; give Session.aws(region=...) or set AWS_DEFAULT_REGION")
        endpoint = self._endpoint_url or (access.s3_endpoint if access is not None else None)
        endpoint = endpoint or self.clients.client("s3").meta.endpoint_url
        options: dict[str, Any] = {
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": _CONNECT_TIMEOUT,
            "timeout": _REQUEST_TIMEOUT,
        }
        if bundle := os.environ.get("AWS_CA_BUNDLE"):
            options["root_certificate"] = Path(bundle).read_bytes()
        encryption: dict[str, Any] = {}
        if self._kms_key is not None:
            encryption = {
                "server_side_encryption": "aws:kms",
                "sse_kms_key_id": self._kms_key,
                "sse_bucket_key_enabled": True,
            }
        return S3Store(
            bucket,
            endpoint=endpoint,
            region=region,
            checksum_algorithm="SHA256",
            credential_provider=self.credentials,  # type: ignore[arg-type]  # a TypedDict's shape
            client_options=options,  # type: ignore[arg-type]  # likewise
            retry_config={"max_retries": self._max_attempts - 1, "retry_timeout": _RETRYING},
            **encryption,
        )
