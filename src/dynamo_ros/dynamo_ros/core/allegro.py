"""The Allegro hand: joints, limits, kinematics, and in which order each driver wants them.

Figures are those of the V4 right hand: Wonik's URDF as in the ROS 1 driver, and allegro_hand_ros2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.errors import UnknownNameError
from dynamo_policies.hand_sink import ROS1, WONIK_V4, WONIK_V5

FloatArray = npt.NDArray[np.float64]
Vector = tuple[float, float, float]

# Our order, index first; joints of a finger from the palm on.
FINGERS = ("index", "middle", "ring", "thumb")
FINGER_JOINTS = 4
JOINTS = len(FINGERS) * FINGER_JOINTS
LOWER_RAD: FloatArray = np.array([*[-0.47, -0.196, -0.174, -0.227] * 3, 0.263, -0.105, -0.189, -0.162])
UPPER_RAD: FloatArray = np.array([*[0.47, 1.61, 1.709, 1.618] * 3, 1.396, 1.163, 1.644, 1.719])
VELOCITY_RAD_S = 7.0
# The drivers' home posture: fingers half bent, thumb opposed.
HOME_RAD: FloatArray = np.radians(
    [0.0, -10.0, 45.0, 45.0, 0.0, -10.0, 45.0, 45.0, 5.0, -5.0, 50.0, 45.0, 60.0, 25.0, 15.0, 45.0]
)


@dataclass(frozen=True)
class Finger:
    """A serial chain in `palm_link` (x out of the palm, y towards the index finger, z along the fingers)."""

    base_m: Vector
    base_rpy: Vector
    axes: tuple[Vector, Vector, Vector, Vector]
    links_m: tuple[Vector, Vector, Vector, Vector]  # from joint 0 to 1, 1 to 2, 2 to 3, 3 to the tip

    def forward(self, positions: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return the tip's position (3,) m and its derivative (3, 4) m/rad for joints (4,) rad."""
        rotation, point = Rotation.from_euler("xyz", self.base_rpy), np.asarray(self.base_m)
        origins, axes = [], []
        for axis, link, angle in zip(self.axes, self.links_m, np.asarray(positions, np.float64), strict=True):
            origins.append(point)
            axes.append(rotation.apply(axis))
            rotation = rotation * Rotation.from_rotvec(angle * np.asarray(axis))
            point = point + rotation.apply(link)
        return point, np.cross(axes, point - np.array(origins)).T


X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
MINUS_X = (-1.0, 0.0, 0.0)


def _long_finger(y_m: float, z_m: float, roll: float) -> Finger:
    links = ((0.0, 0.0, 0.0164), (0.0, 0.0, 0.054), (0.0, 0.0, 0.0384), (0.0, 0.0, 0.0267))
    return Finger((0.0, y_m, z_m), (roll, 0.0, 0.0), (Z, Y, Y, Y), links)


KINEMATICS: Mapping[str, Finger] = {
    "index": _long_finger(0.0435, -0.001542, -0.08727),
    "middle": _long_finger(0.0, 0.0007, 0.0),
    "ring": _long_finger(-0.0435, -0.001542, 0.08727),
    "thumb": Finger(
        (-0.0182, 0.019333, -0.045987),
        (0.0, -1.65806, -1.5708),
        (MINUS_X, Z, Y, Y),
        ((-0.027, 0.005, 0.0399), (0.0, 0.0, 0.0177), (0.0, 0.0, 0.0514), (0.0, 0.0, 0.0423)),
    ),
}

STEPS, DAMPING = 60, 1e-2  # of the inverse kinematics; m
CLOSE_M = 1e-5


def finger_slice(finger: str) -> slice:
    """Return where the joints of `finger` are among the 16."""
    start = FINGERS.index(finger) * FINGER_JOINTS
    return slice(start, start + FINGER_JOINTS)


def reach(finger: str, tip_m: npt.ArrayLike, start_rad: npt.ArrayLike) -> FloatArray:
    """Return joints (4,) rad within the limits that bring the tip near `tip_m` (3,).

    Damped least squares from `start_rad`; a tip out of reach is approached as far as the limits allow.
    """
    here = finger_slice(finger)
    lower, upper = LOWER_RAD[here], UPPER_RAD[here]
    joints: FloatArray = np.clip(np.asarray(start_rad, np.float64), lower, upper)
    best, least = joints, np.inf
    for _ in range(STEPS):
        tip, derivative = KINEMATICS[finger].forward(joints)
        error = np.asarray(tip_m, np.float64) - tip
        if (distance := float(np.linalg.norm(error))) < least:
            best, least = joints, distance
        if distance < CLOSE_M:
            break
        # Joints that stand at a limit and would go beyond it do not take part.
        step = _step(derivative, error, np.ones(FINGER_JOINTS, bool))
        stuck = ((joints <= lower) & (step < 0)) | ((joints >= upper) & (step > 0))
        joints = np.clip(joints + _step(derivative, error, ~stuck), lower, upper)
    return best


def _step(derivative: FloatArray, error: FloatArray, free: npt.NDArray[np.bool_]) -> FloatArray:
    used = derivative * free
    step: FloatArray = used.T @ np.linalg.solve(used @ used.T + DAMPING**2 * np.eye(3), error)
    return step


@dataclass(frozen=True)
class HandDriver:
    """How a driver names and orders the 16 joints, and where it tells them."""

    joints: tuple[str, ...]
    order: tuple[int, ...]  # the driver's i-th joint is ours of this number
    states_topic: str

    def to_driver(self, positions: npt.ArrayLike) -> FloatArray:
        """Return joints (16,) in our order as the driver wants them."""
        given: FloatArray = np.asarray(positions, np.float64)[list(self.order)]
        return given

    def from_driver(self, names: Sequence[str], positions: Sequence[float]) -> FloatArray | None:
        """Return joints (16,) in our order, picked by name; None if one is missing or not finite."""
        named = dict(zip(names, positions, strict=False))
        ours = np.full(JOINTS, np.nan)
        ours[list(self.order)] = [named.get(name, np.nan) for name in self.joints]
        return ours if np.isfinite(ours).all() else None


INDEX_FIRST = tuple(range(JOINTS))
THUMB_FIRST = (*INDEX_FIRST[12:], *INDEX_FIRST[:12])
HAND_DRIVERS: Mapping[str, HandDriver] = {
    # allegro_hand_ros2: V4 and Plexus, ros2_control.
    "wonik_v4": HandDriver(WONIK_V4, THUMB_FIRST, "/joint_states"),
    # allegro_hand_ros2_v5: the topic node.
    "wonik_v5": HandDriver(WONIK_V5, INDEX_FIRST, "/allegroHand_0/joint_states"),
    # ROS 1 over a bridge: allegro_hand_ros_v4, and the controller of DIME, which Open-Teach uses.
    "ros1_v4": HandDriver(ROS1, INDEX_FIRST, "/allegroHand_0/joint_states"),
    "dime": HandDriver(ROS1, INDEX_FIRST, "/allegroHand/joint_states"),
}

# The driver behind each kind of hand in a contract.
DRIVER_OF_KIND: Mapping[str, str] = {
    "allegro_v4": "wonik_v4",
    "allegro_v5": "wonik_v5",
    "allegro_dime": "dime",
}


def hand_driver(name: str) -> HandDriver:
    """Return the driver called `name`; UnknownNameError if there is none."""
    if name not in HAND_DRIVERS:
        raise UnknownNameError("hand driver", name, HAND_DRIVERS)
    return HAND_DRIVERS[name]
