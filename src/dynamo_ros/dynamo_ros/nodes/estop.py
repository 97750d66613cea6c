"""The software e-stop: true on a topic, however it is published."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from std_msgs.msg import Bool

# No single quality fits every publisher: one that only reads best effort may lose the message, one that wants
# the latched value does not hear those who latch nothing.
QUALITIES = (
    QoSProfile(depth=10),
    QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL),
    QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT),
)


class EstopIn:
    """Calls `take` with what is published, with the same message up to three times."""

    def __init__(self, node: Node, topic: str, take: Callable[[bool], object]) -> None:
        self._node, self._take = node, take
        self._subscriptions = [
            node.create_subscription(Bool, topic, self._receive, quality) for quality in QUALITIES
        ]

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _receive(self, message: Bool) -> None:
        self._take(bool(message.data))
