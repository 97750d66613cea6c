"""Moving a pose by small steps, as devices do that command velocities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.observation import Pose
from dynamo_ros.core.steps import pose_after, pose_way, shorten

# A target is never farther from the measured tool: where the arm can't follow, it does not run away.
LEASH_M, LEASH_RAD = 0.1, 0.5


def jogged(pose: Pose, move_m: npt.ArrayLike, turn_rad: npt.ArrayLike) -> Pose:
    """Return `pose` moved by (3,) m and turned by the rotation vector (3,) rad, both in the base frame."""
    turned = Rotation.from_rotvec(np.asarray(turn_rad)) * Rotation.from_quat(pose.quaternion)
    return Pose(pose.position + np.asarray(move_m), turned.as_quat())


def leashed(pose: Pose, measured: Pose) -> Pose:
    """Return `pose`, brought to within `LEASH_M` and `LEASH_RAD` of `measured` where it is farther."""
    way = pose_way(measured, pose)
    return pose_after(measured, np.concatenate([shorten(way[:3], LEASH_M), shorten(way[3:], LEASH_RAD)]))
