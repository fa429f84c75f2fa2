"""``torch.compile`` where it works: a network that does not compile is used as it is."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.distributed import Ranks
from sagemaker_dogbreed.container.model import Classifier


def compiled(network: nn.Module, classifier: Classifier, images: torch.Tensor, ranks: Ranks) -> nn.Module:
    """Return the network compiled, or itself where that fails, which the log says.

    Compilation happens with the first batch, so one goes both ways through it, and is forgotten.

    Args:
        network: What the images go through; its weights are the classifier's.
        classifier: In the stage that is to come.
        images: As many as in a batch (batch, 3, size, size).
        ranks: They all compile, or none does.
    """
    before = classifier.trained_state()
    failure = ""
    try:
        fast = cast("nn.Module", torch.compile(network))
        classifier.train()
        fast(images).sum().backward()
        classifier.eval()
        with torch.inference_mode():
            fast(images)
    except Exception as error:  # from the compiler, the graph, or the lack of a C++ compiler
        failure = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
    for parameter in classifier.parameters():
        parameter.grad = None
    classifier.load_trained_state(before)
    if ranks.sum([bool(failure)])[0]:
        log.line(f"The network does not compile, and is used as it is ({failure or 'on another rank'})")
        return network
    return fast
