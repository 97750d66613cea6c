"""Velocities that lead along commanded positions, for drivers that take nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from dynamo_policies.observation import Pose
from dynamo_policies.sinks import Arm
from dynamo_ros.core.steps import pose_way, shorten

FloatArray = npt.NDArray[np.float64]
P = TypeVar("P")

# A command after so many periods of silence is the first of a new motion, not the next of the old one.
SILENT_PERIODS = 10


class Follower(ABC, Generic[P]):
    """The velocity from one command to the next, and `gain_hz` times what the arm is off the newer one.

    Without the second part what every delay costs would add up. Both together obey the limits of speed.
    """

    def __init__(self, arm: Arm, gain_hz: float) -> None:
        self._arm, self._gain_hz = arm, gain_hz
        self._last: tuple[P, int] | None = None

    def forget(self) -> None:
        """Take the next command for the first."""
        self._last = None

    def velocity(self, wanted: P, measured: P | None, stamp_ns: int) -> FloatArray:
        """Return the velocity towards `wanted`, commanded for `stamp_ns`, from where the arm is."""
        velocity = np.zeros_like(self._way(wanted, wanted))
        if self._last is not None:
            before, before_ns = self._last
            elapsed_ns = stamp_ns - before_ns
            if 0 < elapsed_ns <= SILENT_PERIODS * self._arm.period_ns:
                velocity = self._way(before, wanted) / (elapsed_ns / 1e9)
        self._last = (wanted, stamp_ns)
        if measured is not None:
            velocity = velocity + self._gain_hz * self._way(measured, wanted)
        return self._limited(velocity)

    @abstractmethod
    def _way(self, start: P, end: P) -> FloatArray:
        """Return the way from `start` to `end`, m and rad."""

    @abstractmethod
    def _limited(self, velocity: FloatArray) -> FloatArray:
        """Return `velocity`, no faster than the arm may be."""


class PoseFollower(Follower[Pose]):
    """Twists (6,) of the tool, m/s and rad/s, both in the base frame."""

    def _way(self, start: Pose, end: Pose) -> FloatArray:
        return pose_way(start, end)

    def _limited(self, velocity: FloatArray) -> FloatArray:
        linear, angular = velocity[:3], velocity[3:]
        return np.concatenate([shorten(linear, self._arm.speed_m_s), shorten(angular, self._arm.turn_rad_s)])


class JointFollower(Follower[FloatArray]):
    """Joint velocities (J,), rad/s."""

    def _way(self, start: FloatArray, end: FloatArray) -> FloatArray:
        return np.asarray(end, np.float64) - start

    def _limited(self, velocity: FloatArray) -> FloatArray:
        limits = np.asarray(self._arm.velocity_rad_s)
        return np.clip(velocity, -limits, limits)
