"""Images of AWS's containers: found in the SageMaker SDK, with a warning once AWS mends them no more."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import warnings

import pytest

from sagemaker_dogbreed import ComputeSpec, EndpointSpec, ImagePatchWarning, ImageUriError, TrainingSpec
from sagemaker_dogbreed.aws.images import inference_image, rule_image, training_image

EARLY = dt.date(2026, 5, 1)
ECR = "763104351884.dkr.ecr.eu-west-1.amazonaws.com"


def _training(version="2.10.0", instance_type="ml.m5.xlarge"):
    return TrainingSpec(framework_version=version, compute=ComputeSpec(instance_type=instance_type))


@pytest.mark.parametrize(
    ("spec", "image"),
    [
        (_training(), f"{ECR}/pytorch-training:2.10.0-cpu-py313"),
        (_training(instance_type="ml.g5.xlarge"), f"{ECR}/pytorch-training:2.10.0-gpu-py313"),
        (_training("2.13"), f"{ECR}/pytorch:2.13-cpu-amzn2023-sagemaker"),
        (_training("2.13.0"), f"{ECR}/pytorch:2.13-cpu-amzn2023-sagemaker"),
        (TrainingSpec(image_uri="mine:1"), "mine:1"),
    ],
)
def test_a_training_image_is_found_by_version_and_instance(spec, image):
    """Version, region and instance type give AWS's image; an image of the user's own goes first."""
    assert training_image(spec, "eu-west-1", today=EARLY) == image


@pytest.mark.parametrize(
    ("spec", "image"),
    [
        (EndpointSpec(), f"{ECR}/pytorch-inference:2.6.0-cpu-py312"),
        (EndpointSpec(instance_type="ml.g5.xlarge"), f"{ECR}/pytorch-inference:2.6.0-gpu-py312"),
        (
            EndpointSpec(instance_type="ml.m7g.large"),
            f"{ECR}/pytorch-inference-arm64:2.6.0-cpu-py312-ubuntu22.04-sagemaker",
        ),
        (EndpointSpec(image_uri="mine:1"), "mine:1"),
    ],
)
def test_an_inference_image_is_found_by_version_and_instance(spec, image):
    """Arm instances have images of their own; an image of the user's own goes first."""
    assert inference_image(spec, "eu-west-1", today=EARLY) == image


def test_the_rules_image_is_that_of_the_region():
    """SageMaker Debugger's evaluator is found for the region."""
    assert (
        rule_image("us-east-1")
        == "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"
    )


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (
            lambda: training_image(_training("2.99"), "us-east-1"),
            r"no training image of PyTorch 2\.99 .*2\.14",
        ),
        (lambda: inference_image(EndpointSpec(framework_version="2.7"), "us-east-1"), r"2\.6\.0.*image_uri"),
        (lambda: training_image(_training(), "mars-north-1"), "mars-north-1.*eu-west-1"),
        (lambda: training_image(_training("2.0.1"), "us-east-1"), r"Python 3\.10.*2\.3\.0 or newer"),
        (lambda: rule_image("il-central-1"), "Debugger's rules in il-central-1"),
    ],
)
def test_an_image_that_aws_does_not_have_is_an_answer(find, message):
    """The error names what was asked, what there is, and the way out."""
    with pytest.raises(ImageUriError, match=message):
        find()


def test_an_image_past_its_patches_is_told_with_the_date():
    """On the last day there is no warning; on the day after there is one that names the date."""
    last = dt.date(2026, 6, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inference_image(EndpointSpec(), "eu-west-1", today=last)
    with pytest.warns(ImagePatchWarning, match=r"inference image of PyTorch 2\.6\.0 ended on 2026-06-30"):
        inference_image(EndpointSpec(), "eu-west-1", today=last + dt.timedelta(days=1))
    with pytest.warns(ImagePatchWarning, match="Choose a newer framework_version"):
        training_image(_training("2.9.0"), "eu-west-1", today=dt.date(2026, 11, 1))
    with pytest.warns(ImagePatchWarning, match="ended before 2026"):
        training_image(_training("2.4.0"), "eu-west-1", today=EARLY)


def test_an_image_of_the_users_own_needs_no_sdk():
    """Where the image is given, the SageMaker SDK is not even imported: it takes seconds."""
    program = (
        "import sys; from sagemaker_dogbreed import TrainingSpec; "
        "from sagemaker_dogbreed.aws.images import training_image; "
        "training_image(TrainingSpec(image_uri='mine:1'), 'eu-west-1'); "
        "print('sagemaker' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
