"""Where SageMaker put things, read from ``SM_*`` variables; no container path is hard-coded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

DATASET_VERSION = "DOGBREED_DATASET_VERSION"
"""Environment variable that names the data set's version; it is noted in the model artifact."""

FEATURES = "DOGBREED_FEATURES"
"""Environment variable that names a folder for the features of frozen backbones which outlives the job;
default: a folder among the checkpoints."""

CHECKPOINTS_BY_JOB = "DOGBREED_CHECKPOINTS_BY_JOB"
"""Environment variable that is set where jobs share the place of their checkpoints, as trials of a tuning job
do: each then has a folder there, named after it."""


class FailedElsewhere(Exception):  # noqa: N818 - an outcome of the job, of which this process is a part
    """Another process of the job failed first; the message is its reason."""


@dataclasses.dataclass(frozen=True)
class TrainingEnvironment:
    """The folders of one training job, as the container contract names them.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
    """

    channels: Mapping[str, Path]
    model_dir: Path
    output_dir: Path
    output_data_dir: Path
    checkpoint_dir: Path
    feature_dir: Path
    job_name: str
    dataset_version: str | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> TrainingEnvironment:
        """Read the environment that SageMaker's toolkits (and the local SageMaker) set.

        Raises:
            RuntimeError: ``SM_MODEL_DIR`` is not set: this is not a training job.
        """
        environ = os.environ if environ is None else environ
        if "SM_MODEL_DIR" not in environ:
            raise RuntimeError(
                "SM_MODEL_DIR is not set: train.py runs inside a training job. "
                "Start one with Session.local().train(...)"
            )
        model_dir = Path(environ["SM_MODEL_DIR"])
        base = model_dir.parent  # /opt/ml on SageMaker
        output_dir = Path(environ.get("SM_OUTPUT_DIR", base / "output"))
        prefix = "SM_CHANNEL_"
        job_name = environ.get("TRAINING_JOB_NAME", environ.get("SAGEMAKER_JOB_NAME", "training-job"))
        channels = {
            name.removeprefix(prefix).lower(): Path(value)
            for name, value in environ.items()
            if name.startswith(prefix)
        }
        return cls(
            channels=channels,
            model_dir=model_dir,
            output_dir=output_dir,
            output_data_dir=Path(environ.get("SM_OUTPUT_DATA_DIR", output_dir / "data")),
            checkpoint_dir=base / "checkpoints" / (job_name if CHECKPOINTS_BY_JOB in environ else ""),
            feature_dir=Path(environ.get(FEATURES, base / "checkpoints" / "features")),
            job_name=job_name,
            dataset_version=environ.get(DATASET_VERSION),
        )

    def write_failure(self, reason: str) -> None:
        """Write ``output/failure``, whose first 1,024 characters become the job's FailureReason."""
        self.output_dir.mkdir(parents=True, exist_ok=True)
        partial = self.output_dir / f".failure-{os.getpid()}"  # of several processes each may write it
        partial.write_text(reason[:1024], encoding="utf-8")
        partial.replace(self.output_dir / "failure")
