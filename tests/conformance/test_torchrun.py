"""Requests for several processes, which AWS's training toolkit starts by torchrun."""

from __future__ import annotations

import attrs
import pytest
import torch
from conftest import TINY
from executor import run

import sagemaker_dogbreed as sdb

PAIR = sdb.ComputeSpec(distribution="torchrun", processes_per_instance=2)


@pytest.fixture
def head_only(backbone_weights):
    """A spec that trains a head on a frozen backbone, whose weights are a file."""
    return attrs.evolve(TINY, weights=str(backbone_weights), finetune="head", learning_rate=0.01)


def test_two_processes_train_the_model_that_one_trains(requests, cloud, head_only, tmp_path, load):
    """The same spec on two processes gives the same metrics and the same weights."""
    alone = run(requests.train(head_only), tmp_path / "alone", cloud)
    assert alone.exit_code == 0, alone.log
    one = load(alone).module.state_dict()
    pair = run(requests.train(attrs.evolve(head_only, compute=PAIR)), tmp_path / "pair", cloud)
    assert pair.exit_code == 0, pair.log
    assert "--nproc_per_node 2" in pair.log
    two = load(pair).module.state_dict()

    assert {name: len(values) for name, values in pair.metrics.items()} == {
        name: len(values) for name, values in alone.metrics.items()
    }
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], rtol=1e-4, atol=1e-6) for name in one)
    for name, values in alone.metrics.items():
        assert pair.metrics[name] == pytest.approx(values, abs=1e-4), name


def test_one_reason_is_left_by_two_processes(requests, cloud, head_only, base, tmp_path):
    """Where both processes fail, ``output/failure`` has our sentence, not torchrun's table."""
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"no weights")
    spec = attrs.evolve(head_only, weights=str(weights), compute=PAIR)
    ended = run(requests.train(spec), base, cloud)
    assert ended.exit_code == 1
    assert ended.failure.startswith("WeightsError: ")
