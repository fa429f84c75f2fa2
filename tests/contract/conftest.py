"""The flow's places: this machine, and an AWS that moto plays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_aws import FaultyAws

import sagemaker_dogbreed as sdb

ROLE = "arn:aws:iam::123456789012:role/dogs"
ANSWER = {
    "predictions": [{"class_name": "pug", "probability": 0.75}, {"class_name": "husky", "probability": 0.25}]
}


def _trials(body: bytes) -> tuple[int, bytes]:
    """Two trials of a tuning job, the second one better; moto runs none."""
    name = json.loads(body)["HyperParameterTuningJobName"]
    found = [
        {
            "TrainingJobName": f"{name}-{number:03}-0a",
            "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{name}-{number:03}-0a",
            "CreationTime": 1_700_000_000 + number,
            "TrainingJobStatus": "Completed",
            "TunedHyperParameters": {"learning_rate": rate, "batch_size": "8"},
            "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "Test Loss", "Value": value},
        }
        for number, (rate, value) in enumerate([("0.01", 0.75), ("0.02", 0.5)], start=1)
    ]
    return 200, json.dumps({"TrainingJobSummaries": found}).encode()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flat folder of two breeds."""
    folder = tmp_path_factory.mktemp("photos") / "dogs"
    return sdb.draw_cartoon_dogs(folder, images_per_breed=12, image_size=32, breeds=["pug", "husky"])


@pytest.fixture(scope="module")
def running_aws() -> Iterator[tuple[FaultyAws, str]]:
    """An AWS on this machine, with what moto lacks filled in, and its URL."""
    aws = FaultyAws()
    # moto reads every body as text, which a JPEG is not; what a model answers is not moto's business.
    filled_in = {
        "InvokeEndpoint": ANSWER,
        "StopTrainingJob": {},
        "StopHyperParameterTuningJob": {},
        "GetProducts": {"PriceList": []},
        "ListServiceQuotas": {"Quotas": []},
        "ListAWSDefaultServiceQuotas": {"Quotas": []},
    }
    for operation, answer in filled_in.items():
        aws.answers[operation] = lambda body, answer=answer: (200, json.dumps(answer).encode())
    aws.answers["ListTrainingJobsForHyperParameterTuningJob"] = _trials
    with aws.running() as url:
        yield aws, url


@pytest.fixture
def aws(running_aws: tuple[FaultyAws, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyAws]:
    """That AWS, found as a user's settings say."""
    aws, url = running_aws
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    aws.calls.clear()
    yield aws
    aws.misbehave = lambda call: None
