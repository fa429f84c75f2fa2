"""Tensors that smdebug's hook saved, read as the records of a training."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
import sys

import pytest

from sagemaker_dogbreed.analysis.smdebug_tensors import read_smdebug
from sagemaker_dogbreed.errors import MissingExtraError, RecordingError

needs_smdebug = pytest.mark.skipif(
    importlib.util.find_spec("smdebug") is None, reason="smdebug is not installed (the debugger extra)"
)

# In a process of its own: smdebug keeps what it does to a process.
TRAIN = """
import sys
import smdebug.pytorch as smdebug
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.relu, self.head = nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)
    def forward(self, images):
        return self.head(self.relu(self.stem(images)))

torch.set_num_threads(1)
kinds = dict(reductions=["mean", "std", "min", "max"], abs_reductions=["mean"], norms=["l2"])
for name in ("whole", "reduced"):
    torch.manual_seed(0)
    net, loss = Net(), nn.CrossEntropyLoss()
    with torch.no_grad():
        net.stem.bias[0] = -1000.0  # a unit that is never active
    hook = smdebug.Hook(
        out_dir=f"{sys.argv[1]}/{name}",
        save_config=smdebug.SaveConfig(save_interval=1),
        reduction_config=smdebug.ReductionConfig(**kinds) if name == "reduced" else None,
        include_collections=["losses", "weights", "gradients", "relu_output"],
    )
    hook.get_collection("relu_output").include("relu_output")
    hook.register_module(net)
    hook.register_loss(loss)
    images, labels = torch.randn(8, 4), torch.randint(3, (8,))
    for epoch in range(2):
        hook.set_mode(smdebug.modes.TRAIN)
        for _ in range(3):
            net.zero_grad()
            loss(net(images), labels).backward()
            with torch.no_grad():  # torch.optim takes seconds to import
                for parameter in net.parameters():
                    parameter -= 0.1 * parameter.grad
        hook.set_mode(smdebug.modes.EVAL)
        with torch.no_grad():
            loss(net(images), labels)
    hook.close()
"""


@pytest.fixture(scope="module")
def whole(saved):
    """The records of the training whose tensors were saved whole."""
    return read_smdebug(saved / "whole")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders that the hook wrote: one with whole tensors, one with reductions of them."""
    if importlib.util.find_spec("smdebug") is None:
        pytest.skip("smdebug is not installed (the debugger extra)")
    folder = tmp_path_factory.mktemp("smdebug")
    command = [sys.executable, "-W", "ignore", "-c", TRAIN, str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


def test_a_training_is_read(whole):
    """Losses, weights with their updates, gradients, and the units of ReLUs; evaluations end epochs."""
    assert [step.step for step in whole.steps] == [0, 1, 2, 3, 4, 5]
    assert [step.epoch for step in whole.steps] == [1, 1, 1, 2, 2, 2]
    assert whole.steps[-1].loss < whole.steps[0].loss
    assert [epoch.epoch for epoch in whole.epochs] == [1, 2]
    assert whole.epochs[-1].measures["valid_loss"] < whole.epochs[0].measures["valid_loss"]
    first = whole.tensors[0].tensors
    assert {tensor.kind for tensor in first.values()} == {"weight", "gradient", "output"}
    assert whole.tensors[0].tensors["weight/Net_head.weight"].update is None
    assert 0 < whole.tensors[1].tensors["weight/Net_head.weight"].update < 1
    relu = whole.latest("output")["relu"]
    assert (relu.layer, relu.elements, relu.activity[0]) == ("ReLU", 48, 0)
    assert relu.activity[-1] > 0


def test_layers_come_in_the_networks_order(whole):
    """The stem is before the head, though smdebug sorts names, and gradients are there from the head on."""
    names = list(whole.tensors[0].tensors)
    for kind in ("weight", "gradient"):
        layers = dict.fromkeys(name.split(".")[0] for name in names if name.startswith(f"{kind}/"))
        assert list(layers) == [f"{kind}/Net_stem", f"{kind}/Net_head"]


def test_reductions_tell_what_they_can(saved, whole):
    """Where tensors were not saved whole, their mean, spread and norm are there, and the rest is NaN."""
    tensor = read_smdebug(saved / "reduced").latest("weight")["Net_head.weight"]
    expected = whole.latest("weight")["Net_head.weight"]
    for name in ("mean", "mean_abs", "minimum", "maximum", "norm"):
        assert getattr(tensor, name) == pytest.approx(getattr(expected, name), rel=1e-4)
    assert math.isnan(tensor.zeros)


def test_reading_leaves_the_process_as_it_was(saved, capfd):
    """Neither log lines nor finders of modules stay behind."""
    finders = list(sys.meta_path)
    read_smdebug(saved / "whole")
    assert list(sys.meta_path) == finders
    assert capfd.readouterr().out == ""


def test_what_is_missing_is_an_error_and_no_wait(saved, tmp_path):
    """The package would wait for files that never come."""
    with pytest.raises(RecordingError, match="was not written by smdebug's hook"):
        read_smdebug(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(saved / "whole", copy)
    next(copy.glob("events/*/*.tfevents")).unlink()
    with pytest.raises(RecordingError, match="copy all of it"):
        read_smdebug(copy)


@needs_smdebug
@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"_meta": {"num_workers": 3}, "collections": {}})])
def test_damaged_collections_are_an_error(tmp_path, text):
    """So are those of workers whose files were not copied."""
    path = tmp_path / "collections" / "000000000" / "worker_0_collections.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(RecordingError):
        read_smdebug(tmp_path)


@needs_smdebug
def test_an_index_leads_nowhere_else(saved, tmp_path):
    """A file outside the folder is not read, whatever an index says."""
    copy = tmp_path / "copy"
    shutil.copytree(saved / "whole", copy)
    (tmp_path / "secret").write_text("secret")
    index = min(copy.glob("index/*/*.json"))
    content = json.loads(index.read_text())
    content["meta"]["event_file_name"] = "../secret"
    index.write_text(json.dumps(content))
    with pytest.raises(RecordingError, match=r"\.\./secret"):
        read_smdebug(copy)


def test_without_smdebug_the_extra_is_named(saved):
    """In a process that cannot import it, the error says what to install."""
    program = (
        "import sys; sys.modules['smdebug'] = None\n"
        "from sagemaker_dogbreed.analysis.smdebug_tensors import read_smdebug\n"
        "read_smdebug(sys.argv[1])"
    )
    command = [sys.executable, "-c", program, str(saved / "whole")]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert MissingExtraError.__name__ in run.stderr
    assert "sagemaker-dogbreed[debugger]" in run.stderr
