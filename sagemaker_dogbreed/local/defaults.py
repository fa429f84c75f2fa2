"""The role, bucket and images that requests on this machine name."""

from __future__ import annotations

import attrs

from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec

_IMAGE = "local/pytorch"


@attrs.frozen
class LocalDefaults:
    """One role, one bucket and one image: this machine's Python is the container."""

    role: str = "arn:aws:iam::000000000000:role/local"
    bucket: str = "local"

    def training_image(self, spec: TrainingSpec) -> str:
        """Return the image that a training job names."""
        return spec.image_uri or _IMAGE

    def inference_image(self, spec: EndpointSpec) -> str:
        """Return the image that an endpoint's model names."""
        return spec.image_uri or _IMAGE

    def rule_image(self) -> str | None:
        """Return None: containers of rules are not run here."""
        return None

    def planned(self) -> LocalDefaults:
        """Return the same: all is known."""
        return self
