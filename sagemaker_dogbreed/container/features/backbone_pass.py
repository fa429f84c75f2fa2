"""The frozen backbone as a function from images to features, as fast as this machine has it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from sagemaker_dogbreed.container import log
from sagemaker_dogbreed.container.hparams import Hyperparameters

_CPU_BATCH = 8  # what a layer leaves fits the processor's cache: 1.2 times the speed of 32
_GPU_BATCH = 128
_MANY_IMAGES = 1000
_ALIKE = 0.999  # cosine of an image's features to those in full precision

Run = Callable[[torch.Tensor], torch.Tensor]


class EngineError(Exception):
    """The engine that was asked for cannot run the backbone; the message names the way out."""


class BackbonePass:
    """Images (batch, 3, size, size) to features (batch, width), float32 in main memory.

    Convolutions and the batch normalisations behind them are folded into one. Reduced precision or
    another engine is only used where the features of the first batch are those of the backbone as it is.
    """

    def __init__(
        self, backbone: nn.Module, wanted: Hyperparameters, device: torch.device, *, threads: int, images: int
    ) -> None:
        """Prepare the backbone, which itself stays as it is.

        Args:
            backbone: In evaluation mode, on the device.
            wanted: Engine and precision.
            device: Where it runs.
            threads: Processors it may use.
            images: How many there are: for few, an engine takes longer to prepare than it saves.

        Raises:
            EngineError: The engine that was asked for is not installed.
        """
        self.batch_size = _CPU_BATCH if device.type == "cpu" else _GPU_BATCH
        self._backbone, self._wanted, self._device, self._threads = backbone, wanted, device, threads
        self._auto = device.type == "cpu" and images >= _MANY_IMAGES and _openvino() is not None
        self._run: Run | None = None
        if wanted.precision == "bf16" and not gains_by_bfloat16(device):
            log.line("This processor does not compute in bfloat16: images pass the backbone in float32")
        if wanted.engine == "openvino" and _openvino() is None:
            raise EngineError(
                "engine: openvino needs the package openvino, which is not installed here; use engine: auto"
            )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features of at most ``batch_size`` images."""
        missing = self.batch_size - len(images)
        if missing:  # engines prepare for one shape
            images = torch.cat([images, images[:1].expand(missing, -1, -1, -1)])
        with torch.inference_mode():
            if self._run is None:
                self._run = self._chosen(images)
            features = self._run(images)
        return features[: self.batch_size - missing].float().cpu()

    def _chosen(self, images: torch.Tensor) -> Run:
        """Return the fastest way that yields what the backbone yields."""
        expected = self._backbone(images.to(self._device)).float().cpu()
        for name, make in self._ways():
            try:
                run = make(images)
                features = run(images).float().cpu()
            except Exception as error:  # whatever an engine makes of a network it does not know
                log.line(f"{name} does not run this backbone ({type(error).__name__}: {error})")
                continue
            alike = float(nn.functional.cosine_similarity(features, expected).min())
            if alike >= _ALIKE:
                log.line(f"Features by {name}")
                return run
            log.line(f"{name} yields other features (cosine {alike:.4f}): it is not used")
        return lambda images: cast("torch.Tensor", self._backbone(images.to(self._device)))

    def _ways(self) -> list[tuple[str, Callable[[torch.Tensor], Run]]]:
        """Return names of ways and what prepares them, the fastest first."""
        wanted = self._wanted
        ways: list[tuple[str, Callable[[torch.Tensor], Run]]] = []
        if wanted.engine == "openvino" or (wanted.engine == "auto" and self._auto):
            ways.append(("OpenVINO", self._with_openvino))
        if wanted.precision != "fp32" and gains_by_bfloat16(self._device):
            ways.append(("torch, bfloat16", lambda _: self._with_torch(torch.bfloat16)))
        return [*ways, ("torch, float32", lambda _: self._with_torch(torch.float32))]

    def _with_torch(self, dtype: torch.dtype) -> Run:
        network = _folded(self._backbone).to(dtype).to(memory_format=torch.channels_last)

        def run(images: torch.Tensor) -> torch.Tensor:
            images = images.to(self._device, dtype, memory_format=torch.channels_last, non_blocking=True)
            return cast("torch.Tensor", network(images))

        return run

    def _with_openvino(self, images: torch.Tensor) -> Run:
        openvino = _openvino()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it traces the network in a way that torch means to give up
            model = openvino.convert_model(
                copy.deepcopy(self._backbone).cpu(), example_input=images, input=[*images.shape]
            )
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": self._threads}
        if self._wanted.precision != "auto":
            options["INFERENCE_PRECISION_HINT"] = {"fp32": "f32", "bf16": "bf16"}[self._wanted.precision]
        compiled = openvino.Core().compile_model(model, "CPU", options)
        return lambda images: torch.from_numpy(compiled(images.contiguous().numpy())[0].copy())


def gains_by_bfloat16(device: torch.device) -> bool:
    """Return whether a device computes in bfloat16 by itself; elsewhere it is emulated, and slow."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    told: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(told.get("avx512_bf16") or told.get("amx_bf16"))


def _folded(backbone: nn.Module) -> nn.Module:
    """Return a copy whose batch normalisations are part of the convolutions before them."""
    from torch.fx.experimental.optimization import fuse

    try:
        return fuse(backbone)
    except Exception:  # a network that decides by its input cannot be traced
        return copy.deepcopy(backbone)


def _openvino() -> Any:
    try:
        import openvino  # type: ignore[import-not-found, unused-ignore]  # optional
    except ImportError:
        return None
    return openvino
