"""A person's targets from a teleoperation device, for whoever follows them."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from dynamo_policies.observation import Pose
from dynamo_ros.nodes.messages import from_pose_message, now_ns
from dynamo_ros.nodes.qos import COMMANDS

POSE_TOPIC, GRIPPER_TOPIC = "/teleop/target_pose", "/teleop/target_gripper"


class PersonIn:
    """Calls `aim` with each target of the tool in `frame` and when it came, `wish` with the gripper's."""

    def __init__(
        self, node: Node, frame: str, aim: Callable[[Pose, int], object], wish: Callable[[float], object]
    ) -> None:
        self._node, self._frame, self._take_aim, self._take_wish = node, frame, aim, wish
        self._subscriptions = [
            node.create_subscription(PoseStamped, POSE_TOPIC, self._aim, COMMANDS),
            node.create_subscription(JointState, GRIPPER_TOPIC, self._wish, COMMANDS),
        ]

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _aim(self, message: PoseStamped) -> None:
        if message.header.frame_id != self._frame:
            given = f"{POSE_TOPIC} is in frame {message.header.frame_id!r}"
            self._node.get_logger().error(
                f"{given}, the contract expects {self._frame!r}", throttle_duration_sec=1.0
            )
            return
        self._take_aim(from_pose_message(message.pose), now_ns(self._node.get_clock()))

    def _wish(self, message: JointState) -> None:
        if len(message.position) == 1:
            self._take_wish(message.position[0])
