"""A game controller or a 3D mouse as a teleoperation device."""

from __future__ import annotations

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState, Joy

from dynamo_policies.observation import Pose, Sample
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.joy_mapping import JoyMapping, is_closed, layout
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.measured import JointReader
from dynamo_ros.nodes.messages import now_ns, to_joint_state, to_pose_stamped
from dynamo_ros.nodes.qos import COMMANDS
from dynamo_ros.nodes.spin import run
from dynamo_ros.nodes.teleop_node import GRIPPER_TOPIC, POSE_TOPIC


class JoyTeleopNode(Node):
    """Feeds sensor_msgs/Joy to a JoyMapping and publishes its targets.

    Parameters: `contract` (name or path), `layout` (gamepad or spacemouse), `speed_m_s` and `turn_rad_s` at
    full deflection.
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("joy_teleop_node", parameter_overrides=overrides)
        contract = find_contract(self.declare_parameter("contract", "xarm_kitchen").value)
        self._mapping = JoyMapping(
            layout(self.declare_parameter("layout", "gamepad").value),
            speed_m_s=self.declare_parameter("speed_m_s", 0.15).value,
            turn_rad_s=self.declare_parameter("turn_rad_s", 0.8).value,
        )
        self._frame, self._forward = contract.base_frame, Commander(contract).forward
        self._gripper = contract.gripper
        self._measured: Pose | None = None
        self._closed = False
        self._arm_stream = contract.arm_stream
        self._joints = JointReader(self, contract, contract.proprioception, self._observe)
        self._pose = self.create_publisher(PoseStamped, POSE_TOPIC, COMMANDS)
        self._wish = self.create_publisher(JointState, GRIPPER_TOPIC, COMMANDS)
        self.create_subscription(Joy, "/joy", self._joy, 10)
        self.create_timer(contract.arm.period_ns / 1e9, self._step)

    def _observe(self, sample: Sample) -> None:
        if sample.stream == self._arm_stream:
            self._measured = self._forward(sample.value)
        else:
            self._closed = is_closed(self._gripper, float(sample.value[0]))

    def _joy(self, message: Joy) -> None:
        self._mapping.joy(message.axes, message.buttons, now_ns(self.get_clock()))

    def _step(self) -> None:
        stamp_ns = now_ns(self.get_clock())
        if self._measured is None:
            return
        target = self._mapping.step(self._measured, stamp_ns, gripper_closed=self._closed)
        if target is None:
            return
        # The gripper first: nothing engages before its first wish.
        self._wish.publish(to_joint_state(["gripper"], [target.gripper], stamp_ns=stamp_ns))
        self._pose.publish(to_pose_stamped(target.pose, stamp_ns=stamp_ns, frame=self._frame))


def main() -> int:
    """Run the device until it is interrupted."""
    return run(JoyTeleopNode)
