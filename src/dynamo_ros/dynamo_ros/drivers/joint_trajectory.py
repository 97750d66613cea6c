"""Commands for ros2_control's joint_trajectory_controller."""

from __future__ import annotations

from collections.abc import Iterable

from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dynamo_policies.sinks import ArmSink

SECOND_NS = 1_000_000_000


def joint_trajectory(arm: ArmSink, joints: Iterable[float]) -> JointTrajectory:
    """Return the message that brings the arm to `joints`, (J,) rad, in one command period.

    One point, positions only: the controller then interpolates linearly, and its last point needs none.
    Stamp 0 means from the moment it arrives; a new message replaces the old trajectory.
    """
    duration = Duration(sec=arm.period_ns // SECOND_NS, nanosec=arm.period_ns % SECOND_NS)
    point = JointTrajectoryPoint(positions=list(map(float, joints)), time_from_start=duration)
    return JointTrajectory(joint_names=list(arm.joints), points=[point])
