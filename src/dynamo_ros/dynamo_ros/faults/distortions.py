"""What may happen to messages between a sensor and those who listen, as sensors, drivers and networks do it.

Each is called with every message and the sensor's time, ns, and returns what arrives of it: messages with the
time, ns, that each takes longer than it should. Messages are anything with the fields of sensor_msgs/Image or
sensor_msgs/JointState, and may be changed in place.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable
from typing import Any

MS = 1_000_000
Arrivals = list[tuple[int, Any]]
Distortion = Callable[[Any, int], Arrivals]


class Line:
    """Carries messages from a sensor to whoever listens; `distort` is what happens to them on the way.

    `last` is the newest message, as it arrived or was to arrive; None before the first.
    """

    def __init__(self) -> None:
        self.distort: Distortion = faithful
        self.last: Any = None
        self._waiting: list[tuple[int, int, Any]] = []
        self._order = itertools.count()

    def carry(self, message: Any, now_ns: int) -> list[Any]:
        """Take a message, and return what has come through by now."""
        self.last = message
        for late_ns, one in self.distort(message, now_ns):
            heapq.heappush(self._waiting, (now_ns + late_ns, next(self._order), one))
        through = []
        while self._waiting and self._waiting[0][0] <= now_ns:
            through.append(heapq.heappop(self._waiting)[2])
        return through


def faithful(message: Any, _now_ns: int) -> Arrivals:
    """Let the message through."""
    return [(0, message)]


def silent(_message: Any, _now_ns: int) -> Arrivals:
    """Let nothing through: the sensor died, or its cable was pulled."""
    return []


def delayed(by_ms: float) -> Distortion:
    """Let every message arrive late."""
    return lambda message, _now_ns: [(round(by_ms * MS), message)]


def slowed(to_hz: float) -> Distortion:
    """Let at most `to_hz` messages a second through."""
    next_ns: int | None = None

    def slow(message: Any, now_ns: int) -> Arrivals:
        nonlocal next_ns
        if next_ns is None or now_ns < next_ns:
            next_ns = now_ns + round(1e9 / to_hz) if next_ns is None else next_ns
            return []
        next_ns += round(1e9 / to_hz)
        return [(0, message)]

    return slow


def reordered(within_ms: float) -> Distortion:
    """Let messages overtake one another by up to `within_ms`."""
    chance = random.Random(0)
    return lambda message, _now_ns: [(round(chance.uniform(0.0, within_ms) * MS), message)]


def frozen(field: str, last: Any) -> Distortion:
    """Let every message hold the `data` or the `position` of the `last` one, under its own stamp."""
    return changed(**{field: getattr(last, field)})


def stuck_stamp(period_ms: float) -> Distortion:
    """Let every message have the stamp of the one before the first, a period earlier."""
    kept: list[tuple[int, int]] = []

    def stick(message: Any, _now_ns: int) -> Arrivals:
        stamp = message.header.stamp
        kept.append(divmod(stamp.sec * 10**9 + stamp.nanosec - round(period_ms * MS), 10**9))
        stamp.sec, stamp.nanosec = kept[0]
        del kept[1:]
        return [(0, message)]

    return stick


def ahead(by_ms: float) -> Distortion:
    """Stamp messages by a clock that is ahead."""

    def shift(message: Any, _now_ns: int) -> Arrivals:
        stamp = message.header.stamp
        stamp.sec, stamp.nanosec = divmod(stamp.sec * 10**9 + stamp.nanosec + round(by_ms * MS), 10**9)
        return [(0, message)]

    return shift


def changed(**fields: Any) -> Distortion:
    """Let messages have other values in these fields; a function gets the old value."""

    def change(message: Any, _now_ns: int) -> Arrivals:
        for name, value in fields.items():
            setattr(message, name, value(getattr(message, name)) if callable(value) else value)
        return [(0, message)]

    return change


def half_height() -> Distortion:
    """Let images be half as high."""
    return changed(height=lambda height: height // 2, data=lambda data: data[: len(data) // 2])


def other_encoding() -> Distortion:
    """Let images say that their channels are in another order."""
    return changed(encoding=lambda encoding: "rgb8" if encoding == "bgr8" else "bgr8")


def dark() -> Distortion:
    """Let images be almost black, with noise."""
    table = bytes(value % 8 for value in range(256))
    return changed(data=lambda data: bytes(data).translate(table))


def renamed(prefix: str, count: int | None = None) -> Distortion:
    """Let the first `count` joints, or all, be called something else."""
    return changed(
        name=lambda names: [prefix + one for one in names[:count]] + list(names[len(names[:count]) :])
    )


def not_a_number() -> Distortion:
    """Let the first joint's position be NaN."""
    return changed(position=lambda positions: [float("nan"), *list(positions)[1:]])


def other_order() -> Distortion:
    """Let joints be told in another order, each with its position."""
    return changed(name=_backwards, position=_backwards)


def swapped() -> Distortion:
    """Let every joint have the position of another one."""
    return changed(position=_backwards)


def last_missing() -> Distortion:
    """Let the last joint not be told of."""
    return changed(name=_but_last, position=_but_last)


def position_missing() -> Distortion:
    """Let there be one position fewer than names."""
    return changed(position=_but_last)


def told_twice() -> Distortion:
    """Let the first joint be told of again, at another position."""
    return changed(
        name=lambda names: [*names, names[0]], position=lambda positions: [*positions, positions[0] + 0.5]
    )


def in_degrees() -> Distortion:
    """Let positions be in degrees."""
    return changed(position=lambda positions: [math.degrees(one) for one in positions])


def _backwards(values: Any) -> list[Any]:
    return list(values)[::-1]


def _but_last(values: Any) -> list[Any]:
    return list(values)[:-1]
