"""Moving a pose by a small step, as devices do that command velocities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.observation import Pose


def jogged(pose: Pose, move_m: npt.ArrayLike, turn_rad: npt.ArrayLike) -> Pose:
    """Return `pose` moved by (3,) m and turned by the rotation vector (3,) rad, both in the base frame."""
    turned = Rotation.from_rotvec(np.asarray(turn_rad)) * Rotation.from_quat(pose.quaternion)
    return Pose(pose.position + np.asarray(move_m), turned.as_quat())
