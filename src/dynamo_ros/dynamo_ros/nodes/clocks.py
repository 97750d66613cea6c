"""The time of a node that commands: by the clock of stamps, which may jump, beside one that does not."""

from __future__ import annotations

import contextlib
import threading
import time

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node

from dynamo_ros.nodes.messages import both_ns, now_ns

LOOK_S = 0.02
BACK_NS = 1_000_000


class Clocks:
    """One moment by both clocks, for all that is done in a tick.

    A real arm is commanded steadily whatever the clock of stamps does; a simulated one in its own time.
    """

    def __init__(self, node: Node) -> None:
        self.simulated = bool(node.get_parameter("use_sim_time").value)
        self._stamps, self.steady = node.get_clock(), Clock(clock_type=ClockType.STEADY_TIME)
        self.look()
        if not self.simulated:
            wake_when_set_back(node)

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


def wake_when_set_back(node: Node) -> None:
    """Wake the node's executor whenever the system's clock is set back, as long as the node is there.

    A middleware built for older systems, as ROS 2 from PyPI is, waits until a date: where the clock is set
    back by a second, timers are late by a second, steady ones too, unless a message comes.
    """
    guard = node.create_guard_condition(lambda: None)

    def watch() -> None:
        before_ns = time.time_ns() - time.monotonic_ns()
        while guard in node.guards:
            time.sleep(LOOK_S)  # not by a date, as waits for events may be
            offset_ns = time.time_ns() - time.monotonic_ns()
            if offset_ns < before_ns - BACK_NS:
                with contextlib.suppress(InvalidHandle):  # the node was destroyed just now
                    guard.trigger()
            before_ns = offset_ns

    threading.Thread(target=watch, name="clock watch", daemon=True).start()
