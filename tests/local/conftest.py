"""A local SageMaker for each module of tests, with nothing left running."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import end_processes

from sagemaker_dogbreed.local.service import LocalSageMaker


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSageMaker]:
    """A service whose jobs have half a second to stop."""
    service = LocalSageMaker(tmp_path_factory.mktemp("sagemaker"), grace_seconds=0.5)
    yield service
    end_processes(service.root)


@pytest.fixture(scope="module")
def client(service: LocalSageMaker) -> Any:
    """Its client for everything but invocations."""
    return service.boto_session().client("sagemaker")


@pytest.fixture(scope="module")
def runtime(service: LocalSageMaker) -> Any:
    """Its client for invocations."""
    return service.boto_session().client("sagemaker-runtime")
