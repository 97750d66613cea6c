"""Boxes, cylinders and capsules for MjSpec bodies, with what may touch what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dynamo_ros.core.graphics import mujoco

Colour = tuple[float, float, float]

# Things touch things, robots touch things, a robot does not touch itself, and paint touches nothing.
PAINT, THING, ROBOT = (0, 0), (1, 1), (2, 1)  # contype, conaffinity


def box(body: Any, half: Sequence[float], pos: Sequence[float], colour: Colour, **more: Any) -> Any:
    """Add a box of half sizes `half`, m, centred on `pos`."""
    return _add(body, mujoco.mjtGeom.mjGEOM_BOX, colour, more, size=list(half), pos=list(pos))


def cylinder(body: Any, radius: float, ends: Sequence[Sequence[float]], colour: Colour, **more: Any) -> Any:
    """Add a cylinder whose axis runs between the two points `ends`, m."""
    return _round(body, mujoco.mjtGeom.mjGEOM_CYLINDER, radius, ends, colour, more)


def capsule(body: Any, radius: float, ends: Sequence[Sequence[float]], colour: Colour, **more: Any) -> Any:
    """Add a capsule whose axis runs between the two points `ends`, m."""
    return _round(body, mujoco.mjtGeom.mjGEOM_CAPSULE, radius, ends, colour, more)


def looking_at(position: Sequence[float], target: Sequence[float], up: Sequence[float]) -> list[float]:
    """Return the orientation w x y z of a camera at `position` that looks at `target` with `up` above."""
    back = np.asarray(position, dtype=float) - np.asarray(target, dtype=float)
    back /= np.linalg.norm(back)
    right = np.cross(np.asarray(up, dtype=float), back)
    right /= np.linalg.norm(right)
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.stack([right, np.cross(back, right), back], axis=1).ravel())
    return [float(value) for value in quaternion]


def damp(joint: Any, damping: float) -> None:
    """Give `joint` a viscous damping, N s/m or Nm s/rad."""
    # MuJoCo 3 has a number here; from 4 on it is a polynomial in the speed.
    joint.damping = damping if np.ndim(joint.damping) == 0 else [damping, 0.0, 0.0]


def _round(
    body: Any,
    kind: Any,
    radius: float,
    ends: Sequence[Sequence[float]],
    colour: Colour,
    more: dict[str, Any],
) -> Any:
    fromto = [*ends[0], *ends[1]]
    return _add(body, kind, colour, more, size=[radius, 0.0, 0.0], fromto=fromto)


def _add(body: Any, kind: Any, colour: Colour, more: dict[str, Any], **shape: Any) -> Any:
    contype, conaffinity = more.pop("touches", THING)
    rgba = [*colour, 1.0]
    return body.add_geom(type=kind, rgba=rgba, contype=contype, conaffinity=conaffinity, **shape, **more)
