"""The software e-stop: true on a topic, however it is published."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
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
RELEASE_S = 1.0


class EstopIn:
    """Calls `take` with what is published, with the same message up to three times.

    Who published is not known, so a false counts only once nobody has said true for `RELEASE_S`: one button
    does not release another that repeats its true.
    """

    def __init__(self, node: Node, topic: str, take: Callable[[bool], object]) -> None:
        self._node, self._take = node, take
        self._last = False
        self._quiet = node.create_timer(
            RELEASE_S, self._over, clock=Clock(clock_type=ClockType.STEADY_TIME), autostart=False
        )
        self._subscriptions = [
            node.create_subscription(Bool, topic, self._receive, quality) for quality in QUALITIES
        ]

    def close(self) -> None:
        """Listen no more."""
        self._node.destroy_timer(self._quiet)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _receive(self, message: Bool) -> None:
        self._last = bool(message.data)
        if self._last:
            self._quiet.reset()
        if self._last or self._quiet.is_canceled():
            self._take(self._last)

    def _over(self) -> None:
        """Nobody has said true for a while."""
        self._quiet.cancel()
        self._take(self._last)
