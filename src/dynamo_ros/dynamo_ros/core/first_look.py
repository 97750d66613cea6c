"""What has come of each observed stream lately, to be compared with the contract before anything moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from statistics import median
from threading import Lock
from typing import Any, NamedTuple

from dynamo_policies.contract import Contract
from dynamo_policies.decode import stamp_of
from dynamo_policies.images import size_of_compressed
from dynamo_policies.streams import ImageStream, JointStream, PoseStream, Stream

SECOND_NS = 1_000_000_000
KEPT_S, LEAST_S = 2.0, 1.0  # what is kept, and from when on it tells a rate…
KEPT_PERIODS, LEAST_PERIODS = 10, 5  # …or so many periods of a slow stream


class Seen(NamedTuple):
    """What came of one stream. `wrong` is what does not fit the contract, each with what was expected."""

    messages: int = 0
    span_s: float = 0.0
    needed_s: float = LEAST_S
    rate_hz: float | None = None  # None until it has come for `needed_s`
    age_ms: float | None = None  # median of receipt less stamp; None where receipt is the stamp
    wrong: tuple[tuple[str, str], ...] = ()


class FirstLook:
    """Takes messages as they come, on any thread; nothing is decoded, images least of all."""

    def __init__(self, contract: Contract) -> None:
        streams = contract.observed
        self._lock = Lock()
        self._looks = {name: _Look(stream, _beside(stream, streams)) for name, stream in streams.items()}

    def saw(self, name: str, message: Any, receive_ns: int) -> None:
        """Take a message of the topic of the stream `name`."""
        with self._lock:
            self._looks[name].saw(message, receive_ns)

    def seen(self, now_ns: int) -> dict[str, Seen]:
        """Return what came of each stream, until `now_ns`."""
        with self._lock:
            return {name: look.seen(now_ns) for name, look in self._looks.items()}


class _Look:
    """One stream's last moments."""

    def __init__(self, stream: Stream, beside: set[str]) -> None:
        self._stream, self._beside = stream, beside
        self._kept_ns = round(max(KEPT_S, KEPT_PERIODS / stream.rate_hz) * SECOND_NS)
        self._needed_ns = round(max(LEAST_S, LEAST_PERIODS / stream.rate_hz) * SECOND_NS)
        self._times: deque[tuple[int, int]] = deque()  # of receipt, by the stamp
        self._last: Any = None
        self._others: Any = None  # a message of the topic that names no joint of the contract's streams

    def saw(self, message: Any, receive_ns: int) -> None:
        if isinstance(self._stream, JointStream) and not set(self._stream.joints) & set(message.name):
            self._others = self._others if set(message.name) <= self._beside else message
            return
        if self._times and receive_ns < self._times[-1][0]:  # the clock went back
            self._times.clear()
        self._last = message
        self._times.append((receive_ns, stamp_of(self._stream, message, receive_ns)))
        self._forget(receive_ns)

    def seen(self, now_ns: int) -> Seen:
        self._forget(now_ns)
        if self._last is None:
            return Seen(wrong=tuple(self._missing_joints()))
        count = len(self._times)
        span_ns = self._times[-1][0] - self._times[0][0] if count else 0
        # Half a period less than needed is still as much as can be heard in that time.
        told = span_ns >= self._needed_ns - 0.5e9 / self._stream.rate_hz
        ages = [received - stamp for received, stamp in self._times]
        return Seen(
            messages=max(count, int(self._stream.max_age_ns is None)),  # there the last value holds
            span_s=span_ns / SECOND_NS,
            needed_s=self._needed_ns / SECOND_NS,
            rate_hz=(count - 1) * SECOND_NS / span_ns if told else None,
            age_ms=median(ages) / 1e6 if ages and self._stream.stamp == "header" else None,
            wrong=tuple(_wrong(self._stream, self._last)),
        )

    def _forget(self, now_ns: int) -> None:
        while self._times and now_ns - self._times[0][0] > self._kept_ns:
            self._times.popleft()

    def _missing_joints(self) -> Iterator[tuple[str, str]]:
        if self._others is not None and isinstance(self._stream, JointStream):
            yield f"joints {list(self._others.name)}", f"{list(self._stream.joints)}"


def _beside(stream: Stream, streams: Mapping[str, Stream]) -> set[str]:
    """Return the joints of other streams of the same topic."""
    others = [one for one in streams.values() if one.topic == stream.topic and one is not stream]
    return {joint for one in others if isinstance(one, JointStream) for joint in one.joints}


def _wrong(stream: Stream, message: Any) -> Iterator[tuple[str, str]]:
    """Yield what of a message is not as the contract has it."""
    if isinstance(stream, ImageStream):
        if hasattr(message, "encoding") and message.encoding != stream.encoding:
            yield f"encoding {message.encoding!r}", repr(stream.encoding)
        if (size := _size(message)) != (stream.width, stream.height):
            given = f"images of {size[0]}x{size[1]}" if size else f"format {message.format!r}, no jpeg or png"
            yield given, f"{stream.width}x{stream.height}"
    if isinstance(stream, JointStream) and (missing := set(stream.joints) - set(message.name)):
        yield f"joints {list(message.name)} without {sorted(missing)}", f"{list(stream.joints)}"
    if isinstance(stream, PoseStream) and message.header.frame_id != stream.frame:
        yield f"frame {message.header.frame_id!r}", repr(stream.frame)


def _size(message: Any) -> tuple[int, int] | None:
    """Return width and height of a raw or compressed image, None where a compressed one does not say."""
    if hasattr(message, "encoding"):
        return message.width, message.height
    return size_of_compressed(memoryview(message.data))
