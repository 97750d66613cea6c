"""A person's targets from a teleoperation device, for whoever follows them."""

from __future__ import annotations

from typing import Protocol

import numpy.typing as npt
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_ros.core.hand_target import HandTargetError, hand_joints
from dynamo_ros.nodes.messages import from_pose_message, now_ns
from dynamo_ros.nodes.qos import COMMANDS

POSE_TOPIC, GRIPPER_TOPIC = "/teleop/target_pose", "/teleop/target_gripper"
HAND_TOPIC = "/teleop/target_hand"


class Follows(Protocol):
    """Who takes the targets, each with when it came."""

    def aim(self, pose: Pose, now_ns: int) -> None:
        """Take the tool's."""

    def wish(self, gripper: float) -> None:
        """Take the gripper's, 0 open to 1 closed."""

    def aim_hand(self, joints: npt.ArrayLike, now_ns: int, /) -> None:
        """Take the hand's (16,) rad."""


class PersonIn:
    """Hands targets to `follower` until `close`."""

    def __init__(self, node: Node, contract: Contract, follower: Follows) -> None:
        self._node, self._follower = node, follower
        self._frame, self._hand = contract.base_frame, contract.hand
        self._subscriptions = [
            node.create_subscription(PoseStamped, POSE_TOPIC, self._aim, COMMANDS),
            node.create_subscription(JointState, GRIPPER_TOPIC, self._wish, COMMANDS),
            node.create_subscription(JointState, HAND_TOPIC, self._aim_hand, COMMANDS),
        ]

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _aim(self, message: PoseStamped) -> None:
        if message.header.frame_id != self._frame:
            given = f"{POSE_TOPIC} is in frame {message.header.frame_id!r}"
            self._complain(f"{given}, the contract expects {self._frame!r}")
            return
        self._follower.aim(from_pose_message(message.pose), now_ns(self._node.get_clock()))

    def _wish(self, message: JointState) -> None:
        if len(message.position) == 1:
            self._follower.wish(message.position[0])

    def _aim_hand(self, message: JointState) -> None:
        try:
            joints = hand_joints(self._hand, message.name, message.position)
        except HandTargetError as error:
            self._complain(f"{HAND_TOPIC}: {error}")
            return
        self._follower.aim_hand(joints, now_ns(self._node.get_clock()))

    def _complain(self, text: str) -> None:
        self._node.get_logger().error(text, throttle_duration_sec=1.0)
