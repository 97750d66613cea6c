"""When messages were received and sent, by the ROS clock, from what the middleware stamps."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock

from dynamo_ros.core.ros_time import SimulatedTime, SystemTime
from dynamo_ros.nodes.messages import now_ns, to_ns

TICKS = QoSProfile(depth=1000, reliability=QoSReliabilityPolicy.BEST_EFFORT)


class ReceiveTimes:
    """Turns the middleware's stamps into ROS time; on simulated time by the `/clock` messages of then."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._time: SystemTime | SimulatedTime = SystemTime()
        self._ticks = None
        if node.get_parameter("use_sim_time").value:
            self._time = SimulatedTime()
            self._ticks = node.create_subscription(Clock, "/clock", self._tick, TICKS)

    def of(self, info: Mapping[str, int | None]) -> tuple[int, int]:
        """Return when the message with this `info` was received and when it was sent, 0: not known."""
        self._catch_up()
        received = self._ros_ns(info["received_timestamp"])
        return received or now_ns(self._node.get_clock()), self._ros_ns(info["source_timestamp"]) or 0

    def close(self) -> None:
        """Listen to `/clock` no more."""
        if self._ticks is not None:
            self._node.destroy_subscription(self._ticks)

    def _ros_ns(self, system_ns: int | None) -> int | None:
        return self._time.ros_ns(int(system_ns)) if system_ns else None

    def _catch_up(self) -> None:
        """Take the ticks that came before the message in hand and whose callbacks have not run yet."""
        if self._ticks is None:
            return
        with self._ticks.handle:
            while (taken := self._ticks.handle.take_message(Clock, False)) is not None:  # noqa: FBT003 (rclpy)
                self._tick(*taken)

    def _tick(self, message: Clock, info: Mapping[str, int | None]) -> None:
        assert isinstance(self._time, SimulatedTime)
        self._time.tick(int(info["received_timestamp"] or 0), to_ns(message.clock))
