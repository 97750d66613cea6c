"""What every teleoperation device needs: where the robot is, and the way of a target to `teleop_node`."""

from __future__ import annotations

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Sample, Target
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.joy_mapping import is_closed
from dynamo_ros.nodes.measured import JointReader
from dynamo_ros.nodes.messages import to_joint_state, to_pose_stamped
from dynamo_ros.nodes.qos import COMMANDS
from dynamo_ros.nodes.teleop_node import GRIPPER_TOPIC, POSE_TOPIC


class TargetPublisher:
    """Publishes a device's targets; knows the measured tool pose and gripper.

    `measured` is None until the arm has spoken.
    """

    def __init__(self, node: Node, contract: Contract) -> None:
        self.measured: Pose | None = None
        self.closed = False
        self._frame, self._forward = contract.base_frame, Commander(contract).forward
        self._gripper, self._arm_stream = contract.gripper, contract.arm_stream
        self._hand_stream = contract.hand_stream
        self._joints = JointReader(node, contract, contract.proprioception, self._observe)
        self._pose = node.create_publisher(PoseStamped, POSE_TOPIC, COMMANDS)
        self._wish = node.create_publisher(JointState, GRIPPER_TOPIC, COMMANDS)

    def publish(self, target: Target, stamp_ns: int) -> None:
        """Publish `target`, given at `stamp_ns`."""
        # The gripper first: nothing engages before its first wish.
        if self._gripper is not None:
            self._wish.publish(to_joint_state(["gripper"], [target.gripper], stamp_ns=stamp_ns))
        self._pose.publish(to_pose_stamped(target.pose, stamp_ns=stamp_ns, frame=self._frame))

    def _observe(self, sample: Sample) -> None:
        if sample.stream == self._arm_stream:
            self.measured = self._forward(sample.value)
        elif self._gripper is not None and sample.stream != self._hand_stream:
            self.closed = is_closed(self._gripper, float(sample.value[0]))
