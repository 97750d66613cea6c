"""The weights in somebody else's checkpoint, under torchvision's or timm's names.

Files are read as data: safetensors, or PyTorch's format without any code in it.
"""

from __future__ import annotations

import argparse
import pickle
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dynamo_policies.errors import DynamoError
from dynamo_policies.tensorfiles import read_tensors

WRAPPERS = ("r3m", "model", "state_dict")  # top-level keys that hold the weights
MAGICS = (b"PK\x03\x04", b"\x80")  # of a zip file, and of the pickle that PyTorch wrote before 1.6
# What torch raises where the bytes make no sense.
BROKEN = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(MemoryError, struct.error),
)
PREFIXES = ("module.", "_orig_mod.", "convnet.", "encoder.", "backbone.")
# Heads and decoders: classifiers, R3M's language model, what MAE reconstructs pixels with.
UNUSED = re.compile(r"^(fc|head)\.|decoder|mask_token|lang_enc|lang_rew")
# DynaMo's authors keep a ResNet's parts in one numbered sequence.
NUMBERED = re.compile(r"^resnet\.(\d+)\.")
NUMBERS = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


class ForeignWeightsError(DynamoError):
    """A checkpoint can't be read safely, or does not hold an encoder that is known."""


class ForeignWeights(NamedTuple):
    """What a checkpoint held."""

    tensors: dict[str, Tensor]  # under torchvision's or timm's names
    layout: str  # the top-level key that held them, or "flat"
    dropped: tuple[str, ...]  # as named in the file
    others: tuple[str, ...]  # top-level keys beside the weights
    numbered: bool  # whether names were those of DynaMo's authors


def read_weights(path: Path) -> ForeignWeights:
    """Return the weights in the file at `path`.

    Raises:
        ForeignWeightsError: the file can't be read, holds more than data, no weights, or several encoders'.
        TensorFileError: it is a damaged safetensors file.
    """
    content: Any = read_tensors(path)[0] if path.suffix == ".safetensors" else _load(path)
    if not isinstance(content, Mapping):
        raise ForeignWeightsError(f"{path} holds {type(content).__name__}, not weights by name")
    layout = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), "flat")
    held = content if layout == "flat" else content[layout]
    tensors = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ForeignWeightsError(
            f"{path} holds no weights: no tensors under any of {', '.join(WRAPPERS)} or at the top, where it "
            f"has {_some(content)}"
        )
    used = {name: tensor for name, tensor in tensors.items() if not UNUSED.search(_stripped(name))}
    _check_distinct(used, path)
    return ForeignWeights(
        tensors={_renamed(name): tensor for name, tensor in used.items()},
        layout=layout,
        dropped=tuple(name for name in tensors if name not in used),
        others=() if layout == "flat" else tuple(str(key) for key in content if key != layout),
        numbered=any(NUMBERED.match(_stripped(name)) for name in used),
    )


def _check_distinct(names: Iterable[str], path: Path) -> None:
    """Raise ForeignWeightsError where two of `names` are one without their prefixes."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(_renamed(name), name)
        if other != name:
            raise ForeignWeightsError(
                f"{path} holds more than one encoder: {other} and {name} are both {_renamed(name)}; save the "
                "weights of one of them to a file of its own"
            )


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            if not file.read(4).startswith(MAGICS):
                raise ForeignWeightsError(f"{path} is no PyTorch checkpoint")
        # MAE's checkpoints hold the command line's values; a Namespace is a bag of names and runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ForeignWeightsError(f"can't read {path}: {error.strerror}") from error
    except pickle.UnpicklingError as error:
        raise ForeignWeightsError(
            f"{path} is damaged, or holds objects whose loading could run code, and is not loaded; where you "
            "trust it, save its weights with torch.save(model.state_dict(), …) first"
        ) from error
    except BROKEN as error:
        raise ForeignWeightsError(f"{path} is not a readable PyTorch checkpoint: {error}") from error


def _stripped(name: str) -> str:
    while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
    return name


def _renamed(name: str) -> str:
    name = _stripped(name)
    if (match := NUMBERED.match(name)) is None or match[1] not in NUMBERS:
        return name
    return f"{NUMBERS[match[1]]}.{name[match.end() :]}"


def _some(content: Mapping[Any, Any]) -> str:
    names = [str(name) for name in content]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "nothing"
