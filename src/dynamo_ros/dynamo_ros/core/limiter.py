"""The limits of one command: finite values, workspace, speed, joint velocity and joint position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Target

FloatArray = npt.NDArray[np.float64]


def is_finite(target: Target) -> bool:
    """Return whether every number of `target` is finite and its quaternion can be normalised."""
    values = np.concatenate([target.pose.position, target.pose.quaternion, [target.gripper]])
    return bool(np.isfinite(values).all()) and float(np.linalg.norm(target.pose.quaternion)) > 1e-6


class Limiter:
    """Holds poses and joints inside what `contract.arm` allows, and says which limits it had to apply."""

    def __init__(self, contract: Contract) -> None:
        arm = contract.arm
        self._joints = arm.joints
        self._lower, self._upper = np.asarray(arm.lower_rad), np.asarray(arm.upper_rad)
        self._velocity = np.asarray(arm.velocity_rad_s)
        self._box = np.asarray(arm.workspace_lower_m), np.asarray(arm.workspace_upper_m)
        self._speed, self._turn = arm.speed_m_s, arm.turn_rad_s

    def workspace(self, target: Target) -> tuple[Target, tuple[str, ...]]:
        """Return the finite `target`: position in the box, quaternion of norm 1, gripper in 0..1."""
        position = np.clip(np.asarray(target.pose.position, np.float64), *self._box)
        quaternion = np.asarray(target.pose.quaternion, np.float64)
        pose = Pose(position, quaternion / np.linalg.norm(quaternion))
        clipped = ("workspace",) if (position != target.pose.position).any() else ()
        return Target(pose, float(np.clip(target.gripper, 0.0, 1.0))), clipped

    def approach(
        self, pose: Pose, goal: Pose, *, fraction: float, dt_s: float
    ) -> tuple[Pose, tuple[str, ...]]:
        """Return the pose `fraction` of the way from `pose` to `goal`, no farther than the speeds allow.

        Positions move on a line, orientations on the shortest arc.
        """
        step = fraction * (goal.position - pose.position)
        start = Rotation.from_quat(pose.quaternion)
        turn = fraction * (Rotation.from_quat(goal.quaternion) * start.inv()).as_rotvec()
        step, too_fast = _shorten(step, self._speed * dt_s)
        turn, too_twisty = _shorten(turn, self._turn * dt_s)
        clipped = (*(["speed"] if too_fast else []), *(["turn"] if too_twisty else []))
        return Pose(pose.position + step, (Rotation.from_rotvec(turn) * start).as_quat()), clipped

    def joints(
        self, last: FloatArray, wanted: FloatArray, *, dt_s: float
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """Return joints (J,) rad towards `wanted`, inside the limits and reachable from `last` in `dt_s`.

        All joints slow down by the same factor, which keeps the path. If `last` lies outside the position
        limits (the arm was started there), the result moves back no faster than the velocity limit.
        """
        inside = np.clip(wanted, self._lower, self._upper)
        clipped = [f"position of {self._joints[i]}" for i in np.flatnonzero(inside != wanted)]
        reach = self._velocity * dt_s
        if (np.abs(inside - last) <= reach).all():
            return inside, tuple(clipped)
        if dt_s <= 1e-6:
            return last, tuple(clipped)
        ratio = np.abs(inside - last) / reach
        clipped += [f"velocity of {self._joints[i]}" for i in np.flatnonzero(ratio > 1.0)]
        return last + (inside - last) / ratio.max(), tuple(clipped)

    def tool_part(self, last: Pose, wanted: Pose, *, dt_s: float) -> tuple[float, tuple[str, ...]]:
        """Return how much of a small step from `last` to `wanted` the tool may take in `dt_s`, 0 to 1.

        None of it, if it leads out of the workspace, or farther out.
        """
        outside = [np.maximum(self._box[0] - p, p - self._box[1]) for p in (last.position, wanted.position)]
        if (outside[1] > np.maximum(outside[0], 0.0)).any():
            return 0.0, ("workspace",)
        turned = Rotation.from_quat(wanted.quaternion) * Rotation.from_quat(last.quaternion).inv()
        needed_s = {
            "speed": float(np.linalg.norm(wanted.position - last.position)) / self._speed,
            "turn": float(turned.magnitude()) / self._turn,
        }
        parts = {name: dt_s / max(seconds, 1e-12) for name, seconds in needed_s.items()}
        return min(1.0, *parts.values()), tuple(name for name, part in parts.items() if part < 1.0)


def _shorten(vector: FloatArray, longest: float) -> tuple[FloatArray, bool]:
    length = float(np.linalg.norm(vector))
    if length <= longest:
        return vector, False
    return vector * (longest / length), True
