"""The time of a node that commands: by the clock of stamps, which may jump, beside one that does not."""

from __future__ import annotations

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from dynamo_ros.nodes.messages import both_ns, now_ns


class Clocks:
    """One moment by both clocks, for all that is done in a tick.

    A real arm is commanded steadily whatever the clock of stamps does; a simulated one in its own time.
    """

    def __init__(self, node: Node) -> None:
        self.simulated = bool(node.get_parameter("use_sim_time").value)
        self._stamps, self.steady = node.get_clock(), Clock(clock_type=ClockType.STEADY_TIME)
        self.look()

    @property
    def ticking(self) -> Clock:
        """The clock that ticks go by."""
        return self._stamps if self.simulated else self.steady

    def look(self) -> int:
        """Take the time for a tick, and return it by the clock of stamps, ns."""
        self.stamp_ns, self.steady_ns = both_ns(self._stamps, self.steady)
        return self.stamp_ns

    @property
    def later_ns(self) -> int:
        """What time it is by now; a jump since `look` does not count."""
        if self.simulated:
            return now_ns(self._stamps)
        return self.stamp_ns + now_ns(self.steady) - self.steady_ns
