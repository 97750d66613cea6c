"""Twists of the tool from a teleoperation device, as targets of it."""

from __future__ import annotations

from geometry_msgs.msg import TwistStamped, Vector3
from rclpy.node import Node

from dynamo_policies.contract import Contract
from dynamo_ros.core.teleoperation import Teleoperation
from dynamo_ros.core.twist_input import TwistError, TwistInput
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.qos import COMMANDS

TWIST_TOPIC = "/teleop/twist"


class TwistIn:
    """Hands what twists lead to on to a Teleoperation, once a command.

    Parameter: `tool_frame`, what the header of a twist in the tool's own axes says (that of xarm_ros2).
    """

    def __init__(self, node: Node, contract: Contract, teleoperation: Teleoperation) -> None:
        self._node, self._teleoperation = node, teleoperation
        tool_frame = str(node.declare_parameter("tool_frame", "link_tcp").value)
        self._input = TwistInput(contract, tool_frame=tool_frame)
        node.create_subscription(TwistStamped, TWIST_TOPIC, self._take, COMMANDS)

    def step(self, stamp_ns: int) -> None:
        """Aim at where the newest twist leads by now."""
        if not self._input.holds(stamp_ns) or (measured := self._teleoperation.measured_pose) is None:
            return
        if (target := self._input.step(measured, stamp_ns)) is not None:
            self._teleoperation.aim(target, stamp_ns)

    def _take(self, message: TwistStamped) -> None:
        linear, angular = _three(message.twist.linear), _three(message.twist.angular)
        try:
            self._input.take(linear, angular, message.header.frame_id, now_ns(self._node.get_clock()))
        except TwistError as error:
            self._node.get_logger().error(f"{TWIST_TOPIC}: {error}", throttle_duration_sec=1.0)


def _three(vector: Vector3) -> list[float]:
    return [vector.x, vector.y, vector.z]
