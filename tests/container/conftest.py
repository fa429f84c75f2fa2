"""Fixtures of the tests of the container's code."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch
from served_model import NAMES

from sagemaker_dogbreed.container import artifact
from sagemaker_dogbreed.container.hparams import Hyperparameters
from sagemaker_dogbreed.container.model import build
from sagemaker_dogbreed.container.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny artifact, as training writes it."""
    folder = tmp_path_factory.mktemp("model")
    hyperparameters = Hyperparameters(
        backbone="shufflenet_v2_x0_5", weights="none", finetune="full", head="mlp", head_units=8
    )
    torch.manual_seed(0)
    artifact.save(
        folder,
        build(hyperparameters, len(NAMES), 64),
        class_names=NAMES,
        preprocessing=Preprocessing.for_backbone("shufflenet_v2_x0_5", 64),
        hyperparameters=hyperparameters,
        metrics={},
        job_name="dogs-1",
    )
    return folder


@pytest.fixture
def one_thread():
    """Compute on one thread, and leave signal handler, threads and random state as they were."""
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, handler)
