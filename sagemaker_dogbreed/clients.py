"""The boto3 clients everything is sent through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from sagemaker_dogbreed.errors import AccountError

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

NO_REGION = "no AWS region is set: give Session.aws(region=...) or --region, or set AWS_DEFAULT_REGION"


@attrs.frozen(kw_only=True)
class Access:
    """What is known without asking boto3: region, credentials, and perhaps the URL of S3."""

    region: str
    s3_endpoint: str | None
    access_key: str = attrs.field(repr=False)
    secret_key: str = attrs.field(repr=False)
    token: str | None = attrs.field(repr=False)


class Clients:
    """Clients by the name of their service, made on first use; safe to share between threads.

    Handles keep this object and ask it for a client at each call, so that ``reconnect`` reaches them.
    """

    def __init__(
        self,
        new_session: Callable[[], boto3.Session],
        config: Config | None = None,
        *,
        access: Callable[[], Access | None] = lambda: None,
    ) -> None:
        """Name the way to a session; none is made yet.

        Args:
            new_session: Makes the boto3 session.
            config: What all clients are configured with.
            access: Returns what the session would find, if that can be told without making one.
        """
        self._new_session = new_session
        self._config = config
        self.access = access
        self.generation = 0
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None
        self._clients: dict[tuple[str, str | None], Any] = {}

    @property
    def session(self) -> boto3.Session:
        """The boto3 session the clients are made from."""
        with self._lock:
            return self._current()

    def client(self, service: str, region: str | None = None) -> Any:
        """Return the client of a service, in the session's region or another."""
        with self._lock:
            if (service, region) not in self._clients:
                session: Any = self._current()  # boto3's types know services by literal names only
                made = _made(session, service, region, self._config)
                self._clients[service, region] = made
            return self._clients[service, region]

    @property
    def sagemaker(self) -> Any:
        """The client for everything but invocations."""
        return self.client("sagemaker")

    @property
    def runtime(self) -> Any:
        """The client for invocations."""
        return self.client("sagemaker-runtime")

    @property
    def logs(self) -> Any:
        """The client of CloudWatch Logs."""
        return self.client("logs")

    def reconnect(self) -> None:
        """Make all clients anew at their next use, with credentials that are read again."""
        with self._lock:
            self._session = None
            self._clients.clear()
            self.generation += 1

    def _current(self) -> boto3.Session:
        if self._session is None:
            self._session = self._new_session()
        return self._session


def _made(session: Any, service: str, region: str | None, config: Config | None) -> Any:
    from botocore.exceptions import NoRegionError

    try:
        return session.client(service, region_name=region, config=config)
    except NoRegionError as error:
        raise AccountError(NO_REGION) from error
