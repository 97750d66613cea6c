"""Golden commands on disk: one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from dynamo_policies.tensorfiles import read_tensors, write_tensors
from dynamo_ros.core.golden import Golden, GoldenError

FORMAT = "1"
BEFORE = {"engine": "eager"}  # what held for files that do not say it
ARRAYS = ("stamps_ns", "joints", "gripper", "hand")


def write_golden(path: Path, golden: Golden) -> None:
    """Write `golden` to `path`, whole or not at all."""
    tensors = {name: torch.from_numpy(getattr(golden, name)) for name in ARRAYS}
    about = {"format": FORMAT, "joints": json.dumps(golden.joints_named), "about": json.dumps(golden.about)}
    write_tensors(path, tensors, about)


def read_golden(path: Path) -> Golden:
    """Return the golden commands at `path`.

    Raises:
        TensorFileError: there is no readable file.
        GoldenError: the file holds something else.
    """
    tensors, held = read_tensors(path)
    if held.get("format") != FORMAT or set(tensors) != set(ARRAYS):
        raise GoldenError(f"{path} holds {sorted(tensors)}, no golden commands; they hold {sorted(ARRAYS)}")
    arrays = [tensors[name].numpy() for name in ARRAYS]
    return Golden(BEFORE | json.loads(held["about"]), tuple(json.loads(held["joints"])), *arrays)
