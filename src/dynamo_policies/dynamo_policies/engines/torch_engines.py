"""Engines that are torch alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from dynamo_policies.encoders import Encoder
from dynamo_policies.engines.base import EngineError, Features, Images, Shape

WARM_UPS = 3  # before a capture; what cuDNN tries out must not be captured


def eager(encoder: Encoder, shape: Shape) -> TorchEngine:
    """Return float32, one kernel after the other: what the others are held against."""
    return TorchEngine("eager", _on_device(encoder, shape, torch.float32), torch.device(shape.device))


def torch_bf16(encoder: Encoder, shape: Shape) -> TorchEngine:
    """Return bfloat16 weights and activations; images are normalised in float32 before."""
    return TorchEngine("torch_bf16", _on_device(encoder, shape, torch.bfloat16), torch.device(shape.device))


def compiled(encoder: Encoder, shape: Shape) -> TorchEngine:
    """Return float32 fused by torch.compile; takes up to minutes to make, and a C++ compiler.

    Raises:
        EngineError: it can't be compiled here.
    """
    module = torch.compile(_on_device(encoder, shape, torch.float32), dynamic=False)
    engine = TorchEngine("compiled", module, torch.device(shape.device))
    try:
        engine.features(shape.zeros(encoder))
    except RuntimeError as error:
        raise EngineError("compiled", f"torch.compile failed: {error}") from error
    return engine


def graphs(encoder: Encoder, shape: Shape) -> CudaGraph:
    """Return float32 as one CUDA graph.

    Raises:
        EngineError: the device is no CUDA device.
    """
    return CudaGraph("graphs", encoder, shape, torch.float32)


def graphs_bf16(encoder: Encoder, shape: Shape) -> CudaGraph:
    """Return bfloat16 as one CUDA graph.

    Raises:
        EngineError: the device is no CUDA device.
    """
    return CudaGraph("graphs_bf16", encoder, shape, torch.bfloat16)


class TorchEngine:
    """Calls the encoder as it is."""

    def __init__(self, name: str, module: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self.name, self._module, self._device = name, module, device

    @torch.inference_mode()
    def features(self, images: Images) -> Features:
        """Return the features (V, F) of `images` (V, H, W, 3) RGB."""
        features: Features = self._module(torch.from_numpy(images).to(self._device)).float().cpu().numpy()
        return features


class CudaGraph:
    """Replays the encoder's kernels as one graph, so that launching them costs nothing."""

    def __init__(self, name: str, encoder: Encoder, shape: Shape, dtype: torch.dtype) -> None:
        self.name = name
        self._device = torch.device(shape.device)
        if self._device.type != "cuda":
            raise EngineError(name, f"needs a CUDA device, not {shape.device!r}")
        module = _on_device(encoder, shape, dtype)
        self._given = torch.from_numpy(shape.zeros(encoder)).pin_memory()
        self._images = self._given.to(self._device)
        self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch's stubs
        self._graph = torch.cuda.CUDAGraph()
        self._features = self._capture(lambda: module(self._images).float())
        self._taken = torch.empty(self._features.shape, pin_memory=True)

    @torch.inference_mode()
    def features(self, images: Images) -> Features:
        """Return the features (V, F) of `images` (V, H, W, 3) RGB."""
        self._given.copy_(torch.from_numpy(images))
        with torch.cuda.stream(self._stream):
            self._images.copy_(self._given, non_blocking=True)
            self._graph.replay()
            self._taken.copy_(self._features, non_blocking=True)
        self._stream.synchronize()
        taken: Features = self._taken.numpy().copy()
        return taken

    @torch.inference_mode()
    def _capture(self, run: Callable[[], Tensor]) -> Tensor:
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UPS):
                run()
            self._stream.synchronize()
            with torch.cuda.graph(self._graph, stream=self._stream):
                return run()


def _on_device(encoder: Encoder, shape: Shape, dtype: torch.dtype) -> Encoder:
    """Return a frozen copy; only the trunk is of `dtype`, as in an Embedder."""
    mine = copy.deepcopy(encoder).requires_grad_(requires_grad=False).eval().to(device=shape.device)
    mine.trunk.to(dtype=dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
    return mine
