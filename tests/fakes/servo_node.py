"""MoveIt Servo over DDS as seen from outside, moving a fake arm without MoveIt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("moveit_msgs")

from control_msgs.msg import JointJog
from geometry_msgs.msg import TwistStamped
from moveit_msgs.srv import ServoCommandType
from rclpy.node import Node

from dynamo_policies.contract import Contract
from fakes.xarm_node import FakeXarm

TIMEOUT_S = 0.1  # incoming_command_timeout
LINEAR_M_S, ROTATIONAL_RAD_S, JOINT_RAD_S = 0.4, 0.8, 0.5  # scales of unitless commands


class FakeServo:
    """Takes the commands of its type, as old as TIMEOUT_S at most, and none before it was told the type."""

    def __init__(self, node: Node, contract: Contract, arm: FakeXarm, *, unitless: bool = False) -> None:
        self._node, self._arm, self._frame = node, arm, contract.base_frame
        self._joints, self._unitless = contract.arm.joints, unitless
        self.type: int | None = None
        self.taken = 0
        node.create_service(ServoCommandType, "/servo_node/switch_command_type", self._switch)
        node.create_subscription(TwistStamped, "/servo_node/delta_twist_cmds", self._twist, 10)
        node.create_subscription(JointJog, "/servo_node/delta_joint_cmds", self._jog, 10)

    def _switch(self, request: Any, response: Any) -> Any:
        self.type, response.success = request.command_type, True
        return response

    def _twist(self, message: TwistStamped) -> None:
        if self._takes(message, 1):
            v, w = message.twist.linear, message.twist.angular
            twist = np.array([v.x, v.y, v.z, w.x, w.y, w.z])
            twist *= np.repeat([LINEAR_M_S, ROTATIONAL_RAD_S], 3) if self._unitless else 1.0
            self._move(self._arm.controller.twist_to_joints(twist, 0.01))

    def _jog(self, message: JointJog) -> None:
        if self._takes(message, 0):
            order = [list(message.joint_names).index(name) for name in self._joints]
            speeds = np.array([message.velocities[i] for i in order])
            self._move(speeds * (JOINT_RAD_S if self._unitless else 1.0))

    def _takes(self, message: Any, kind: int) -> bool:
        stamp = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        age_s = self._node.get_clock().now().nanoseconds / 1e9 - stamp
        return self.type == kind and message.header.frame_id == self._frame and age_s < TIMEOUT_S

    def _move(self, speeds: np.ndarray) -> None:
        self.taken += 1
        self._arm.controller.jog(speeds, TIMEOUT_S)
