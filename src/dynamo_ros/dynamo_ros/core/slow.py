"""Going slowly towards a target, whatever the target asks for."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from dynamo_policies.observation import Pose, Target


def within(pose: Pose, target: Target, *, metres: float, radians: float) -> Target:
    """Return `target` moved to where it is at most `metres` and `radians` from `pose`."""
    step = target.pose.position - pose.position
    start = Rotation.from_quat(pose.quaternion)
    turn = (Rotation.from_quat(target.pose.quaternion) * start.inv()).as_rotvec()
    position = pose.position + step * min(1.0, metres / max(float(np.linalg.norm(step)), 1e-12))
    turn = turn * min(1.0, radians / max(float(np.linalg.norm(turn)), 1e-12))
    return target._replace(pose=Pose(position, (Rotation.from_rotvec(turn) * start).as_quat()))


def apart(one: Pose, other: Pose) -> tuple[float, float]:
    """Return how far two poses are from each other, m and rad."""
    metres = float(np.linalg.norm(one.position - other.position))
    turned = Rotation.from_quat(one.quaternion) * Rotation.from_quat(other.quaternion).inv()
    return metres, float(turned.magnitude())
