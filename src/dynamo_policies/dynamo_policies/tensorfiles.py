"""Tensors and plain values on disk: safetensors and JSON only, written whole or not at all, read strictly."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from dynamo_policies.errors import DynamoError


class TensorFileError(DynamoError):
    """A file of tensors or of plain values is missing, damaged or does not fit."""


class KeysDifferError(TensorFileError):
    """The tensors in a file are not those that a network needs."""

    def __init__(self, where: str, missing: list[str], unknown: list[str]) -> None:
        parts = [
            f"{what} {_shortened(names)}"
            for what, names in (("missing", missing), ("unknown", unknown))
            if names
        ]
        super().__init__(f"{where} does not fit the network: {'; '.join(parts)}")


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write `tensors` to the safetensors file at `path`; a reader sees the old file or the new one, whole."""
    # Copies, because the format knows neither shared memory nor a memory order other than the usual one.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    write_whole(path, to_bytes(plain, metadata=dict(metadata or {})))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of the safetensors file at `path`, or raise TensorFileError."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 - not a dict
    except FileNotFoundError as error:
        raise TensorFileError(f"{path} is not there") from error
    except (SafetensorError, OSError) as error:
        raise TensorFileError(f"{path} is not a readable safetensors file: {error}") from error


def fill(module: nn.Module, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Copy `tensors` into `module`; TensorFileError unless every name and shape fits."""
    expected = module.state_dict()
    missing, unknown = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or unknown:
        raise KeysDifferError(where, missing, unknown)
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            given, needed = tuple(tensor.shape), tuple(expected[name].shape)
            raise TensorFileError(f"{where}: {name} has shape {given} where {needed} is needed")
    module.load_state_dict(dict(tensors))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` as indented JSON to `path`, whole or not at all."""
    write_whole(path, (json.dumps(values, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file at `path`, or raise TensorFileError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TensorFileError(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise TensorFileError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise TensorFileError(f"{path} holds {type(values).__name__}, not a JSON object")
    return values


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` under a temporary name, flush it to the disk and rename it to `path`.

    Raises:
        TensorFileError: it can't be written; what was at `path` before is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise TensorFileError(f"can't write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of the file at `path` as hexadecimal text, or raise TensorFileError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise TensorFileError(f"can't read {path}: {error.strerror}") from error
    return digest.hexdigest()


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
