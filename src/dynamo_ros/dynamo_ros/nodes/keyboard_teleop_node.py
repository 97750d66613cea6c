"""A terminal's keyboard as a teleoperation device."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.parameter import Parameter

from dynamo_ros.core.keyboard_mapping import HELP, SILENCE_S, KeyboardMapping
from dynamo_ros.drivers.terminal import Terminal
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.spin import run
from dynamo_ros.nodes.targets import TargetPublisher


class KeyboardTeleopNode(Node):
    """Feeds a terminal's keys to a KeyboardMapping and publishes its targets.

    Parameters: `contract` (name or path), `terminal` (a device), `speed_m_s` and `turn_rad_s` at scale 1,
    `silence_s` without a key until nothing moves.
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("keyboard_teleop_node", parameter_overrides=overrides)
        contract = find_contract(self.declare_parameter("contract", "xarm_kitchen").value)
        self._mapping = KeyboardMapping(
            speed_m_s=self.declare_parameter("speed_m_s", 0.1).value,
            turn_rad_s=self.declare_parameter("turn_rad_s", 0.5).value,
            silence_s=self.declare_parameter("silence_s", SILENCE_S).value,
        )
        self._targets = TargetPublisher(self, contract)
        self._terminal = Terminal(self.declare_parameter("terminal", "/dev/tty").value)
        self.create_timer(contract.arm.period_ns / 1e9, self._step)
        self.get_logger().info(HELP)

    def _step(self) -> None:
        stamp_ns = now_ns(self.get_clock())
        for key in self._terminal.read():
            self._mapping.key(key, stamp_ns)
        if (measured := self._targets.measured) is None:
            return
        target = self._mapping.step(measured, stamp_ns, gripper_closed=self._targets.closed)
        if target is not None:
            self._targets.publish(target, stamp_ns)

    def destroy_node(self) -> None:
        """Give the terminal back, then destroy the node."""
        self._terminal.close()
        super().destroy_node()


def main() -> int:
    """Run the device until it is interrupted."""
    return run(KeyboardTeleopNode)
