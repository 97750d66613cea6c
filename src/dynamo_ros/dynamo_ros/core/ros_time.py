"""When a message was received and sent, by the ROS clock, however late its callback runs.

The middleware stamps by the system's clock. Where ROS time is simulated, the time of a stamp is that of the
newest `/clock` message which had come by then: what a node that looked at its clock at that moment would have
read.
"""

from __future__ import annotations

import bisect
from collections import deque

KEPT = 20_000  # `/clock` messages: 20 s at 1 kHz, far longer than a callback waits


class SystemTime:
    """ROS time that is the system's."""

    def ros_ns(self, system_ns: int) -> int | None:
        """Return the ROS time at `system_ns`."""
        return system_ns


class SimulatedTime:
    """ROS time as `/clock` tells it."""

    def __init__(self) -> None:
        self._system_ns: deque[int] = deque(maxlen=KEPT)
        self._ros_ns: deque[int] = deque(maxlen=KEPT)

    def tick(self, received_ns: int, ros_ns: int) -> None:
        """Take a `/clock` message, received at `received_ns` of the system's clock."""
        if self._system_ns and received_ns < self._system_ns[-1]:
            self._system_ns.clear()  # The system's clock was set back.
            self._ros_ns.clear()
        self._system_ns.append(received_ns)
        self._ros_ns.append(ros_ns)

    def ros_ns(self, system_ns: int) -> int | None:
        """Return the ROS time at `system_ns`; None before the first `/clock` message."""
        if not self._system_ns:
            return None
        newest = self._system_ns[-1]
        if system_ns >= newest:  # the usual case, without a search
            return self._ros_ns[-1]
        place = bisect.bisect_right(self._system_ns, system_ns)
        return self._ros_ns[max(place - 1, 0)]
