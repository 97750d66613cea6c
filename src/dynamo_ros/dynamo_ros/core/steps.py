"""Steps from one pose to another: their length, and no longer than allowed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Pose
from dynamo_policies.quaternions import from_matrix, turn_between, turned

FloatArray = npt.NDArray[np.float64]


def shorten(vector: FloatArray, longest: float) -> FloatArray:
    """Return `vector`, or the one of the same direction and the length `longest` if it is longer."""
    length = float(np.linalg.norm(vector))
    return vector if length <= longest else vector * (longest / length)


def pose_way(start: Pose, end: Pose) -> FloatArray:
    """Return the way (6,) from `start` to `end`: m, and a rotation vector in rad, both in the base frame."""
    return np.concatenate([end.position - start.position, turn_between(start.quaternion, end.quaternion)])


def pose_after(start: Pose, way: FloatArray) -> Pose:
    """Return the pose that is the `way` (6,) of `pose_way` from `start`."""
    return Pose(start.position + way[:3], turned(start.quaternion, way[3:]))


def pose_step(start: Pose, end: Pose, *, step_m: float, step_rad: float) -> Pose:
    """Return the pose on the way from `start` to `end`, at most `step_m` and `step_rad` from `start`."""
    way = pose_way(start, end)
    return pose_after(start, np.concatenate([shorten(way[:3], step_m), shorten(way[3:], step_rad)]))


def joint_step(start: FloatArray, end: FloatArray, *, step_rad: float) -> FloatArray:
    """Return the joints (J,) on the way from `start` to `end`, none more than `step_rad` from `start`."""
    farthest = float(np.abs(end - start).max())
    return end if farthest <= step_rad else start + (end - start) * (step_rad / farthest)


def tool_pose(contract: Contract, joints: npt.ArrayLike) -> Pose:
    """Return where the contract's tool is with the arm's joints at (J,) rad."""
    position, rotation = chain(contract.kinematics).forward(joints, tool_offset_m=contract.tool_offset_m)
    return Pose(position, from_matrix(rotation))
