"""The way of a wish to a gripper's driver, and to whoever records what was commanded."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import JointState

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_policies.streams import JointStream
from dynamo_ros.core.gripper import PendingGoal
from dynamo_ros.drivers import GRIPPER_DRIVERS
from dynamo_ros.nodes.bus import RosBus
from dynamo_ros.nodes.messages import to_joint_state
from dynamo_ros.nodes.qos import COMMANDS


class GripperPublisher:
    """Publishes the gripper's target as the contract's stream target_gripper and sends goals."""

    def __init__(self, node: Node, contract: Contract) -> None:
        sink, stream = contract.need_gripper("commanding a gripper"), contract.streams.get("target_gripper")
        if not isinstance(stream, JointStream) or stream.role != "action":
            raise ConfigError(
                f"contract {contract.name!r} has no JointStream target_gripper with role action"
            )
        self._node, self._joints = node, stream.joints
        self._bus = RosBus(node)
        self._driver = GRIPPER_DRIVERS[sink.kind](self._bus, sink)
        self._targets = node.create_publisher(JointState, stream.topic, COMMANDS)
        self._pending = PendingGoal()

    def publish(self, target: float, goal: float | None, stamp_ns: int) -> None:
        """Publish `target`, 0 open to 1 closed, as commanded and send the driver its goal, if any."""
        self._targets.publish(to_joint_state(self._joints, [target], stamp_ns=stamp_ns))
        if (goal := self._pending.offer(goal, stamp_ns)) is not None:
            self._send(goal)

    def destroy(self) -> None:
        """Take the publisher and the driver's end off the node."""
        self._node.destroy_publisher(self._targets)
        self._bus.destroy()

    def _send(self, position: float) -> None:
        if not self._driver.ready():
            text = f"no gripper to take the goal {position:g}; it waits {self._driver.fault()}".rstrip()
            self._node.get_logger().warning(text, throttle_duration_sec=1.0)
            return
        self._pending.taken()
        self._driver.send(position)
