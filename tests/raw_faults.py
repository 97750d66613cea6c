"""Faults put into the messages of an episode, as sensors, clocks and bridges have them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from bag_factory import Raw

MS = 1_000_000
STAMP = slice(4, 12)


def stamp_ns(raw: Raw) -> int:
    """Return the stamp in a message's header."""
    return int.from_bytes(raw.data[4:8], "little") * 10**9 + int.from_bytes(raw.data[8:12], "little")


def stamped(raw: Raw, stamp: int) -> Raw:
    """Return the message with another stamp."""
    seconds, nanoseconds = divmod(stamp, 10**9)
    data = raw.data[:4] + seconds.to_bytes(4, "little") + nanoseconds.to_bytes(4, "little") + raw.data[12:]
    return raw._replace(data=data)


def only(messages: Sequence[Raw], topic: str) -> list[Raw]:
    """Return the messages of `topic`."""
    return [raw for raw in messages if raw.topic == topic]


def replaced(messages: Sequence[Raw], topic: str, others: Sequence[Raw]) -> list[Raw]:
    """Return the messages with those of `topic` replaced by `others`, by time of receipt."""
    kept = [raw for raw in messages if raw.topic != topic]
    return sorted([*kept, *others], key=lambda raw: raw.receive_ns)


def slowed(messages: Sequence[Raw], topic: str, factor: int) -> list[Raw]:
    """Keep one message of `topic` in `factor`."""
    return replaced(messages, topic, only(messages, topic)[::factor])


def frozen(messages: Sequence[Raw], topic: str, first: int, count: int) -> list[Raw]:
    """Let `count` images from number `first` on be the one before, with stamps of their own."""
    images = only(messages, topic)
    for place in range(first, first + count):
        images[place] = images[place]._replace(data=stamped(images[first - 1], stamp_ns(images[place])).data)
    return replaced(messages, topic, images)


def with_gap(messages: Sequence[Raw], topic: str, first: int, count: int) -> list[Raw]:
    """Leave `count` messages out."""
    held = only(messages, topic)
    return replaced(messages, topic, held[:first] + held[first + count :])


def offset(messages: Sequence[Raw], topic: str, by_ms: float) -> list[Raw]:
    """Let the clock of a sensor be ahead."""
    return replaced(
        messages, topic, [stamped(raw, stamp_ns(raw) + round(by_ms * MS)) for raw in only(messages, topic)]
    )


def drifting(messages: Sequence[Raw], topic: str, ms_a_minute: float) -> list[Raw]:
    """Let the clock of a sensor run slow."""
    held = only(messages, topic)
    start = stamp_ns(held[0])
    slow = [stamped(raw, round(stamp_ns(raw) - (stamp_ns(raw) - start) * ms_a_minute / 60e3)) for raw in held]
    return replaced(messages, topic, slow)


def shaken(messages: Sequence[Raw], topic: str, deviation_ms: float) -> list[Raw]:
    """Let a sensor measure at irregular times."""
    chance = random.Random(0)
    held = only(messages, topic)
    times = [stamp_ns(raw) + round(chance.gauss(0.0, deviation_ms / math.sqrt(2)) * MS) for raw in held]
    return replaced(
        messages, topic, [stamped(raw, time) for raw, time in zip(held, sorted(times), strict=True)]
    )


def without(messages: Sequence[Raw], topic: str) -> list[Raw]:
    """Leave a topic out."""
    return replaced(messages, topic, [])


def repeated(messages: Sequence[Raw], topic: str, every: int) -> list[Raw]:
    """Send one message in `every` twice."""
    held = only(messages, topic)
    return replaced(messages, topic, [*held, *held[::every]])


def ended_early(messages: Sequence[Raw], topic: str, count: int) -> list[Raw]:
    """Let the sensor die before its last `count` messages."""
    return replaced(messages, topic, only(messages, topic)[:-count])


def frozen_targets(messages: Sequence[Raw], topic: str) -> list[Raw]:
    """Let the target stay where it was first."""
    held = only(messages, topic)
    return replaced(
        messages, topic, [raw._replace(data=stamped(held[0], stamp_ns(raw)).data) for raw in held]
    )
