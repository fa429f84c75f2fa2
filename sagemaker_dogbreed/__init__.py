"""From a folder of labelled images to a trained and deployed classifier, on SageMaker or on this machine.

Names are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sagemaker_dogbreed.analysis.causes.cause import Cause as Cause
    from sagemaker_dogbreed.analysis.diagnosis import Diagnosis as Diagnosis
    from sagemaker_dogbreed.analysis.diagnosis import diagnose as diagnose
    from sagemaker_dogbreed.analysis.evaluation import Evaluation as Evaluation
    from sagemaker_dogbreed.analysis.prediction import ClassProbability as ClassProbability
    from sagemaker_dogbreed.analysis.prediction import Prediction as Prediction
    from sagemaker_dogbreed.analysis.prediction_sheet import draw_predictions as draw_predictions
    from sagemaker_dogbreed.analysis.profile import Profile as Profile
    from sagemaker_dogbreed.analysis.profile import profile_of as profile_of
    from sagemaker_dogbreed.analysis.profiler_report import read_profiler_report as read_profiler_report
    from sagemaker_dogbreed.analysis.smdebug_tensors import read_smdebug as read_smdebug
    from sagemaker_dogbreed.analysis.system_metrics import read_system_metrics as read_system_metrics
    from sagemaker_dogbreed.analysis.training_plots import plot_confusion as plot_confusion
    from sagemaker_dogbreed.analysis.training_plots import plot_gradient_health as plot_gradient_health
    from sagemaker_dogbreed.analysis.training_plots import plot_learning_curves as plot_learning_curves
    from sagemaker_dogbreed.analysis.training_plots import plot_steps as plot_steps
    from sagemaker_dogbreed.analysis.training_plots import plot_system as plot_system
    from sagemaker_dogbreed.aws.leftovers.resources import Resource as Resource
    from sagemaker_dogbreed.aws.leftovers.sweep import SweepReport as SweepReport
    from sagemaker_dogbreed.aws.preflight.report import PreflightReport as PreflightReport
    from sagemaker_dogbreed.aws.spending.costs import CostEstimate as CostEstimate
    from sagemaker_dogbreed.container.debugging.history import History as History
    from sagemaker_dogbreed.container.debugging.rules import rule as rule
    from sagemaker_dogbreed.container.debugging.watch import RuleStatus as RuleStatus
    from sagemaker_dogbreed.data.cartoon.dogs import draw_cartoon_dogs as draw_cartoon_dogs
    from sagemaker_dogbreed.data.cartoon.dogs import draw_dog as draw_dog
    from sagemaker_dogbreed.data.prepare import PreparedDataset as PreparedDataset
    from sagemaker_dogbreed.data.prepare import prepare as prepare
    from sagemaker_dogbreed.data.report import InspectionReport as InspectionReport
    from sagemaker_dogbreed.data.versions.dataset import Dataset as Dataset
    from sagemaker_dogbreed.errors import AccountError as AccountError
    from sagemaker_dogbreed.errors import ArchiveError as ArchiveError
    from sagemaker_dogbreed.errors import BudgetError as BudgetError
    from sagemaker_dogbreed.errors import ConfigError as ConfigError
    from sagemaker_dogbreed.errors import DatasetError as DatasetError
    from sagemaker_dogbreed.errors import DogbreedError as DogbreedError
    from sagemaker_dogbreed.errors import DownloadError as DownloadError
    from sagemaker_dogbreed.errors import EndpointError as EndpointError
    from sagemaker_dogbreed.errors import EndpointFailedError as EndpointFailedError
    from sagemaker_dogbreed.errors import ImagePatchWarning as ImagePatchWarning
    from sagemaker_dogbreed.errors import ImageUriError as ImageUriError
    from sagemaker_dogbreed.errors import InspectionError as InspectionError
    from sagemaker_dogbreed.errors import InvocationError as InvocationError
    from sagemaker_dogbreed.errors import JobError as JobError
    from sagemaker_dogbreed.errors import JobFailedError as JobFailedError
    from sagemaker_dogbreed.errors import JobStoppedError as JobStoppedError
    from sagemaker_dogbreed.errors import MissingExtraError as MissingExtraError
    from sagemaker_dogbreed.errors import NameTakenError as NameTakenError
    from sagemaker_dogbreed.errors import PreflightError as PreflightError
    from sagemaker_dogbreed.errors import RecordingError as RecordingError
    from sagemaker_dogbreed.errors import SpecError as SpecError
    from sagemaker_dogbreed.errors import StoreError as StoreError
    from sagemaker_dogbreed.errors import UnsupportedError as UnsupportedError
    from sagemaker_dogbreed.errors import WaitTimeoutError as WaitTimeoutError
    from sagemaker_dogbreed.jobs.single_job_tuning import SingleJobTuning as SingleJobTuning
    from sagemaker_dogbreed.jobs.training_job import ModelArtifact as ModelArtifact
    from sagemaker_dogbreed.jobs.training_job import TrainingJob as TrainingJob
    from sagemaker_dogbreed.jobs.training_job import TrainingResult as TrainingResult
    from sagemaker_dogbreed.jobs.tuning_job import TuningJob as TuningJob
    from sagemaker_dogbreed.jobs.tuning_results import Trial as Trial
    from sagemaker_dogbreed.jobs.tuning_results import TuningResults as TuningResults
    from sagemaker_dogbreed.predictor import Predictor as Predictor
    from sagemaker_dogbreed.session import Session as Session
    from sagemaker_dogbreed.specs.compute import ComputeSpec as ComputeSpec
    from sagemaker_dogbreed.specs.dataset import DatasetSpec as DatasetSpec
    from sagemaker_dogbreed.specs.dataset import SplitSpec as SplitSpec
    from sagemaker_dogbreed.specs.debugger import DebuggerSpec as DebuggerSpec
    from sagemaker_dogbreed.specs.debugger import ProfilerSpec as ProfilerSpec
    from sagemaker_dogbreed.specs.debugger import RuleSpec as RuleSpec
    from sagemaker_dogbreed.specs.endpoint import EndpointSpec as EndpointSpec
    from sagemaker_dogbreed.specs.network import NetworkSpec as NetworkSpec
    from sagemaker_dogbreed.specs.ranges import CategoricalRange as CategoricalRange
    from sagemaker_dogbreed.specs.ranges import ContinuousRange as ContinuousRange
    from sagemaker_dogbreed.specs.ranges import IntegerRange as IntegerRange
    from sagemaker_dogbreed.specs.training import TrainingSpec as TrainingSpec
    from sagemaker_dogbreed.specs.tuning import Objective as Objective
    from sagemaker_dogbreed.specs.tuning import TuningSpec as TuningSpec
    from sagemaker_dogbreed.specs.workflow import WorkflowSpec as WorkflowSpec
    from sagemaker_dogbreed.workflow import Plan as Plan
    from sagemaker_dogbreed.workflow import PlannedRequest as PlannedRequest
    from sagemaker_dogbreed.workflow import Workflow as Workflow
    from sagemaker_dogbreed.workflow import WorkflowResult as WorkflowResult

_ROOMS = {
    "analysis.causes.cause": ("Cause",),
    "analysis.diagnosis": ("Diagnosis", "diagnose"),
    "analysis.evaluation": ("Evaluation",),
    "analysis.prediction": ("ClassProbability", "Prediction"),
    "analysis.prediction_sheet": ("draw_predictions",),
    "analysis.profile": ("Profile", "profile_of"),
    "analysis.profiler_report": ("read_profiler_report",),
    "analysis.smdebug_tensors": ("read_smdebug",),
    "analysis.system_metrics": ("read_system_metrics",),
    "analysis.training_plots": (
        "plot_confusion",
        "plot_gradient_health",
        "plot_learning_curves",
        "plot_steps",
        "plot_system",
    ),
    "aws.leftovers.resources": ("Resource",),
    "aws.leftovers.sweep": ("SweepReport",),
    "aws.preflight.report": ("PreflightReport",),
    "aws.spending.costs": ("CostEstimate",),
    "container.debugging.history": ("History",),
    "container.debugging.rules": ("rule",),
    "container.debugging.watch": ("RuleStatus",),
    "data.cartoon.dogs": ("draw_cartoon_dogs", "draw_dog"),
    "data.prepare": ("PreparedDataset", "prepare"),
    "data.report": ("InspectionReport",),
    "data.versions.dataset": ("Dataset",),
    "errors": (
        "AccountError",
        "ArchiveError",
        "BudgetError",
        "ConfigError",
        "DatasetError",
        "DogbreedError",
        "DownloadError",
        "EndpointError",
        "EndpointFailedError",
        "ImagePatchWarning",
        "ImageUriError",
        "InspectionError",
        "InvocationError",
        "JobError",
        "JobFailedError",
        "JobStoppedError",
        "MissingExtraError",
        "NameTakenError",
        "PreflightError",
        "RecordingError",
        "SpecError",
        "StoreError",
        "UnsupportedError",
        "WaitTimeoutError",
    ),
    "jobs.single_job_tuning": ("SingleJobTuning",),
    "jobs.training_job": ("ModelArtifact", "TrainingJob", "TrainingResult"),
    "jobs.tuning_job": ("TuningJob",),
    "jobs.tuning_results": ("Trial", "TuningResults"),
    "predictor": ("Predictor",),
    "session": ("Session",),
    "specs.compute": ("ComputeSpec",),
    "specs.dataset": ("DatasetSpec", "SplitSpec"),
    "specs.debugger": ("DebuggerSpec", "ProfilerSpec", "RuleSpec"),
    "specs.endpoint": ("EndpointSpec",),
    "specs.network": ("NetworkSpec",),
    "specs.ranges": ("CategoricalRange", "ContinuousRange", "IntegerRange"),
    "specs.training": ("TrainingSpec",),
    "specs.tuning": ("Objective", "TuningSpec"),
    "specs.workflow": ("WorkflowSpec",),
    "workflow": ("Plan", "PlannedRequest", "Workflow", "WorkflowResult"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted([*_ROOM_OF, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
