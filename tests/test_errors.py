"""Every error of the library survives the way through a process pool."""

from __future__ import annotations

import pickle

import pytest

from sagemaker_dogbreed import errors, prepare
from sagemaker_dogbreed.aws.preflight.report import Check, PreflightReport
from sagemaker_dogbreed.data.cartoon.dogs import draw_cartoon_dogs
from sagemaker_dogbreed.specs.dataset import DatasetSpec

SAMPLES = {
    errors.ConfigError: lambda: errors.ConfigError(
        [errors.Problem("training.epochs", "is odd", 3)], "job.yaml"
    ),
    errors.MissingExtraError: lambda: errors.MissingExtraError("torch", "local", "training"),
    errors.PreflightError: lambda: errors.PreflightError(
        "no role", PreflightReport((Check("role", "error", "no"),))
    ),
    errors.JobFailedError: lambda: errors.JobFailedError(
        "job-1", "no reason", ["last", "words"], kind="quota", next_step="ask", traceback="Traceback"
    ),
    errors.EndpointError: lambda: errors.EndpointError("left", remaining=[("model", "dogs")]),
    errors.EndpointFailedError: lambda: errors.EndpointFailedError(
        "failed", reason="no reason", log_tail=["last", "words"], kind="capacity", next_step="wait"
    ),
    errors.InvocationError: lambda: errors.InvocationError("refused", status=422, code="not_an_image"),
}


def _all_errors(kind=errors.DogbreedError):
    yield kind
    for inner in kind.__subclasses__():
        yield from _all_errors(inner)


@pytest.mark.parametrize("kind", [kind for kind in _all_errors() if kind is not errors.InspectionError])
def test_errors_survive_pickling(kind):
    """An error that comes back from another process has its type, message and details."""
    error = SAMPLES.get(kind, lambda: kind("what happened"))()
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_an_inspection_error_survives_with_its_report(tmp_path):
    """The report travels along."""
    folder = draw_cartoon_dogs(tmp_path / "dogs", images_per_breed=4, image_size=32, breeds=["pug", "husky"])
    (folder / "pug" / "pug_0001.jpg").write_bytes(b"no image")
    with pytest.raises(errors.InspectionError) as caught:
        prepare(DatasetSpec(source=folder), tmp_path / "cache", progress=False)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.report == caught.value.report
    assert str(again) == str(caught.value)
