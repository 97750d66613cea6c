"""Commands for ros2_control's joint_trajectory_controller."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dynamo_policies.contract import Contract
from dynamo_policies.sinks import Arm, TrajectoryArm, of_kind
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.steps import FloatArray
from dynamo_ros.drivers.bus import Bus

SECOND_NS = 1_000_000_000


class TrajectoryDriver:
    """Publishes one trajectory a command: to its joints in a period, then the braking that follows it.

    A new message replaces the old trajectory. Where none comes any more, the controller brakes the arm softly
    and holds it.
    """

    NEEDS_JOINTS: ClassVar[bool] = False

    def __init__(self, bus: Bus, contract: Contract) -> None:
        arm = of_kind(contract.arm, TrajectoryArm, "a trajectory driver")
        self._publish = bus.publisher(JointTrajectory, arm.topic)
        self._messages = TrajectoryMessages(arm, bus.serialised)

    def prepare(self, now_ns: int) -> None:
        """Do nothing: ros2_control prepares the arm."""

    def ready(self, now_ns: int) -> bool:  # noqa: ARG002  # as other drivers'
        """Return True."""
        return True

    def fault(self) -> str:
        """Return an empty text: a topic tells nothing."""
        return ""

    def observe(self, joints: FloatArray) -> None:
        """Do nothing."""

    def send(self, command: ArmCommand, stamp_ns: int) -> None:  # noqa: ARG002  # as other drivers'
        """Publish the command."""
        self._publish(self._messages.of(np.vstack([command.joints, command.braking])))

    def release(self) -> None:
        """Do nothing: the last command was a hold, or leads to one."""

    def halt(self) -> None:
        """Do nothing: the last command was a hold."""


class TrajectoryMessages:
    """Trajectories of an arm as they go over the wire.

    Built anew, a message of fifteen points takes several times as long as everything else that sends a
    command; only the positions in it change, so they are written into one that was serialised before.
    """

    def __init__(self, arm: Arm, serialised: Callable[[JointTrajectory], bytes]) -> None:
        self._arm, self._serialised = arm, serialised
        self._made: dict[int, tuple[bytearray, FloatArray]] = {}  # by the number of points

    def of(self, way: FloatArray) -> bytes:
        """Return the message that brings the arm to each of `way` (N, J) rad, one command period apart."""
        if len(way) not in self._made:
            self._made[len(way)] = self._make(*way.shape)
        message, positions = self._made[len(way)]
        positions[:] = way
        return bytes(message)

    def _make(self, points: int, joints: int) -> tuple[bytearray, FloatArray]:
        """Return a message, and the view of its positions, found by numbers that are nowhere else in it."""
        marks = np.pi + np.arange(points * joints, dtype=np.float64).reshape(points, joints)
        message = bytearray(self._serialised(joint_trajectory(self._arm, marks)))
        first, last = message.find(marks[0].tobytes()), message.find(marks[-1].tobytes())
        stride = (last - first) // max(1, points - 1)
        return message, np.ndarray((points, joints), np.float64, message, first, (stride, 8))


def joint_trajectory(arm: Arm, way: FloatArray) -> JointTrajectory:
    """Return the message that brings the arm to each of `way` (N, J) rad, one command period apart.

    Positions only: the controller then interpolates linearly, and its last point needs no velocity. Stamp 0
    means from the moment it arrives.
    """
    times = (divmod((n + 1) * arm.period_ns, SECOND_NS) for n in range(len(way)))
    points = [
        JointTrajectoryPoint(positions=joints, time_from_start=Duration(sec=sec, nanosec=nanosec))
        for joints, (sec, nanosec) in zip(way.tolist(), times, strict=True)
    ]
    return JointTrajectory(joint_names=list(arm.joints), points=points)
