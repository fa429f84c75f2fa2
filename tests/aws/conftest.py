"""AWS as moto plays it, and clients whose answers a test writes itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_aws import ACCOUNT, REGION, USER, StubbedClients, boto_session
from moto import mock_aws

from sagemaker_dogbreed.aws.account import Account
from sagemaker_dogbreed.clients import Clients


@pytest.fixture
def account() -> Account:
    """The account whose credentials are in use."""
    return Account(account_id=ACCOUNT, region=REGION, caller_arn=USER)


@pytest.fixture
def clients() -> Iterator[Clients]:
    """Clients of moto's AWS, which is empty."""
    with mock_aws():
        yield Clients(boto_session)


@pytest.fixture
def stubbed() -> Iterator[StubbedClients]:
    """Clients that answer what the test says, in that order, and nothing else."""
    clients = StubbedClients()
    yield clients
    for stub in clients.stubs.values():
        stub.assert_no_pending_responses()
