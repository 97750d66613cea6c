"""From a tracked hand to the joints of an Allegro hand, as Open-Teach retargets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import ConfigError
from dynamo_ros.core.allegro import JOINTS, LOWER_RAD, UPPER_RAD, VELOCITY_RAD_S, finger_slice, reach
from dynamo_ros.core.hand_tracking import FINGERS, WRIST, hand_frame
from dynamo_ros.core.quad import QuadMap

FloatArray = npt.NDArray[np.float64]
LONG_FINGERS = ("index", "middle", "ring")


@dataclass(frozen=True, kw_only=True)
class HandAllegroSettings:
    """How an Allegro hand follows a hand.

    Factors and steps are Open-Teach's (allegro_bounds.yaml). Its thumb box is calibrated by each operator and
    published nowhere: the box here is an assumption for a hand of common size and a right Allegro hand, to be
    replaced. The hand's numbers are in its palm: across (towards the index finger), along (towards the
    fingers), depth (out of a right hand's back: its palm's side is negative); the robot's in palm_link.
    """

    flexion: tuple[float, ...] = (1.1, 1.1, 1.1)  # of the three bending joints
    abduction: tuple[float, ...] = (0.02, 0.02, 0.05)  # of index, middle, ring
    step_rad: tuple[float, ...] = (*(0.05, 0.2, 0.2, 0.2) * 3, 0.2, 0.1, 0.2, 0.2)  # most in one step
    # Corner after corner: (across, along) m of the hand, (y, z) m of the robot.
    thumb_hand_m: tuple[float, ...] = (0.07, 0.11, 0.07, 0.04, -0.03, 0.04, -0.03, 0.11)
    thumb_robot_m: tuple[float, ...] = (0.07, -0.01, 0.07, -0.045, -0.01, -0.045, -0.01, -0.01)
    thumb_depth_m: tuple[float, ...] = (0.0, -0.07)
    thumb_x_m: tuple[float, ...] = (0.06, 0.095)

    def __post_init__(self) -> None:
        sizes = {"flexion": 3, "abduction": 3, "step_rad": JOINTS, "thumb_depth_m": 2, "thumb_x_m": 2}
        for name, size in {**sizes, "thumb_hand_m": 8, "thumb_robot_m": 8}.items():
            if len(getattr(self, name)) != size:
                raise ConfigError(f"{name} has {len(getattr(self, name))} numbers; it needs {size}")
        if self.thumb_depth_m[0] == self.thumb_depth_m[1]:
            raise ConfigError(f"thumb_depth_m {self.thumb_depth_m} is no range")


class HandToAllegro:
    """Moves desired joints towards the hand's posture, a bounded step at a time.

    Index, middle and ring finger copy the angles between their points; the pinky has no counterpart. The
    thumb's tip is mapped from a box of the hand to one of the robot's palm, then inverse kinematics. Joints
    stay within the limits, and no step exceeds `step_rad` or the joints' velocity limit, 7 rad/s.
    """

    def __init__(self, settings: HandAllegroSettings) -> None:
        self._settings = settings
        self._plane = QuadMap(
            np.reshape(settings.thumb_hand_m, (4, 2)).tolist(),
            np.reshape(settings.thumb_robot_m, (4, 2)).tolist(),
        )
        self._joints: FloatArray | None = None

    def follow(
        self, points: FloatArray | None, measured: FloatArray | None, dt_s: float
    ) -> FloatArray | None:
        """Return the joints (16,) rad, index first, `dt_s` after the last; None while paused.

        `points` (24, 3) m is None while paused; after a pause it begins at the `measured` joints (16,) rad.
        """
        if points is None or (self._joints is None and measured is None):
            self._joints = None
            return None
        if self._joints is None:
            self._joints = measured
        return self.step(points, dt_s)

    def start(self, measured: npt.ArrayLike) -> None:
        """Begin at the measured joints (16,) rad, index first; they may lie outside the limits."""
        self._joints = np.array(measured, np.float64)

    def step(self, points: FloatArray, dt_s: float) -> FloatArray:
        """Return the joints (16,) rad, index first, `dt_s` after the last, for a hand's points (24, 3) m.

        Raises:
            ValueError: not started.
        """
        if self._joints is None:
            raise ValueError("the hand was not started at its measured joints")
        local = palm_points(points)
        wanted = np.concatenate(
            [*(self._bent(i, name, local) for i, name in enumerate(LONG_FINGERS)), self._thumb(local)]
        )
        most = np.minimum(self._settings.step_rad, VELOCITY_RAD_S * dt_s)
        inside = np.clip(wanted, LOWER_RAD, UPPER_RAD)
        self._joints = self._joints + np.clip(inside - self._joints, -most, most)
        return self._joints.copy()

    def _bent(self, number: int, name: str, local: FloatArray) -> FloatArray:
        """Return the joints of a long finger: the angles at its points, scaled."""
        bones = np.diff(local[[WRIST, *FINGERS[name]]], axis=0)
        bends = [_angle(first, second) for first, second in pairwise(bones)]
        # Open-Teach's own angle for abduction compares only the first coordinates, so it is 0 or pi; this is
        # the angle in the palm's plane that it stands for, with the same sign.
        whole = local[FINGERS[name][-1]] - local[WRIST]
        sideways = _heading(whole) - _heading(bones[0])
        flexed = np.multiply(bends, self._settings.flexion)
        return np.array([sideways * self._settings.abduction[number], *flexed])

    def _thumb(self, local: FloatArray) -> FloatArray:
        assert self._joints is not None
        across, along, depth = local[FINGERS["thumb"][-1]]
        (near, far), (x_near, x_far) = self._settings.thumb_depth_m, self._settings.thumb_x_m
        part = float(np.clip((depth - near) / (far - near), 0.0, 1.0))
        tip = np.array([x_near + part * (x_far - x_near), *self._plane((across, along))])
        return reach("thumb", tip, self._joints[finger_slice("thumb")])


def palm_points(points: FloatArray) -> FloatArray:
    """Return the points (24, 3) m from the wrist as across, along and depth of the palm."""
    wrist, axes = hand_frame(points)
    across_depth_along: FloatArray = (points - wrist) @ axes
    return across_depth_along[:, [0, 2, 1]]


def _angle(first: FloatArray, second: FloatArray) -> float:
    """Return the angle between two vectors, rad; 0 where one has no length."""
    return float(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second))


def _heading(vector: FloatArray) -> float:
    """Return the angle in the palm's plane from along the fingers towards across, rad."""
    return float(np.arctan2(vector[0], vector[1]))
