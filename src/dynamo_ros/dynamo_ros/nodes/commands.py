"""The way of a command to the drivers, and to whoever records what was commanded."""

from __future__ import annotations

from typing import TypeVar

from control_msgs.action import GripperCommand
from geometry_msgs.msg import PoseStamped
from rclpy.action.client import ActionClient
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_policies.observation import Target
from dynamo_policies.streams import JointStream, PoseStream, Stream
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.gripper import PendingGoal
from dynamo_ros.drivers import ARM_MESSAGES, GRIPPER_GOALS
from dynamo_ros.nodes.messages import to_joint_state, to_pose_stamped
from dynamo_ros.nodes.qos import COMMANDS

T = TypeVar("T", bound=Stream)


class CommandPublisher:
    """Sends each command to the drivers and publishes it as the contract's action streams."""

    def __init__(self, node: Node, contract: Contract) -> None:
        self._node, self._arm = node, contract.arm
        self._pose_stream = action_stream(contract, PoseStream)
        self._gripper_stream = action_stream(contract, JointStream)
        self._arm_message = ARM_MESSAGES[contract.arm.kind]
        self._gripper_goal = GRIPPER_GOALS[contract.gripper.kind]
        self._trajectory = node.create_publisher(JointTrajectory, contract.arm.topic, COMMANDS)
        self._target_pose = node.create_publisher(PoseStamped, self._pose_stream.topic, COMMANDS)
        self._target_gripper = node.create_publisher(JointState, self._gripper_stream.topic, COMMANDS)
        self._pending = PendingGoal()
        self._gripper = ActionClient(node, GripperCommand, contract.gripper.action)

    def publish(self, command: ArmCommand, stamp_ns: int) -> None:
        """Send `command`, given for `stamp_ns`; nothing is waited for."""
        self._trajectory.publish(self._arm_message(self._arm, command.joints))
        self.tell(command.target, command.gripper, stamp_ns)

    def tell(self, target: Target, gripper_goal: float | None, stamp_ns: int) -> None:
        """Publish `target` as commanded and send the gripper its goal, if any; the arm gets nothing."""
        pose, gripper = target.pose, target.gripper
        joints = self._gripper_stream.joints
        self._target_pose.publish(to_pose_stamped(pose, stamp_ns=stamp_ns, frame=self._pose_stream.frame))
        self._target_gripper.publish(to_joint_state(joints, [gripper], stamp_ns=stamp_ns))
        if (goal := self._pending.offer(gripper_goal, stamp_ns)) is not None:
            self._send_gripper(goal)

    def destroy(self) -> None:
        """Take the publishers and the action client off the node."""
        for publisher in (self._trajectory, self._target_pose, self._target_gripper):
            self._node.destroy_publisher(publisher)
        self._gripper.destroy()

    def _send_gripper(self, position: float) -> None:
        if not self._gripper.server_is_ready():
            text = f"no gripper to take the goal {position:g}; it waits"
            self._node.get_logger().warning(text, throttle_duration_sec=1.0)
            return
        self._pending.taken()
        # What became of the goal is seen in the gripper's joint state; nobody waits for the result.
        self._gripper.send_goal_async(self._gripper_goal(position))


def action_stream(contract: Contract, kind: type[T]) -> T:
    """Return the contract's first action stream of this kind, ConfigError if it has none."""
    for stream in contract.streams.values():
        if stream.role == "action" and isinstance(stream, kind):
            return stream
    raise ConfigError(f"contract {contract.name!r} has no {kind.__name__} with role action")
