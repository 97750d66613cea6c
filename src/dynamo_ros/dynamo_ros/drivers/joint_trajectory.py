"""Commands for ros2_control's joint_trajectory_controller."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import ClassVar

from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dynamo_policies.contract import Contract
from dynamo_policies.sinks import Arm, TrajectoryArm, of_kind
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.steps import FloatArray
from dynamo_ros.drivers.bus import Bus

SECOND_NS = 1_000_000_000


class TrajectoryDriver:
    """Publishes one trajectory a command. The controller holds the last one for ever, so nothing ends it."""

    NEEDS_JOINTS: ClassVar[bool] = False

    def __init__(self, bus: Bus, contract: Contract) -> None:
        arm = of_kind(contract.arm, TrajectoryArm, "a trajectory driver")
        self._publish = bus.publisher(JointTrajectory, arm.topic)
        # One message for all commands: to make it takes half as long as to send it.
        self._message = joint_trajectory(arm, [0.0] * len(arm.joints))

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
        self._message.points[0].positions = array("d", command.joints.tolist())
        self._publish(self._message)

    def release(self) -> None:
        """Do nothing: the last command was a hold."""

    def halt(self) -> None:
        """Do nothing: the last command was a hold."""


def joint_trajectory(arm: Arm, joints: Iterable[float]) -> JointTrajectory:
    """Return the message that brings the arm to `joints`, (J,) rad, in one command period.

    One point, positions only: the controller then interpolates linearly, and its last point needs none.
    Stamp 0 means from the moment it arrives; a new message replaces the old trajectory.
    """
    duration = Duration(sec=arm.period_ns // SECOND_NS, nanosec=arm.period_ns % SECOND_NS)
    point = JointTrajectoryPoint(positions=list(map(float, joints)), time_from_start=duration)
    return JointTrajectory(joint_names=list(arm.joints), points=[point])
