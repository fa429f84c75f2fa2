"""A backbone as a row of blocks, from the images to the features; one rule for all of torchvision's.

A block is a child of a module that has two or more weighted layers (a residual stage, an inception or
dense block, a transformer's layer), with the single layers before it; the last one has those after it
too. The blocks are sought in the backbone itself, and inside its last block for as long as that one
holds nearly all of the parameters up to its end and has blocks of its own.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

_NEARLY_ALL = 0.9


def block_names(backbone: nn.Module) -> tuple[tuple[str, ...], ...]:
    """Return the blocks, first to last, each as the names of the modules it is made of.

    Parameters of no named module, as a transformer's class token, are the first block's (``block_of``).
    """
    row = _children(backbone, "")
    while True:
        composite = [place for place, (_, module) in enumerate(row) if _is_block(module)]
        if not composite:
            return (tuple(name for name, _ in row),)
        last = composite[-1]
        name, module = row[last]
        inner = _children(module, f"{name}.")
        so_far = sum(_size(child) for _, child in row[: last + 1])
        if _size(module) < _NEARLY_ALL * so_far or not any(_is_block(child) for _, child in inner):
            break
        row[last : last + 1] = inner
    ends = [0, *(place + 1 for place in composite[:-1]), len(row)]
    return tuple(tuple(name for name, _ in row[start:end]) for start, end in pairwise(ends))


def block_of(blocks: tuple[tuple[str, ...], ...], name: str) -> int:
    """Return the number of the block that the parameter or buffer of such a name belongs to."""
    for number, modules in enumerate(blocks):
        if any(name.startswith(f"{module}.") for module in modules):
            return number
    return 0


def _children(module: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    return [(prefix + name, child) for name, child in module.named_children() if _size(child)]


def _is_block(module: nn.Module) -> bool:
    return sum(parameter.dim() > 1 for parameter in module.parameters()) > 1


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
