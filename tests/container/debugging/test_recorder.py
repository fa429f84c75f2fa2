"""The recorder of tensors: what it measures, and that it changes nothing."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import nn

from sagemaker_dogbreed.container.debugging.recorder import Recorder
from sagemaker_dogbreed.container.debugging.records import Tensors

pytestmark = pytest.mark.usefixtures("one_thread")


def network() -> nn.Sequential:
    """Make a network with random dropout, batch statistics and a ReLU that overwrites its input."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Flatten(), nn.Dropout(), nn.Linear(288, 4),
    )  # fmt: skip


def hooks(module: nn.Module) -> int:
    """Count the hooks of a module and those within it."""
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules())


def take_steps(module: nn.Module, recorder: Recorder | None, steps: int = 5, dtype: Any = None) -> list[Any]:
    """Train so many steps, and return all that could tell whether something is different."""
    torch.manual_seed(1)
    optimizer = torch.optim.Adam((each for each in module.parameters() if each.requires_grad), lr=0.01)
    seen: list[Any] = []
    for step in range(steps):
        images, labels = torch.randn(6, 3, 8, 8), torch.randint(4, (6,))
        if recorder:
            recorder.step_begins(step)
        with torch.autocast("cpu", dtype, enabled=dtype is not None):
            scores = module(images)
        optimizer.zero_grad()
        nn.functional.cross_entropy(scores.float(), labels).backward()
        seen += [scores.detach(), *(each.grad for each in module.parameters() if each.grad is not None)]
        if recorder:
            recorder.backward_done()
        optimizer.step()
        if recorder:
            recorder.updated()
    return [*(each.clone() for each in seen), *module.state_dict().values(), torch.get_rng_state()]


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_training_is_the_same_to_the_last_bit(dtype):
    """Scores, gradients, weights, batch statistics and random numbers do not tell whether one records."""
    torch.manual_seed(0)
    module = network()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    expected = take_steps(module, None, dtype=dtype)
    module.load_state_dict(state)
    records: list[Tensors] = []
    got = take_steps(module, Recorder(module, records.append, save_interval=2), dtype=dtype)
    assert [record.step for record in records] == [0, 2, 4]
    assert len(expected) == len(got)
    assert all(torch.equal(one, other) for one, other in zip(expected, got, strict=True))


def test_a_sampled_step_records_weights_gradients_and_outputs():
    """Each has the numbers that the tensor itself gives; an update is what the step has changed."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    before = module[0].weight.detach().clone()
    records: list[Tensors] = []
    recorder = Recorder(module, records.append, save_interval=1)
    recorder.step_begins(0)
    output = module(torch.randn(5, 3))
    output.sum().backward()
    recorder.backward_done()
    with torch.no_grad():
        module[0].weight.mul_(1.5)
    recorder.updated()
    tensors = records[0].tensors
    assert list(tensors) == [
        "output/0", "output/1", "weight/0.weight", "gradient/0.weight", "weight/0.bias", "gradient/0.bias"
    ]  # fmt: skip
    weight, gradient, relu = (tensors[name] for name in ("weight/0.weight", "gradient/0.weight", "output/1"))
    assert (weight.kind, weight.layer, weight.elements) == ("weight", "Linear", 6)
    assert weight.norm == pytest.approx(before.norm().item(), rel=1e-5)
    assert weight.update == pytest.approx(0.5, rel=1e-5)
    assert tensors["weight/0.bias"].update == 0.0
    assert gradient.mean == pytest.approx(module[0].weight.grad.mean().item(), rel=1e-5)
    assert gradient.update is None
    assert relu.zeros == pytest.approx((output == 0).double().mean().item())
    assert len(relu.activity) == 21
    assert tensors["output/0"].activity == ()


def test_only_what_trains_is_recorded():
    """A frozen part has neither weights nor gradients; in evaluation mode, under no_grad, no outputs."""

    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = network()[:4].requires_grad_(False).eval()
            self.head = nn.Linear(288, 4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                features = self.backbone(images)
            return self.head(features)

    records: list[Tensors] = []
    module = Frozen()
    take_steps(module, Recorder(module, records.append, save_interval=1), steps=1)
    assert set(records[0].tensors) == {
        "output/head", "weight/head.weight", "weight/head.bias", "gradient/head.weight", "gradient/head.bias"
    }  # fmt: skip


def test_what_an_inference_mode_makes_can_be_recorded():
    """Cached features come from inference mode; a single layer without a name of its own is recorded."""
    module, records = nn.Linear(4, 4), []
    recorder = Recorder(module, records.append, save_interval=1)
    with torch.inference_mode():
        features = torch.randn(5, 4)
    recorder.step_begins(0)
    module(features.clone()).sum().backward()
    recorder.backward_done()
    recorder.updated()
    assert set(records[0].tensors) == {
        "output/Linear", "weight/weight", "weight/bias", "gradient/weight", "gradient/bias"
    }  # fmt: skip


def test_hooks_are_there_in_a_sampled_step_only():
    """A step that is not sampled runs the module as it is."""
    module, records = network(), []
    recorder = Recorder(module, records.append, save_interval=3)
    seen = []
    for step in range(4):
        recorder.step_begins(step)
        seen.append(hooks(module))
        module(torch.randn(2, 3, 8, 8)).sum().backward()
        recorder.backward_done()
        assert hooks(module) == 0
        recorder.updated()
    assert seen == [6, 0, 0, 6]


@pytest.mark.parametrize("end", [lambda recorder: recorder.close(), lambda recorder: recorder.step_begins(1)])
def test_a_forward_pass_that_fails_leaves_nothing(end):
    """What a step has measured that has not come to its end is dropped, with its hooks."""
    module, records = network(), []
    recorder = Recorder(module, records.append, save_interval=100)
    recorder.step_begins(0)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        module(torch.randn(2, 3, 9, 9))
    end(recorder)
    assert hooks(module) == 0
    recorder.backward_done()
    recorder.updated()
    assert records == []


def test_no_tensor_is_kept():
    """After a step nothing of it is left but numbers."""
    module = network()
    kept: list[Any] = []
    recorder = Recorder(module, kept.append, save_interval=1)
    take_steps(module, recorder, steps=1)
    recorder.step_begins(1)
    output = module(torch.randn(2, 3, 8, 8))
    output.sum().backward()
    recorder.backward_done()
    gradient = weakref.ref(module[0].weight.grad)
    for each in module.parameters():
        each.grad = None
    outputs = weakref.ref(output)
    del output, each
    gc.collect()
    assert outputs() is None
    assert gradient() is None
    recorder.updated()
    assert recorder._sample is None


def test_a_layer_that_is_used_again_has_a_number():
    """Each use of a layer in a step is recorded."""
    shared, records = nn.Linear(4, 4), []
    module = nn.Sequential(shared, nn.Tanh(), shared)
    recorder = Recorder(module, records.append, save_interval=1)
    recorder.step_begins(0)
    module(torch.randn(5, 4)).sum().backward()
    recorder.backward_done()
    recorder.updated()
    outputs = [name for name in records[0].tensors if name.startswith("output")]
    assert outputs == ["output/0", "output/1", "output/0#2"]
    assert "weight/2.weight" not in records[0].tensors


def test_compiled_programs_have_no_recorder_in_them():
    """A module that is compiled in a sampled step goes on as it would have without one."""
    module, records = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), []
    recorder = Recorder(module, records.append, save_interval=100)
    recorder.step_begins(0)
    program = torch.compile(module, backend="eager")
    inputs = torch.randn(5, 4)
    compiled = program(inputs)
    assert recorder._sample.entries == {}
    recorder.close()
    assert torch.equal(program(inputs), compiled)
    assert torch.equal(module(inputs), compiled)


def test_the_interval_is_one_at_least():
    """Zero would be no interval."""
    with pytest.raises(ValueError, match="save_interval is 1 at least, got 0"):
        Recorder(nn.Linear(1, 1), print, save_interval=0)
