"""SageMaker Debugger's own hook, smdebug's, for those whose rules and notebooks read what it writes.

smdebug is no longer developed: it works with some versions of some packages, writes to the log as it is
imported, leaves things in the process, and cannot be taken off a module. All that is dealt with here.
https://github.com/awslabs/sagemaker-debugger/blob/master/docs/pytorch.md
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.debugging.smdebug_checks import (
    SmdebugError,
    check_collections,
    check_installed,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

LOSS = "CrossEntropyLoss"
"""What the loss is recorded as: smdebug makes ``CrossEntropyLoss_output_0`` of it, as of torch's module."""


class SmdebugHook:
    """smdebug's hook on a module: each call of the module is a step, in the mode that is set.

    Of several processes that train together the first one alone has a hook. Gradients are that process's own,
    before they are averaged. A hook that fails says so and records no more; the training goes on.
    """

    def __init__(
        self,
        module: nn.Module,
        out_dir: Path,
        *,
        save_interval: int,
        collections: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Put a hook on the module that batches pass. Its mode is that of training.

        Args:
            module: Not compiled by ``torch.compile``, which hooks would break up.
            out_dir: Folder for what is recorded, which smdebug's ``create_trial`` reads. What an earlier hook
                left there goes to a folder beside it, for smdebug can add nothing to that.
            save_interval: Steps from one recording to the next, unless a collection has its own.
            collections: Names, and each one's parameters; losses are recorded in any case.

        Raises:
            SmdebugError: smdebug does not work here, or there is something wrong with a collection.
            OSError: The folder cannot be written.
        """
        check_installed()
        check_collections(collections)
        _set_aside(out_dir)
        try:
            self._hook, self._modes = _hook(out_dir, save_interval, collections)
        except Exception as error:
            raise SmdebugError(f"smdebug's hook cannot be made: {type(error).__name__}: {error}") from error
        self._module = module
        self._handles: list[Any] = []
        self._with_gradient: set[str] = set()
        self._begun = self._failed = self._closed = False
        for name, layer in module.named_modules():
            layer._module_name = name or type(module).__name__  # noqa: SLF001 - where smdebug looks for it
            self._handles.append(layer.register_forward_hook(self._layer_called))
        self._handles.append(module.register_forward_pre_hook(self._step_begins))
        self.train_mode()

    def train_mode(self) -> None:
        """Count the next steps as training. What trains by now has its gradients recorded."""
        if self._closed:
            return
        for name, parameter in self._module.named_parameters():
            if parameter.requires_grad and name not in self._with_gradient:
                self._with_gradient.add(name)
                record = self._hook.backward_hook(f"{type(self._module).__name__}_{name}")
                hook = functools.partial(self._safely, record)
                self._handles.append(parameter.register_hook(hook))  # type: ignore[no-untyped-call]  # torch's
        self._safely(self._hook.set_mode, self._modes.TRAIN)

    def evaluate_mode(self) -> None:
        """Count the next steps as evaluation."""
        self._safely(self._hook.set_mode, self._modes.EVAL)

    def loss(self, value: torch.Tensor) -> None:
        """Record the mean loss of the batch that has just passed the module."""
        if self._begun:
            self._safely(self._hook.record_tensor_value, LOSS, value.detach())

    def close(self) -> None:
        """Take the hook off the module, which is then as it was, and end the recording."""
        if self._closed:
            return
        self._closed = True
        for handle in self._handles:
            handle.remove()
        for layer in self._module.modules():
            vars(layer).pop("_module_name", None)
        try:
            with _contained():
                self._hook.close()
                vars(self._hook.profiler_config_parser).pop("load_config", None)
                importlib.import_module("smdebug.core.singleton_utils").del_hook()
                importlib.import_module("smdebug.core.utils").error_handling_agent.set_hook(None)
        except Exception as error:  # a disk that is full is no reason for the training to fail
            self._fail(error)

    def _step_begins(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._begun = True
        self._safely(self._hook.forward_pre_hook, module, inputs)

    def _layer_called(self, layer: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        if self._begun:
            self._safely(self._hook.forward_hook, layer, inputs, outputs)

    def _safely(self, function: Callable[..., object], *arguments: Any) -> None:
        if self._failed or self._closed:
            return
        try:
            function(*arguments)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._failed:
            return
        self._failed = True
        log.line(f"smdebug's hook has failed and records no more: {type(error).__name__}: {error}")


def _hook(out_dir: Path, save_interval: int, collections: Mapping[str, Mapping[str, str]]) -> tuple[Any, Any]:
    """Return a hook as SageMaker Debugger's configuration would make it, and smdebug's modes."""
    named: dict[str, Mapping[str, str]] = {"losses": {}, **collections}
    with _contained(), tempfile.TemporaryDirectory() as folder:
        smdebug = importlib.import_module("smdebug.pytorch")
        configuration = {
            "LocalPath": str(out_dir),
            "HookParameters": {"save_interval": str(save_interval)},
            "CollectionConfigurations": [
                {"CollectionName": name, "CollectionParameters": dict(parameters)}
                for name, parameters in named.items()
            ],
        }
        file = Path(folder) / "debughookconfig.json"
        file.write_text(json.dumps(configuration), encoding="utf-8")
        hook = _hook_class(smdebug.Hook).create_from_json_file(str(file))
    parser = hook.profiler_config_parser
    # What is left to do is done by close(); the profiler, which records nothing, looks for a file each step.
    for function in (hook._cleanup, parser.stop_post_hook_close_python_profiling, smdebug.del_hook):  # noqa: SLF001 - what it registered
        atexit.unregister(function)
    parser.load_config = lambda: None
    return hook, smdebug.modes


@functools.cache
def _hook_class(base: Any) -> Any:
    import numpy as np

    class Array(np.ndarray[Any, Any]):
        tostring = np.ndarray.tobytes  # which numpy has deprecated, then removed

    class Hook(base):  # type: ignore[misc]  # smdebug has no types
        def has_default_configuration(self) -> bool:
            return False  # of which it would hide errors

        @staticmethod
        def _make_numpy_array(value: Any) -> Any:
            if type(value).__module__.startswith("torch"):
                value = value.detach().cpu()
                value = value.float() if str(value.dtype) == "torch.bfloat16" else value
            return np.asarray(base._make_numpy_array(value)).view(Array)  # noqa: SLF001 - it is its own

    return Hook


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Keep smdebug from SageMaker's variables, and what it does to the process from the process."""
    nowhere = str(Path(tempfile.gettempdir()) / "no-such-configuration" / "of-smdebug.json")
    changed: dict[str, str | None] = {
        "TRAINING_JOB_NAME": None,  # with it no end is written, for which create_trial waits
        "SMPROFILER_CONFIG_PATH": nowhere,
        "CHECKPOINT_CONFIG_FILE_PATH": nowhere,  # with one it looks at all checkpoints each step
        "SMDEBUG_LOG_LEVEL": os.environ.get("SMDEBUG_LOG_LEVEL", "warning"),
    }
    before = {name: os.environ.get(name) for name in changed}
    finders = list(sys.meta_path)
    _set_variables(changed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages that have aged
            yield
    finally:
        _set_variables(before)
        # An old finder among those it brings warns of each module that is not found.
        sys.meta_path[:] = [each for each in sys.meta_path if each in finders or hasattr(each, "find_spec")]
        logger = logging.getLogger("smdebug")
        logger.handlers.clear()  # that on standard output
        logger.propagate = True


def _set_variables(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _set_aside(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        number = 1
        while (aside := folder.with_name(f"{folder.name}-{number}")).exists():
            number += 1
        folder.rename(aside)
