"""The limits of targets and of the tool: finite values, workspace, speed and turning."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Target
from dynamo_policies.quaternions import turn_between, turned, unit

FloatArray = npt.NDArray[np.float64]

# Targets keep the limits exactly. Joints that follow them softly cut corners a little, on arcs of the joints,
# so that the tool of what is commanded keeps them within these.
WORKSPACE_TOLERANCE_M = 0.005
SPEED_TOLERANCE = 0.1


def is_finite(target: Target) -> bool:
    """Return whether every number of `target` is finite and its quaternion can be normalised."""
    position, quaternion = np.asarray(target.pose.position), np.asarray(target.pose.quaternion)
    values = [*position.tolist(), *quaternion.tolist(), float(target.gripper)]
    return all(map(math.isfinite, values)) and math.hypot(*quaternion.tolist()) > 1e-6


class Limiter:
    """Holds targets inside what `contract.arm` allows, and says which limits a motion of the tool breaks."""

    def __init__(self, contract: Contract) -> None:
        arm = contract.arm
        self._lower, self._upper = np.asarray(arm.workspace_lower_m), np.asarray(arm.workspace_upper_m)
        self._speed, self._turn = arm.speed_m_s, arm.turn_rad_s

    def workspace(self, target: Target) -> tuple[Target, tuple[str, ...]]:
        """Return the finite `target`: position in the box, quaternion of norm 1, gripper in 0..1."""
        position = np.minimum(np.maximum(target.pose.position, self._lower), self._upper)
        pose = Pose(position, unit(target.pose.quaternion))
        clipped = ("workspace",) if (position != target.pose.position).any() else ()
        return Target(pose, min(max(float(target.gripper), 0.0), 1.0)), clipped

    def approach(
        self, pose: Pose, goal: Pose, *, fraction: float, dt_s: float
    ) -> tuple[Pose, tuple[str, ...]]:
        """Return the pose `fraction` of the way from `pose` to `goal`, no farther than the speeds allow.

        Positions move on a line, orientations on the shortest arc.
        """
        step = fraction * (goal.position - pose.position)
        turn = fraction * turn_between(pose.quaternion, goal.quaternion)
        step, too_fast = _shorten(step, self._speed * dt_s)
        turn, too_twisty = _shorten(turn, self._turn * dt_s)
        clipped = (*(["speed"] if too_fast else []), *(["turn"] if too_twisty else []))
        return Pose(pose.position + step, turned(pose.quaternion, turn)), clipped

    def share(self, pose: Pose, wanted: Pose, *, dt_s: float) -> tuple[float, tuple[str, ...]]:
        """Return how much of the step from `pose` to `wanted` the tool may take in `dt_s`, 0 to 1."""
        turn = turn_between(pose.quaternion, wanted.quaternion)
        needed_s = {
            "speed": float(np.linalg.norm(wanted.position - pose.position)) / self._speed,
            "turn": float(np.linalg.norm(turn)) / self._turn,
        }
        shares = {name: dt_s / max(seconds, 1e-12) for name, seconds in needed_s.items()}
        return min(1.0, *shares.values()), tuple(name for name, share in shares.items() if share < 1.0)

    def exceeded(self, positions: FloatArray, rotations: FloatArray, *, dt_s: float) -> tuple[str, ...]:
        """Return the limits that a tool breaks, by more than the tolerances, that moves along these poses.

        Positions (N, 3) m and rotation matrices (N, 3, 3), `dt_s` apart; the first is where it is now.
        Outside the workspace it may not come farther out.
        """
        outside = np.maximum(self._lower - positions, positions - self._upper).max(axis=1)
        steps = positions[1:] - positions[:-1]
        longest = math.sqrt(float((steps * steps).sum(axis=1).max()))
        trace = float(np.einsum("nij,nij->n", rotations[:-1], rotations[1:]).min())  # of the largest turn
        largest = math.acos(min(max((trace - 1.0) / 2.0, -1.0), 1.0))
        most = (1.0 + SPEED_TOLERANCE) * dt_s
        found = {
            "workspace": outside[1:].max() > max(outside[0], WORKSPACE_TOLERANCE_M),
            "speed": longest > most * self._speed,
            "turn": largest > most * self._turn,
        }
        return tuple(name for name, broken in found.items() if broken)


def _shorten(vector: FloatArray, longest: float) -> tuple[FloatArray, bool]:
    length = math.hypot(*vector.tolist())
    if length <= longest:
        return vector, False
    return vector * (longest / length), True
