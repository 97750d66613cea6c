"""Going slowly towards a target, whatever the target asks for."""

from __future__ import annotations

import numpy as np

from dynamo_policies.observation import Pose, Target
from dynamo_policies.quaternions import turn_between, turned


def within(pose: Pose, target: Target, *, metres: float, radians: float) -> Target:
    """Return `target` moved to where it is at most `metres` and `radians` from `pose`."""
    step = target.pose.position - pose.position
    turn = turn_between(pose.quaternion, target.pose.quaternion)
    position = pose.position + step * min(1.0, metres / max(float(np.linalg.norm(step)), 1e-12))
    turn = turn * min(1.0, radians / max(float(np.linalg.norm(turn)), 1e-12))
    return target._replace(pose=Pose(position, turned(pose.quaternion, turn)))


def apart(one: Pose, other: Pose) -> tuple[float, float]:
    """Return how far two poses are from each other, m and rad."""
    metres = float(np.linalg.norm(one.position - other.position))
    return metres, float(np.linalg.norm(turn_between(other.quaternion, one.quaternion)))
