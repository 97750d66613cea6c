"""What the gates of a contract listen to: the e-stop, the arm's controller, the deadman."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription
from rosidl_runtime_py.utilities import get_message
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_ros.core.runner import Runner
from dynamo_ros.nodes.estop import EstopIn
from dynamo_ros.nodes.messages import now_ns


class GatesIn:
    """Tells a runner's gates what is published for them, until `close`."""

    def __init__(self, node: Node, runner: Runner) -> None:
        """Subscribe; ConfigError where the type of the robot's state is not installed on a real robot."""
        self._node, self._runner = node, runner
        its = runner.contract.gates
        self._subscriptions = [*self._of_robot(runner.contract), *self._of_deadman(runner.contract)]
        self._estop = EstopIn(node, its.estop.topic, lambda pressed: runner.estop(pressed=pressed))

    def close(self) -> None:
        """Listen no more."""
        self._estop.close()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _of_robot(self, contract: Contract) -> list[Subscription]:
        its = contract.gates.robot_state
        if its.topic is None:
            return []
        try:
            message_type = get_message(its.type)
        except (ModuleNotFoundError, AttributeError) as error:
            needed = f"gate robot_state needs {its.type} of {its.topic}"
            raise ConfigError(f"{needed}, which is not installed; source the driver's workspace") from error
        return [self._node.create_subscription(message_type, its.topic, self._robot, 10)]

    def _of_deadman(self, contract: Contract) -> list[Subscription]:
        its = contract.gates.deadman
        if its.topic is None:
            return []
        kind, receive = (Bool, self._bool) if its.button is None else (Joy, self._joy)
        return [self._node.create_subscription(kind, its.topic, receive, 10)]

    def _robot(self, message: Any) -> None:
        self._runner.gates.robot_state.saw(message, now_ns(self._node.get_clock()))

    def _bool(self, message: Bool) -> None:
        self._runner.gates.deadman.saw(bool(message.data), now_ns(self._node.get_clock()))

    def _joy(self, message: Joy) -> None:
        button = self._runner.contract.gates.deadman.button
        assert button is not None
        held = button < len(message.buttons) and message.buttons[button] == 1
        self._runner.gates.deadman.saw(held, now_ns(self._node.get_clock()))
