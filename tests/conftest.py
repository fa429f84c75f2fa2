"""What every test has in common."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# A machine that is busy makes no test fail.
hypothesis.settings.register_profile(
    "steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch):
    """Keep the caller's AWS account and SageMaker's variables out of every test."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SM_", "SAGEMAKER_")) and name != "SAGEMAKER_DOGBREED_TEST_DATA":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real photographs and weights; tests that need it are skipped without."""
    default = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("SAGEMAKER_DOGBREED_TEST_DATA", default))
    if not (folder / "dogs").is_dir():
        pytest.skip(f"no photographs at {folder}; set SAGEMAKER_DOGBREED_TEST_DATA to a folder that has them")
    return folder
