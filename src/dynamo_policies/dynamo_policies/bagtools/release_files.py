"""The files of the authors' released data, read as plain numbers: nothing in them can run code."""

from __future__ import annotations

import pickle  # for the name of the error by which torch refuses what is not tensors; nothing is unpickled
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.bagtools.importing import ImportingError

FloatArray = npt.NDArray[np.float64]


def array(file: Path, shape: tuple[int | None, ...] | None = None) -> FloatArray:
    """Return the numbers of an .npy file; `shape` is what they must have, None where any length does.

    Raises:
        ImportingError: it can't be read without unpickling, or has another shape.
    """
    try:
        found = np.asarray(np.load(file, allow_pickle=False), dtype=np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise ImportingError(f"{file} can't be read without unpickling: {error}") from error
    if shape is not None and not _fits(found.shape, shape):
        wanted = tuple("any" if size is None else size for size in shape)
        raise ImportingError(f"{file} has shape {found.shape}; {wanted} expected")
    return found


def pictures(file: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Return the images of a .pth file, uint8 with so many `dimensions`.

    Raises:
        ImportingError: it holds anything but such a tensor.
    """
    loaded = _tensor(file)
    if str(loaded.dtype) != "torch.uint8" or loaded.ndim != dimensions:
        given = f"{loaded.dtype} of shape {tuple(loaded.shape)}"
        raise ImportingError(f"{file} holds {given}, not images: uint8 with {dimensions} dimensions")
    images: npt.NDArray[np.uint8] = loaded.numpy()
    return images


def floats(file: Path) -> FloatArray:
    """Return the numbers (N, T, D) of a .pth file.

    Raises:
        ImportingError: it holds anything but such a tensor.
    """
    loaded = _tensor(file)
    if loaded.ndim != 3 or not loaded.dtype.is_floating_point:
        given = f"{loaded.dtype} of shape {tuple(loaded.shape)}"
        raise ImportingError(f"{file} holds {given}, not numbers (N, T, D)")
    numbers: FloatArray = loaded.double().numpy()
    return numbers


def _tensor(file: Path) -> Any:
    import torch

    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ImportingError(f"{file} can't be read as plain tensors: {error}") from error
    if not isinstance(loaded, torch.Tensor):
        raise ImportingError(f"{file} holds {type(loaded).__name__}, not a tensor")
    return loaded


def _fits(given: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(given) == len(wanted) and all(
        want in (None, have) for have, want in zip(given, wanted, strict=True)
    )
