"""The xArm driver's units (mm, roll pitch yaw or axis-angle, pulses) from and to ours (m, quaternion, rad).

Roll, pitch and yaw turn about the fixed x, y and z axes in this order; axis-angle is the rotation vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, hypot

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.observation import Pose

FloatArray = npt.NDArray[np.float64]

MM_PER_M = 1000.0
# The gripper's driver: pulse = 850 - 1000 p, p the position of drive_joint in rad (xarm_ros2).
OPEN_PULSE, PULSES_PER_RAD = 850.0, 1000.0
VERTICAL = 1e-9  # cosine of the pitch below which roll and yaw are one


def to_rpy(pose: Pose) -> list[float]:
    """Return x y z in mm and roll pitch yaw in rad."""
    m = Rotation.from_quat(pose.quaternion).as_matrix()
    level = hypot(m[0, 0], m[1, 0])
    pitch = atan2(-m[2, 0], level)
    if level < VERTICAL:
        return [*_to_mm(pose.position), atan2(-m[1, 2], m[1, 1]), pitch, 0.0]
    return [*_to_mm(pose.position), atan2(m[2, 1], m[2, 2]), pitch, atan2(m[1, 0], m[0, 0])]


def from_rpy(values: Sequence[float]) -> Pose:
    """Return the pose of x y z in mm and roll pitch yaw in rad."""
    return Pose(_to_m(values), Rotation.from_euler("xyz", np.asarray(values[3:6], np.float64)).as_quat())


def to_axis_angle(pose: Pose) -> list[float]:
    """Return x y z in mm and the rotation vector in rad."""
    return [*_to_mm(pose.position), *map(float, Rotation.from_quat(pose.quaternion).as_rotvec())]


def from_axis_angle(values: Sequence[float]) -> Pose:
    """Return the pose of x y z in mm and a rotation vector in rad."""
    return Pose(_to_m(values), Rotation.from_rotvec(np.asarray(values[3:6], np.float64)).as_quat())


def to_twist(velocity: npt.ArrayLike) -> list[float]:
    """Return a twist (6,) of m/s and rad/s in mm/s and rad/s."""
    twist = np.asarray(velocity, np.float64)
    return [*_to_mm(twist[:3]), *map(float, twist[3:])]


def from_twist(values: Sequence[float]) -> FloatArray:
    """Return a twist (6,) of mm/s and rad/s in m/s and rad/s."""
    return np.concatenate([_to_m(values), np.asarray(values[3:6], np.float64)])


def to_pulse(position_rad: float) -> float:
    """Return the gripper's pulse, 0 closed to 850 open, for drive_joint at `position_rad`."""
    return float(np.clip(OPEN_PULSE - PULSES_PER_RAD * position_rad, 0.0, OPEN_PULSE))


def from_pulse(pulse: float) -> float:
    """Return drive_joint's position, rad, for the gripper's pulse."""
    return (OPEN_PULSE - pulse) / PULSES_PER_RAD


def _to_mm(metres: npt.ArrayLike) -> list[float]:
    return [float(value) * MM_PER_M for value in np.asarray(metres, np.float64)]


def _to_m(values: Sequence[float]) -> FloatArray:
    return np.asarray(values[:3], np.float64) / MM_PER_M
