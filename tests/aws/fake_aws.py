"""What the tests of the AWS rooms share: an account, and clients whose answers a test writes itself."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.stub import Stubber

from sagemaker_dogbreed.clients import Clients

REGION = "eu-west-1"
ACCOUNT = "123456789012"  # moto's
USER = f"arn:aws:iam::{ACCOUNT}:user/dog"


def boto_session(region: str = REGION) -> boto3.Session:
    """Return a session with credentials that no AWS knows."""
    return boto3.Session(region_name=region, aws_access_key_id="none", aws_secret_access_key="none")


class StubbedClients(Clients):
    """Clients that answer what a test says; a call that it did not expect fails."""

    def __init__(self) -> None:
        super().__init__(boto_session)
        self.stubs: dict[str, Stubber] = {}

    def stub(self, service: str, region: str | None = None) -> Stubber:
        """Return the stub behind a service's client."""
        if service not in self.stubs:
            self.stubs[service] = Stubber(self.client(service, region))
            self.stubs[service].activate()
        return self.stubs[service]


def deny(stub: Any, operation: str, action: str) -> None:
    """Have a stub refuse an operation, for want of a permission."""
    message = f"User: {USER} is not authorized to perform: {action}"
    stub.add_client_error(operation, "AccessDeniedException", message, http_status_code=403)
