"""Records statistics of weights, gradients and layers' outputs in every so manieth training step.

What a module computes, its gradients and its random numbers are the same to the last bit without it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from sagemaker_dogbreed.container.debugging.clock import now
from sagemaker_dogbreed.container.debugging.records import Record, Tensor, Tensors
from sagemaker_dogbreed.container.debugging.tensor_statistics import (
    activity,
    described,
    measurable,
    measure,
    norm,
    rounded,
    sample,
)


class Recorder:
    """Measures a module's tensors in a sampled step and hands on one record of them.

    Measured are the parameters that require gradients, their gradients, and the outputs of layers (modules
    without children) that are in training mode. How much a step changes a large weight is estimated from some
    16,000 of its elements, so that no weights are copied as a whole. An output of a layer that is used again
    has ``#2``, ``#3`` and so on after its name.
    """

    def __init__(self, module: nn.Module, sink: Callable[[Record], object], *, save_interval: int) -> None:
        """Record a module in every ``save_interval``-th step, from step 0 on.

        Raises:
            ValueError: The interval is below 1.
        """
        if save_interval < 1:
            raise ValueError(f"save_interval is 1 at least, got {save_interval}")
        self._module, self._sink, self._save_interval = module, sink, save_interval
        self._handles: list[RemovableHandle] = []
        self._sample: _Sample | None = None

    def step_begins(self, step: int) -> None:
        """Begin a step, whose forward pass is to come. What an unfinished one left is dropped."""
        if self._sample:
            self.close()
        if step % self._save_interval:
            return
        measured = self._sample = _Sample(step)
        for name, layer in self._module.named_modules():
            if layer.training and not any(True for _ in layer.children()) and type(layer) is not nn.Identity:
                self._handles.append(layer.register_forward_hook(_measures_output(measured, name)))

    def backward_done(self) -> None:
        """Measure gradients, and weights that are about to change."""
        if not self._sample:
            return
        self._remove_hooks()
        for name, layer, parameter in _trained(self._module):
            entry = self._sample.add("weight", name, layer, parameter)
            entry.before = sample(parameter).clone()
            gradient = parameter.grad
            if gradient is not None and measurable(gradient):
                self._sample.add("gradient", name, layer, gradient)

    def updated(self) -> None:
        """Measure how weights have changed, and hand on the step's record."""
        measured, self._sample = self._sample, None
        if not measured:
            return
        for name, _, parameter in _trained(self._module):
            measured.entries[f"weight/{name}"].changed_to(parameter)
        self._sink(Tensors(time=now(), step=measured.step, tensors=measured.fetched()))

    def close(self) -> None:
        """Leave the module as it was, after a step that has not come to its end."""
        self._remove_hooks()
        self._sample = None

    def _remove_hooks(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


@dataclasses.dataclass
class _Entry:
    """A tensor's numbers, which are still where the tensor is."""

    kind: str
    layer: str
    elements: int
    numbers: torch.Tensor
    active: torch.Tensor | None = None
    before: torch.Tensor | None = None
    change: torch.Tensor | None = None

    @torch.no_grad()
    def changed_to(self, weight: torch.Tensor) -> None:
        before, self.before = self.before, None
        after = sample(weight)
        if before is not None and before.shape == after.shape:
            self.change = torch.cat([norm(after - before), norm(before)])

    def vectors(self) -> tuple[torch.Tensor, ...]:
        return tuple(each for each in (self.numbers, self.active, self.change) if each is not None)

    def described(self, values: Iterator[float]) -> Tensor:
        """Return the record; of ``values`` take as many as ``vectors`` had."""
        numbers, active, change = (
            list(itertools.islice(values, len(vector))) if vector is not None else []
            for vector in (self.numbers, self.active, self.change)
        )
        percent = tuple(rounded(each) for each in active)
        tensor = described(self.kind, self.layer, self.elements, numbers, activity=percent)
        if change and change[1] > 0 and math.isfinite(change[0]):
            return dataclasses.replace(tensor, update=rounded(change[0] / change[1]))
        return tensor


class _Sample:
    """What has been measured in a step, by name."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.entries: dict[str, _Entry] = {}

    def add(self, kind: str, name: str, layer: str, tensor: torch.Tensor) -> _Entry:
        places = itertools.chain([""], (f"#{number}" for number in itertools.count(2)))
        key = next(key for place in places if (key := f"{kind}/{name}{place}") not in self.entries)
        entry = self.entries[key] = _Entry(kind, layer, tensor.numel(), measure(tensor))
        return entry

    def fetched(self) -> dict[str, Tensor]:
        """Return the records. All numbers leave the device together."""
        vectors = [vector for entry in self.entries.values() for vector in entry.vectors()]
        if not vectors:
            return {}
        values = iter(torch.cat([vector.to(vectors[0].device) for vector in vectors]).tolist())
        return {name: entry.described(values) for name, entry in self.entries.items()}


def _trained(module: nn.Module) -> Iterator[tuple[str, str, nn.Parameter]]:
    """Yield name, layer's class and parameter of all that require gradients, each once."""
    seen = set()
    for prefix, layer in module.named_modules():
        for name, parameter in layer.named_parameters(prefix, recurse=False):
            if parameter.requires_grad and measurable(parameter) and id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, type(layer).__name__, parameter


def _measures_output(measured: _Sample, name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    """Return a hook that measures a layer's output, or the first of several."""

    @torch.no_grad()
    def hook(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if torch.compiler.is_compiling():
            return  # it would become part of the compiled program
        first = output[0] if isinstance(output, tuple | list) and output else output
        if measurable(first):
            kind = type(layer).__name__
            entry = measured.add("output", name or kind, kind, first)
            entry.active = activity(kind, inputs, first)

    return hook
