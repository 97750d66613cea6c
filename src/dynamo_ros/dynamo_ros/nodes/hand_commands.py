"""The way of a command to a hand's driver, and to whoever records what was commanded."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node
from sensor_msgs.msg import JointState

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_policies.streams import JointStream
from dynamo_ros.drivers import HAND_MESSAGES, HAND_TYPES
from dynamo_ros.nodes.messages import to_joint_state
from dynamo_ros.nodes.qos import COMMANDS


class HandPublisher:
    """Sends each command to the hand's driver and publishes it as the contract's stream target_hand."""

    def __init__(self, node: Node, contract: Contract) -> None:
        self._node, self._hand = node, contract.need_hand("commanding a hand")
        stream = contract.streams.get("target_hand")
        if not isinstance(stream, JointStream) or stream.role != "action":
            raise ConfigError(f"contract {contract.name!r} has no stream target_hand of joints, role action")
        self._message = HAND_MESSAGES[self._hand.kind]
        self._commands = node.create_publisher(HAND_TYPES[self._hand.kind], self._hand.topic, COMMANDS)
        self._targets = node.create_publisher(JointState, stream.topic, COMMANDS)

    def publish(self, joints: Sequence[float], stamp_ns: int) -> None:
        """Send the hand to `joints` (16,) rad, in the order of contract.hand.joints."""
        self._commands.publish(self._message(self._hand, joints))
        self._targets.publish(to_joint_state(self._hand.joints, joints, stamp_ns=stamp_ns))

    def destroy(self) -> None:
        """Take the publishers off the node."""
        for publisher in (self._commands, self._targets):
            self._node.destroy_publisher(publisher)
