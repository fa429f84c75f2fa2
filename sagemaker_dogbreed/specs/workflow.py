"""The whole flow as one value: what a configuration file holds."""

from __future__ import annotations

import attrs

from sagemaker_dogbreed.specs.dataset import DatasetSpec
from sagemaker_dogbreed.specs.endpoint import EndpointSpec
from sagemaker_dogbreed.specs.training import TrainingSpec
from sagemaker_dogbreed.specs.tuning import TuningSpec
from sagemaker_dogbreed.specs.validation import spec


@attrs.frozen(kw_only=True)
class WorkflowSpec:
    """Data set, tuning, training and endpoint; a part left out is not run.

    >>> WorkflowSpec(dataset=DatasetSpec(source="photos")).endpoint is None
    True
    """

    dataset: DatasetSpec = spec("the images", DatasetSpec)
    training: TrainingSpec = spec("the training job", TrainingSpec, factory=TrainingSpec)
    tuning: TuningSpec | None = spec("the tuning job, run before training", TuningSpec, default=None)
    endpoint: EndpointSpec | None = spec("the endpoint", EndpointSpec, default=None)
