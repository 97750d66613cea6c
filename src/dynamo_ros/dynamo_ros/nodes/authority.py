"""Says on /dynamo/authority who moves the arm through this node, and hears who does through another."""

from __future__ import annotations

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from std_msgs.msg import String

from dynamo_ros.core.authority import PERIOD_S, TOPIC, Authority, AuthorityError, Others, parse
from dynamo_ros.core.takeover import Holder
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.qos import COMMANDS


class AuthorityTopic:
    """The node's voice and ear on the topic. Its times are steady ones: simulated time may stand still."""

    def __init__(self, node: Node) -> None:
        self._node, self._me = node, node.get_name()
        self._others, self._steady = Others(self._me), Clock(clock_type=ClockType.STEADY_TIME)
        self._told, self._told_ns = Authority("nobody", self._me), 0
        self._publisher = node.create_publisher(String, TOPIC, COMMANDS)
        self._subscription = node.create_subscription(String, TOPIC, self._hear, COMMANDS)

    @property
    def other(self) -> Authority | None:
        """Who moves the arm through another node; None if nobody does."""
        return self._others.commanding(now_ns(self._steady))

    def tell(self, holder: Holder) -> None:
        """Say who moves the arm, if that is news or was said too long ago."""
        authority, steady_ns = Authority(holder, self._me), now_ns(self._steady)
        repeat = holder != "nobody" and steady_ns - self._told_ns >= PERIOD_S * 1e9
        if authority != self._told or repeat:
            self._told, self._told_ns = authority, steady_ns
            self._publisher.publish(String(data=authority.text))

    def _hear(self, message: String) -> None:
        try:
            self._others.saw(parse(message.data), now_ns(self._steady))
        except AuthorityError as error:
            self._node.get_logger().error(f"{TOPIC}: {error}", throttle_duration_sec=1.0)
