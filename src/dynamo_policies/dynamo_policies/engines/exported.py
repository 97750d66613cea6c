"""Engines outside torch that run the exported encoder; each is an optional package (extra `engines`)."""

from __future__ import annotations

import io
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch

from dynamo_policies.encoders import Encoder
from dynamo_policies.engines.base import EngineError, Features, Images, Shape


class Onnx:
    """ONNX Runtime, float32."""

    name = "onnx"

    def __init__(self, encoder: Encoder, shape: Shape) -> None:
        runtime = _package(self.name, "onnxruntime")
        _only_cpu(self.name, shape)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = shape.threads
        # Threads that wait must sleep, since others have work to do.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = runtime.InferenceSession(
            _as_onnx(self.name, encoder, shape), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def features(self, images: Images) -> Features:
        """Return the features (V, F) of `images` (V, H, W, 3) RGB."""
        features: Features = self._session.run(None, {self._input: images})[0]
        return features


class OpenVino:
    """OpenVINO; processors without bfloat16 instructions compute in float32 even where bf16 is asked for."""

    def __init__(self, encoder: Encoder, shape: Shape, precision: Literal["f32", "bf16"]) -> None:
        self.name = "openvino" if precision == "f32" else "openvino_bf16"
        openvino = _package(self.name, "openvino")
        _only_cpu(self.name, shape)
        model = openvino.Core().read_model(_as_onnx(self.name, encoder, shape))
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": shape.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        self._request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def features(self, images: Images) -> Features:
        """Return the features (V, F) of `images` (V, H, W, 3) RGB."""
        self._request.infer([images], share_inputs=True)
        return np.array(self._request.get_output_tensor(0).data, np.float32)


def openvino(encoder: Encoder, shape: Shape) -> OpenVino:
    """Return OpenVINO in float32; EngineError where it can't be had."""
    return OpenVino(encoder, shape, "f32")


def openvino_bf16(encoder: Encoder, shape: Shape) -> OpenVino:
    """Return OpenVINO in bfloat16; EngineError where it can't be had."""
    return OpenVino(encoder, shape, "bf16")


def _as_onnx(engine: str, encoder: Encoder, shape: Shape) -> bytes:
    """Return the encoder as an ONNX model for images of this shape.

    OpenVINO reads it too: that takes a quarter of the time of its own conversion of torch's modules.
    """
    _package(engine, "onnx")
    file, images = io.BytesIO(), torch.from_numpy(shape.zeros(encoder))
    try:
        with warnings.catch_warnings():
            # The exporter that replaces this one needs one package more.
            warnings.simplefilter("ignore", DeprecationWarning)
            # Shapes become constants in the graph, which is meant.
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]  # stubs
            torch.onnx.export(encoder.cpu().eval(), (images,), file, dynamo=False)  # type: ignore[arg-type]  # torch's stubs lack files
    except RuntimeError as error:
        raise EngineError(engine, f"this encoder can't be exported: {error}") from error
    return file.getvalue()


def _package(engine: str, name: str) -> ModuleType | Any:
    try:
        return import_module(name)
    except ImportError as error:
        reason = f"package {name!r} is not installed ({error}); pip install 'dynamo_policies[engines]'"
        raise EngineError(engine, reason) from error


def _only_cpu(engine: str, shape: Shape) -> None:
    if torch.device(shape.device).type != "cpu":
        raise EngineError(engine, f"runs on the CPU only, not on {shape.device!r}")
