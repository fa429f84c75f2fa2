"""The images of AWS's own PyTorch containers, looked up through the SageMaker SDK."""

from __future__ import annotations

import datetime as dt
import functools
import re
import warnings
from typing import Any

from sagemaker_dogbreed.errors import ImagePatchWarning, ImageUriError, MissingExtraError
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec

PATCHED_UNTIL = {
    ("training", "2.6"): dt.date(2026, 1, 29),
    ("training", "2.7"): dt.date(2026, 4, 23),
    ("training", "2.8"): dt.date(2026, 8, 6),
    ("training", "2.9"): dt.date(2026, 10, 15),
    ("training", "2.10"): dt.date(2027, 1, 21),
    ("training", "2.11"): dt.date(2027, 4, 30),
    ("training", "2.12"): dt.date(2027, 7, 2),
    ("training", "2.13"): dt.date(2027, 7, 20),
    ("inference", "2.6"): dt.date(2026, 6, 30),
}
"""Last days on which AWS mends an image's security holes; versions before those listed are older.

From https://github.com/aws/deep-learning-containers, ``docs/src/data``, read in November 2026.
"""

_FIRST_LISTED = (2, 6)
_PYTHON = re.compile(r"-py3(\d+)")
_OLDEST_PYTHON = 11
_GRAVITON = re.compile(r"ml\.[a-z]+\d+g[a-z]*\.")  # m7g, c6gn: Arm processors, with images of their own


def training_image(spec: TrainingSpec, region: str, *, today: dt.date | None = None) -> str:
    """Return the image of a training job: the spec's own, or AWS's PyTorch training image.

    Raises:
        ImageUriError: AWS has no such image in the region; the message names what there is.
        MissingExtraError: The SageMaker SDK, which knows the images, is not installed.
    """
    if spec.image_uri is not None:
        return spec.image_uri
    version = spec.framework_version
    # AWS names the images since PyTorch 2.11 otherwise.
    if _parts(version) < (2, 11):
        framework, asked = "pytorch", version
    else:
        framework, asked = "pytorch-amzn2023", _minor(version)
    found = _retrieve(framework, region, asked, spec.compute.instance_type, "training")
    _warn_when_unpatched("training", version, today)
    return found


def inference_image(spec: EndpointSpec, region: str, *, today: dt.date | None = None) -> str:
    """Return the image of an endpoint: the spec's own, or AWS's PyTorch inference image.

    Raises:
        ImageUriError: AWS has no such image in the region; the message names what there is.
        MissingExtraError: The SageMaker SDK, which knows the images, is not installed.
    """
    if spec.image_uri is not None:
        return spec.image_uri
    scope = "inference_graviton" if _GRAVITON.match(spec.instance_type) else "inference"
    found = _retrieve("pytorch", region, spec.framework_version, spec.instance_type, scope)
    _warn_when_unpatched("inference", spec.framework_version, today)
    return found


def rule_image(region: str) -> str:
    """Return the image that evaluates the rules of SageMaker Debugger.

    Raises:
        ImageUriError: AWS has none in the region.
        MissingExtraError: The SageMaker SDK is not installed.
    """
    return _retrieve("debugger", region, None, None, None)


@functools.cache
def _retrieve(
    framework: str, region: str, version: str | None, instance_type: str | None, scope: str | None
) -> str:
    what = f"{scope} image of PyTorch {version}" if version else "image of SageMaker Debugger's rules"
    try:
        image_uris = _image_uris()
        found = image_uris.retrieve(
            framework=framework,
            region=region,
            version=version,
            instance_type=instance_type,
            image_scope=scope,
        )
    except ImportError as error:
        raise MissingExtraError("sagemaker-core", "aws", f"looking up the {what}") from error
    except Exception as error:  # the SDK raises what it likes: ValueError, KeyError, AttributeError
        raise ImageUriError(
            f"AWS has no {what} in {region}: {_reason(error)}. Choose another framework_version or region, "
            "or name an image of your own with image_uri"
        ) from error
    python = _PYTHON.search(str(found))
    if python is not None and int(python.group(1)) < _OLDEST_PYTHON:
        raise ImageUriError(
            f"AWS's {what} has Python 3.{python.group(1)}, and the bundled scripts need 3.{_OLDEST_PYTHON}: "
            "choose framework_version 2.3.0 or newer, or name an image of your own with image_uri"
        )
    return str(found)


def _reason(error: Exception) -> str:
    """Return what the SDK says, without its advice and with the newest of what it supports."""
    complaint, _, rest = str(error).partition("You may need")
    supported = [each.strip(" .") for each in rest.partition("(s):")[2].split(",")]
    known = [each for each in supported if each.count(".") == 2] or supported
    return complaint.strip(" .") + (f"; there are {', '.join(known[-24:])}" if rest else "")


def _image_uris() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the SDK's own imports deprecate is not for our user
        from sagemaker.core import image_uris  # type: ignore[import-untyped]  # ships no types
    return image_uris


def _warn_when_unpatched(scope: str, version: str, today: dt.date | None) -> None:
    until = PATCHED_UNTIL.get((scope, _minor(version)))
    today = today or dt.datetime.now(dt.UTC).date()
    if until is None and _parts(version) >= _FIRST_LISTED:
        return
    if until is not None and today <= until:
        return
    ended = f"on {until}" if until is not None else "before 2026"
    newer = "AWS has no newer one" if scope == "inference" else "Choose a newer framework_version"
    warnings.warn(
        f"AWS's patches of the {scope} image of PyTorch {version} ended {ended}: security holes found since "
        f"are open in it. {newer}; an image of your own can be named with image_uri",
        ImagePatchWarning,
        stacklevel=4,
    )


def _parts(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
