"""The way of a command to the drivers, and to whoever records what was commanded."""

from __future__ import annotations

from typing import TypeVar

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_policies.observation import Target
from dynamo_policies.streams import PoseStream, Stream
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.drivers import ARM_MESSAGES
from dynamo_ros.nodes.gripper_commands import GripperPublisher
from dynamo_ros.nodes.hand_commands import HandPublisher
from dynamo_ros.nodes.messages import to_pose_stamped
from dynamo_ros.nodes.qos import COMMANDS

T = TypeVar("T", bound=Stream)


class CommandPublisher:
    """Sends each command to the drivers and publishes it as the contract's action streams."""

    def __init__(self, node: Node, contract: Contract) -> None:
        self._node, self._arm = node, contract.arm
        self._pose_stream = action_stream(contract, PoseStream)
        self._arm_message = ARM_MESSAGES[contract.arm.kind]
        self._trajectory = node.create_publisher(JointTrajectory, contract.arm.topic, COMMANDS)
        self._target_pose = node.create_publisher(PoseStamped, self._pose_stream.topic, COMMANDS)
        self._gripper = None if contract.gripper is None else GripperPublisher(node, contract)
        self._hand = None if contract.hand is None else HandPublisher(node, contract)

    def publish(self, command: ArmCommand, stamp_ns: int) -> None:
        """Send `command`, given for `stamp_ns`; nothing is waited for."""
        self._trajectory.publish(self._arm_message(self._arm, command.joints))
        if self._hand is not None and command.hand is not None:
            self._hand.publish(command.hand.tolist(), stamp_ns)
        self.tell(command.target, command.gripper, stamp_ns)

    def tell(self, target: Target, gripper_goal: float | None, stamp_ns: int) -> None:
        """Publish `target` as commanded and send the gripper its goal, if any; arm and hand get nothing."""
        frame = self._pose_stream.frame
        self._target_pose.publish(to_pose_stamped(target.pose, stamp_ns=stamp_ns, frame=frame))
        if self._gripper is not None:
            self._gripper.publish(target.gripper, gripper_goal, stamp_ns)

    def destroy(self) -> None:
        """Take the publishers and the action client off the node."""
        for publisher in (self._trajectory, self._target_pose):
            self._node.destroy_publisher(publisher)
        for end in (self._gripper, self._hand):
            if end is not None:
                end.destroy()


def action_stream(contract: Contract, kind: type[T]) -> T:
    """Return the contract's first action stream of this kind, ConfigError if it has none."""
    for stream in contract.streams.values():
        if stream.role == "action" and isinstance(stream, kind):
            return stream
    raise ConfigError(f"contract {contract.name!r} has no {kind.__name__} with role action")
