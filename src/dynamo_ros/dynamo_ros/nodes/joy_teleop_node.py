"""A game controller or a 3D mouse as a teleoperation device."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Joy

from dynamo_ros.core.joy_mapping import JoyMapping, layout
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.spin import run
from dynamo_ros.nodes.targets import TargetPublisher


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
        self._targets = TargetPublisher(self, contract)
        self.create_subscription(Joy, "/joy", self._joy, 10)
        self.create_timer(contract.arm.period_ns / 1e9, self._step)

    def _joy(self, message: Joy) -> None:
        self._mapping.joy(message.axes, message.buttons, now_ns(self.get_clock()))

    def _step(self) -> None:
        stamp_ns = now_ns(self.get_clock())
        if (measured := self._targets.measured) is None:
            return
        target = self._mapping.step(measured, stamp_ns, gripper_closed=self._targets.closed)
        if target is not None:
            self._targets.publish(target, stamp_ns)


def main() -> int:
    """Run the device until it is interrupted."""
    return run(JoyTeleopNode)
