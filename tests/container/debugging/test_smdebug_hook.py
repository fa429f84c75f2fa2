"""smdebug's hook: what it records, and what it leaves behind."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sagemaker_dogbreed.container.debugging.smdebug_checks import SmdebugError
from sagemaker_dogbreed.container.debugging.smdebug_hook import LOSS, SmdebugHook

STEPS = 6
LOSSES = f"{LOSS}_output_0"


class Network(nn.Module):
    """Two stages, of which the first may be held."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(4, 3)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(3, 2))

    def forward(self, inputs):
        return self.head(self.backbone(inputs))


def train(network, hook=None, steps=STEPS):
    """Take some steps; return the losses."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(steps):
        inputs, labels = torch.randn(5, 4, generator=generator), torch.tensor([0, 1, 0, 1, 0])
        loss = nn.functional.cross_entropy(network(inputs), labels)
        if hook:
            hook.loss(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def network():
    torch.manual_seed(0)
    return Network()


def read(folder):
    """Return smdebug's own view of what was recorded, and its modes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import smdebug.pytorch as smdebug

        # It waits a second for a training that has ended to write more.
        os.environ["SMDEBUG_TRAINING_END_DELAY_REFRESH"] = "0"
        try:
            trial = smdebug.create_trial(str(folder))
            trial.steps()
            assert trial.loaded_all_steps
        finally:
            del os.environ["SMDEBUG_TRAINING_END_DELAY_REFRESH"]
    return trial, smdebug.modes


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tensors"


def test_what_it_records_can_be_read_by_smdebug(folder):
    """Losses, weights and gradients are there, of the collections and steps asked for, in their modes."""
    collections = {"gradients": {"save_interval": "3"}, "weights": {"train.save_interval": "4"}}
    module = network()
    before = module.backbone.weight.detach().clone()
    hook = SmdebugHook(module, folder, save_interval=2, collections=collections)
    losses = train(module, hook)
    hook.evaluate_mode()
    with torch.inference_mode():
        hook.loss(nn.functional.cross_entropy(module(torch.ones(2, 4)), torch.tensor([0, 1])))
    hook.close()

    trial, modes = read(folder)
    values = trial.tensor(LOSSES).values(mode=modes.TRAIN)
    assert {step: float(value) for step, value in values.items()} == pytest.approx(
        {step: losses[step] for step in (0, 2, 4)}
    )
    assert trial.tensor(LOSSES).steps(mode=modes.EVAL) == [0]
    assert trial.tensor("gradient/Network_head.1.weight").steps(mode=modes.TRAIN) == [0, 3]
    assert trial.tensor("Network_backbone.weight").steps(mode=modes.TRAIN) == [0, 4]
    first = trial.tensor("Network_backbone.weight").value(0, mode=modes.TRAIN)
    np.testing.assert_array_equal(first, before.numpy())
    assert set(trial.tensor_names(collection="losses")) == {LOSSES}
    assert not [name for name in trial.tensor_names() if "bias" in name and not name.startswith("gradient")]


def test_losses_are_the_same_with_and_without(folder):
    """What is recorded changes nothing of the training, though all of it is recorded at each step."""
    module = network()
    hook = SmdebugHook(module, folder, save_interval=1, collections={"all": {"include_regex": ".*"}})
    with_hook = train(module, hook)
    hook.close()
    assert with_hook == train(network())


def test_the_module_is_as_it_was_when_the_hook_is_closed(folder):
    """Nothing is left on layers and parameters, so that the module can be exported; closing twice is one."""
    module, plain = network(), network()
    hook = SmdebugHook(module, folder, save_interval=1, collections={"gradients": {}})
    train(module, hook)
    hook.close()
    hook.close()
    for layer, other in zip(module.modules(), plain.modules(), strict=True):
        assert vars(layer).keys() == vars(other).keys()
        assert not layer._forward_hooks
        assert not layer._forward_pre_hooks
    assert not any(parameter._backward_hooks for parameter in module.parameters())
    files = sorted(folder.rglob("*"))
    train(module)
    assert sorted(folder.rglob("*")) == files
    torch.export.export(module.eval(), (torch.ones(1, 4),))


def test_what_trains_later_is_recorded_from_then_on(folder):
    """A backbone that is held at first has no gradients, and has them when it joins in."""
    module = network()
    module.backbone.requires_grad_(False)
    hook = SmdebugHook(module, folder, save_interval=1, collections={"gradients": {}})
    train(module, hook, steps=2)
    module.backbone.requires_grad_(True)
    hook.train_mode()
    train(module, hook, steps=2)
    hook.close()
    trial, modes = read(folder)
    assert trial.tensor("gradient/Network_head.1.weight").steps(mode=modes.TRAIN) == [0, 1, 2, 3]
    assert trial.tensor("gradient/Network_backbone.weight").steps(mode=modes.TRAIN) == [2, 3]


def test_bfloat16_is_recorded_as_float32(folder):
    """Numpy has no bfloat16; outputs of mixed precision are recorded all the same."""
    module = network()
    hook = SmdebugHook(module, folder, save_interval=1, collections={"out": {"include_regex": "_output_"}})
    with torch.autocast("cpu", torch.bfloat16):
        expected = module(torch.ones(2, 4))
    hook.close()
    trial, modes = read(folder)
    found = trial.tensor("head.1_output_0").value(0, mode=modes.TRAIN)
    np.testing.assert_array_equal(found, expected.detach().float().numpy())


def test_a_second_hook_sets_what_the_first_one_left_aside(folder):
    """A job that goes on after an interruption, without a word to the first hook, records anew."""
    killed, module = network(), network()
    first = SmdebugHook(killed, folder, save_interval=1, collections={})
    train(killed, first, steps=2)
    hook = SmdebugHook(module, folder, save_interval=1, collections={})
    train(module, hook, steps=3)
    hook.close()
    trial, modes = read(folder)
    assert trial.steps(mode=modes.TRAIN) == [0, 1, 2]
    assert list(Path(f"{folder}-1").rglob("*.tfevents"))


def test_a_hook_that_fails_ends_the_recording_and_not_the_training(folder, tmp_path, capsys):
    """Where its folder cannot be written, the log says so once, and the training is the same."""
    module = network()
    hook = SmdebugHook(module, folder, save_interval=1, collections={"gradients": {}})
    folder.write_text("in the way")
    losses = train(module, hook)
    hook.close()
    assert losses == train(network())
    out = capsys.readouterr().out
    assert out.count("smdebug's hook has failed and records no more: ") == 1
    assert "Error" in out


def test_a_collection_that_smdebug_does_not_know_is_refused(folder):
    """The hook checks what it is asked to record before it touches anything."""
    module = network()
    with pytest.raises(SmdebugError, match="another one needs include_regex"):
        SmdebugHook(module, folder, save_interval=1, collections={"gradient": {}})
    assert not module._forward_pre_hooks
    assert not folder.exists()


def test_a_module_that_is_not_called_itself_is_no_step(folder, capsys):
    """Calls of its layers alone record nothing, and fail nothing."""
    module = network()
    hook = SmdebugHook(module, folder, save_interval=1, collections={"gradients": {}})
    hook.loss(module.head(torch.ones(2, 3)).sum())
    hook.close()
    assert capsys.readouterr().out == ""
    assert not list(folder.rglob("*.tfevents"))


def test_the_process_is_as_it_was(folder, monkeypatch):
    """Environment, loggers and finders stay; in a job of SageMaker's, too, the end is written."""
    monkeypatch.setenv("TRAINING_JOB_NAME", "dogs-1")
    SmdebugHook(network(), folder / "first", save_interval=1, collections={}).close()  # imports it
    before = dict(os.environ), list(logging.getLogger().handlers), list(sys.meta_path)
    module = network()
    hook = SmdebugHook(module, folder / "second", save_interval=1, collections={})
    train(module, hook)
    hook.close()
    after = dict(os.environ), list(logging.getLogger().handlers), list(sys.meta_path)
    assert after == before
    assert logging.getLogger("smdebug").handlers == []
    assert (folder / "second" / "training_job_end.ts").exists()


def test_a_process_with_a_hook_writes_nothing_of_its_own(tmp_path):
    """The log has no lines of smdebug's, a missing module is not warned of, and the end writes no files."""
    script = (
        "import shutil, sys\n"
        "from pathlib import Path\n"
        "import torch\n"
        "from sagemaker_dogbreed.container.debugging.smdebug_hook import SmdebugHook\n"
        "module = torch.nn.Linear(2, 1)\n"
        "hook = SmdebugHook(module, Path(sys.argv[1]), save_interval=1, collections={})\n"
        "hook.loss(module(torch.ones(1, 2)).sum())\n"
        "hook.close()\n"
        "shutil.rmtree(sys.argv[1])\n"
        "try: import no_such_module\n"
        "except ImportError: pass\n"
    )
    folder = tmp_path / "tensors"
    command = [sys.executable, "-W", "error::ImportWarning", "-c", script, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not folder.exists()
