"""Turns of single tools, as quaternions x y z w: what scipy's Rotation computes, at a tenth of its time.

That is for whole arrays; a command needs a few single turns, and needs them a hundred times a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

SMALL_RAD = 1e-3  # below it the series are exact to the last digit


def turn_between(start: npt.ArrayLike, end: npt.ArrayLike) -> FloatArray:
    """Return the shortest turn (3,) from `start` to `end` (4,): a rotation vector, rad, in the base frame."""
    x, y, z, w = _unit(start)
    x, y, z, w = _product(_unit(end), (-x, -y, -z, w))
    if w < 0.0:
        x, y, z, w = -x, -y, -z, -w
    angle = 2.0 * math.atan2(math.sqrt(x * x + y * y + z * z), w)
    if angle <= SMALL_RAD:
        scale = 2.0 + angle**2 / 12.0 + 7.0 * angle**4 / 2880.0
    else:
        scale = angle / math.sin(angle / 2.0)
    return np.array([scale * x, scale * y, scale * z])


def turned(start: npt.ArrayLike, turn: npt.ArrayLike) -> FloatArray:
    """Return `start` (4,) turned by the rotation vector `turn` (3,), rad, in the base frame; of norm 1."""
    x, y, z = _floats(turn)
    angle = math.sqrt(x * x + y * y + z * z)
    if angle <= SMALL_RAD:
        scale = 0.5 - angle**2 / 48.0 + angle**4 / 3840.0
    else:
        scale = math.sin(angle / 2.0) / angle
    rotation = (scale * x, scale * y, scale * z, math.cos(angle / 2.0))
    return np.array(_unit(_product(rotation, _unit(start))))


def from_matrix(rotation: npt.ArrayLike) -> FloatArray:
    """Return the quaternion (4,) of a rotation matrix (3, 3)."""
    m = np.asarray(rotation, np.float64).tolist()
    diagonal = [m[0][0], m[1][1], m[2][2]]
    trace = sum(diagonal)
    i = max(range(3), key=diagonal.__getitem__)
    if trace >= diagonal[i]:
        parts = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1], 1.0 + trace]
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        parts = [0.0, 0.0, 0.0, m[k][j] - m[j][k]]
        parts[i] = 1.0 - trace + 2.0 * m[i][i]
        parts[j], parts[k] = m[j][i] + m[i][j], m[k][i] + m[i][k]
    return np.array(_unit(parts))


def unit(quaternion: npt.ArrayLike) -> FloatArray:
    """Return the quaternion (4,) of norm 1 that stands for the same turn."""
    return np.array(_unit(quaternion))


def mean(quaternions: Sequence[npt.ArrayLike]) -> FloatArray:
    """Return the chordal mean (4,) of at least one quaternion: the signs of them do not matter."""
    if len(quaternions) == 1:
        return np.array(_unit(quaternions[0]))
    rows = np.array([_unit(quaternion) for quaternion in quaternions])
    return np.asarray(np.linalg.eigh(rows.T @ rows)[1][:, -1], np.float64)


def _product(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the turn that is `other`, then `one`."""
    a, b, c, d = one
    x, y, z, w = other
    return (
        d * x + w * a + b * z - c * y,
        d * y + w * b + c * x - a * z,
        d * z + w * c + a * y - b * x,
        d * w - a * x - b * y - c * z,
    )


def _unit(quaternion: npt.ArrayLike) -> list[float]:
    values = _floats(quaternion)
    norm = math.hypot(*values)
    if norm == 0.0:
        raise ValueError(f"quaternion {values} stands for no turn")
    return [value / norm for value in values]


def _floats(values: Any) -> list[float]:
    listed: list[float] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return listed
