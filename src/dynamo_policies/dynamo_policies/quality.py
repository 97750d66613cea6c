"""How good the streams of a bag are: rate, jitter, gaps, repeated and returning stamps, frozen images."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from dynamo_policies.bags import BagInfo, RawMessage, check_types, deserialize, raw_messages, streams_by_topic
from dynamo_policies.contract import ImageStream, Stream
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_policies.tracks import CDR_HEADER_BYTES, stamp_of_raw

SMALLEST = FrameSettings(8)


class StreamQuality(NamedTuple):
    """One stream of a bag, by its stamps; NaN where two messages would be needed."""

    messages: int
    rate_hz: float
    jitter_ms: float  # standard deviation of the time between stamps
    gap_ms: float  # the longest time between stamps
    repeated: int  # stamps that were there before
    returns: int  # stamps before the last one received
    return_ms: float  # the longest way back
    clock_step_ms: float  # largest change, between messages, of the time from stamp to receipt
    frozen: int  # images that are the same as the one before
    frozen_ms: float  # the longest time without a new image


@dataclass
class _Log:
    stamps: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)  # checksums


class BagQuality(NamedTuple):
    """The streams of a bag by name, and how many messages its files hold by topic."""

    streams: dict[str, StreamQuality]
    counts: dict[str, int]


def measure(info: BagInfo, *, decode: bool) -> BagQuality:
    """Return the quality of the observation and action streams; `decode` decodes every message besides.

    Raises:
        MissingTopicError: a stream's topic is not in the bag.
        BagError: the bag can't be read.
        DecodeError: a message does not fit the contract.
    """
    by_topic = streams_by_topic(info.contract)
    check_types(info, {topic: streams.values() for topic, streams in by_topic.items()})
    logs = {name: _Log() for streams in by_topic.values() for name in streams}
    counts: Counter[str] = Counter()
    decoder = Decoder(info.contract, SMALLEST)
    for raw in raw_messages(info, by_topic):
        counts[raw.topic] += 1
        for name, stream in by_topic[raw.topic].items():
            _log(logs[name], name, stream, raw, decoder if decode else None)
    return BagQuality({name: _quality(log) for name, log in logs.items()}, dict(counts))


def _log(log: _Log, name: str, stream: Stream, raw: RawMessage, decoder: Decoder | None) -> None:
    if isinstance(stream, ImageStream):
        if decoder is not None:
            decoder.decode(name, deserialize(raw), raw.receive_ns)
        log.images.append(_checksum(raw.data))
    elif _decodes_to_nothing(name, stream, raw, decoder):
        return
    log.stamps.append(stamp_of_raw(name, stream, raw))
    log.received.append(raw.receive_ns)


def _decodes_to_nothing(name: str, stream: Stream, raw: RawMessage, decoder: Decoder | None) -> bool:
    """Whether the message is another stream's of the same topic."""
    joints = getattr(stream, "joints", None)
    if decoder is not None:
        return decoder.decode(name, deserialize(raw), raw.receive_ns) is None
    return joints is not None and not set(joints) & set(deserialize(raw).name)


def _checksum(data: memoryview | bytes) -> int:
    """Return a checksum of a message past its header, whose stamp always changes."""
    if len(data) < CDR_HEADER_BYTES + 12:
        return zlib.crc32(data)
    (frame_id,) = struct.unpack_from("<I" if data[1] & 1 else ">I", data, CDR_HEADER_BYTES + 8)
    return zlib.crc32(memoryview(data)[CDR_HEADER_BYTES + 12 + frame_id :])


def _quality(log: _Log) -> StreamQuality:
    stamps = np.asarray(log.stamps, dtype=np.int64)
    unique = np.unique(stamps)
    between, order = np.diff(unique) / 1e6, np.diff(stamps) / 1e6
    delay = np.diff(np.asarray(log.received, dtype=np.int64) - stamps) / 1e6
    enough = len(between) > 0
    images = np.asarray(log.images, dtype=np.int64)
    same = images[1:] == images[:-1]
    return StreamQuality(
        messages=len(stamps),
        rate_hz=1e3 / float(between.mean()) if enough else float("nan"),
        jitter_ms=float(between.std()) if enough else float("nan"),
        gap_ms=float(between.max()) if enough else float("nan"),
        repeated=len(stamps) - len(unique),
        returns=int((order < 0).sum()),
        return_ms=float(-order.min(initial=0.0)),
        clock_step_ms=float(np.abs(delay).max(initial=0.0)),
        frozen=int(same.sum()),
        frozen_ms=_longest_frozen_ms(same, stamps),
    )


def _longest_frozen_ms(same: np.ndarray, stamps: np.ndarray) -> float:
    """Return the longest time from an image to the last one in a row that equals it."""
    longest = 0
    first = 0
    for index, equal in enumerate(same, start=1):
        if not equal:
            first = index
        longest = max(longest, int(stamps[index] - stamps[first]))
    return longest / 1e6
