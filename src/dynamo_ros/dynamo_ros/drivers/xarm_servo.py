"""Mode 1 of the xArm: targets that are taken at once, so each must be a small step from the one before."""

from __future__ import annotations

from typing import Any

from dynamo_policies.observation import Pose
from dynamo_policies.sinks import CartesianServoArm, ServoJointArm
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.steps import FloatArray, joint_step, pose_step
from dynamo_ros.core.xarm_units import to_axis_angle
from dynamo_ros.drivers.xarm import XarmDriver


class ServoJointDriver(XarmDriver[ServoJointArm]):
    """Joint targets; after dropped calls the arm catches up by steps of `step_rad`."""

    MODE, SERVICE, TYPE, SINK = 1, "set_servo_angle_j", "MoveJoint", ServoJointArm

    def _forget(self) -> None:
        self._last: FloatArray | None = None

    def _request(self, command: ArmCommand | None) -> Any:
        assert command is not None
        assert self._measured is not None
        last = self._measured if self._last is None else self._last
        self._last = joint_step(last, command.joints, step_rad=self._arm.step_rad)
        return self._request_type(angles=self._last.tolist())


class CartesianServoDriver(XarmDriver[CartesianServoArm]):
    """Tool poses as mm and axis-angle, absolute in the base frame, by steps of `step_m` and `step_rad`."""

    MODE, SERVICE, TYPE, SINK = 1, "set_servo_cartesian_aa", "MoveCartesian", CartesianServoArm
    CARTESIAN = True

    def _forget(self) -> None:
        self._last: Pose | None = None

    def _request(self, command: ArmCommand | None) -> Any:
        assert command is not None
        assert self._reported is not None
        # The first step begins where the arm itself has its tool, which calibration may put off our place.
        last = self._reported if self._last is None else self._last
        arm = self._arm
        self._last = pose_step(last, command.target.pose, step_m=arm.step_m, step_rad=arm.step_rad)
        return self._request_type(pose=to_axis_angle(self._last))
