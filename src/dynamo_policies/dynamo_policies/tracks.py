"""The streams of a bag by stamp: what the aligner knows live, for all ticks of an episode at once."""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.bags import (
    BagInfo,
    RawMessage,
    check_types,
    deserialize,
    raw_messages,
    streams_by_topic,
)
from dynamo_policies.contract import ImageStream, Stream
from dynamo_policies.decode import DecodeError, Decoder
from dynamo_policies.observation import FloatArray

IntArray = npt.NDArray[np.int64]
CDR_HEADER_BYTES = 4
KEPT_BYTES = 128 << 20  # of a stream's images


class Track:
    """One stream of a bag by stamp, each stamp once: its values, or where in the bag its images are."""

    def __init__(self, stream: Stream, log: Log) -> None:
        self._stream = stream
        # As in the aligner: of two samples with one stamp the first counts.
        self.stamps, first = np.unique(np.asarray(log.stamps, dtype=np.int64), return_index=True)
        self._places = np.asarray(log.places, dtype=np.int64)[first]
        self._values = np.asarray(log.values)[first] if log.values else np.zeros((0, 0))
        self.kept = log.kept

    def stale(self, ticks: IntArray) -> npt.NDArray[np.bool_]:
        """Return for each tick whether its newest sample is missing or too old."""
        newest = self._newest(ticks)
        missing = newest < 0
        if self._stream.max_age_ns is None or not len(self.stamps):
            return missing
        age = ticks + self._stream.latency_ns - self.stamps[newest]
        return missing | (age > self._stream.max_age_ns)

    def values(self, ticks: IntArray) -> FloatArray:
        """Return the newest values at `ticks`, (T, N)."""
        return self._values[self._newest(ticks)]

    def picks(self, ticks: IntArray) -> tuple[IntArray, FloatArray]:
        """Return for each tick the stamp of its newest sample, -1 where there is none, and its age in ms."""
        newest = self._newest(ticks)
        if not len(self.stamps):
            return newest, np.full(len(ticks), np.nan)
        age_ms = (ticks + self._stream.latency_ns - self.stamps[newest]) / 1e6
        return np.where(newest < 0, -1, self.stamps[newest]), np.where(newest < 0, np.nan, age_ms)

    def places(self, ticks: IntArray) -> IntArray:
        """Return for each tick which message of the topic is the newest, from 0 in the bag's order."""
        return self._places[self._newest(ticks)]

    def _newest(self, ticks: IntArray) -> IntArray:
        """Return for each tick the index of the newest sample, -1 where there is none yet."""
        return np.searchsorted(self.stamps, ticks + self._stream.latency_ns, side="right") - 1


@dataclass
class Log:
    """The samples of one stream in the order of the bag."""

    stamps: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    values: list[npt.NDArray[np.generic]] = field(default_factory=list)
    kept: dict[int, RawMessage] = field(default_factory=dict)  # place -> image that need not be read again
    kept_bytes: int = 0  # of those that are in memory, not in a mapped file


def read_tracks(info: BagInfo, decoder: Decoder) -> dict[str, Track]:
    """Return the track of each observation and action stream; images are not decoded.

    Raises:
        MissingTopicError: a stream's topic is not in the bag.
        BagError: the bag can't be read.
        DecodeError: a message does not fit the contract.
    """
    by_topic = streams_by_topic(info.contract)
    check_types(info, {topic: streams.values() for topic, streams in by_topic.items()})
    logs = {name: Log() for streams in by_topic.values() for name in streams}
    places: Counter[str] = Counter()
    for raw in raw_messages(info, by_topic):
        streams, place = by_topic[raw.topic], places[raw.topic]
        places[raw.topic] += 1
        message = None if all_images(streams.values()) else deserialize(raw)
        for name, stream in streams.items():
            _log(logs[name], name, stream, raw, place, message, decoder)
    return {name: Track(info.contract.streams[name], log) for name, log in logs.items()}


def read_images(
    info: BagInfo, decoder: Decoder, name: str, track: Track, ticks: IntArray
) -> npt.NDArray[np.uint8]:
    """Return camera `name`'s newest images at `ticks`, (T, H, W, 3); no other image is decoded.

    Raises:
        BagError: the bag can't be read.
        DecodeError: an image does not fit the contract.
    """
    places = track.places(ticks)
    size = decoder.frames.size
    images = np.empty((len(ticks), size, size, 3), np.uint8)
    for place, raw in messages_at(info, decoder.contract.streams[name].topic, track, np.unique(places)):
        sample = decoder.decode(name, deserialize(raw), raw.receive_ns)
        assert sample is not None
        images[places == place] = sample.value
    return images


def messages_at(
    info: BagInfo, topic: str, track: Track, places: IntArray
) -> Iterator[tuple[int, RawMessage]]:
    """Yield the topic's messages at `places`, those that were not kept from the bag."""
    missing = set()
    for place in places.tolist():
        if place in track.kept:
            yield place, track.kept[place]
        else:
            missing.add(place)
    if missing:
        for place, raw in enumerate(raw_messages(info, [topic])):
            if place in missing:
                yield place, raw


def all_images(streams: Collection[Stream]) -> bool:
    """Whether a message of these streams, which share a topic, need not be deserialised for its stamp."""
    return all(isinstance(stream, ImageStream) for stream in streams)


def _log(
    log: Log, name: str, stream: Stream, raw: RawMessage, place: int, message: Any, decoder: Decoder
) -> None:
    if isinstance(stream, ImageStream):
        log.stamps.append(stamp_of_raw(name, stream, raw))
        log.places.append(place)
        _keep(log, raw, place)
        return
    sample = decoder.decode(name, message, raw.receive_ns)
    if sample is not None:
        log.stamps.append(sample.stamp_ns)
        log.places.append(place)
        log.values.append(sample.value)


def _keep(log: Log, raw: RawMessage, place: int) -> None:
    """Keep an image for later where that costs no memory, or little."""
    mapped = isinstance(raw.data, memoryview) and isinstance(raw.data.obj, mmap.mmap)
    log.kept_bytes += 0 if mapped else len(raw.data)
    if mapped or log.kept_bytes <= KEPT_BYTES:
        log.kept[place] = raw


def stamp_of_raw(name: str, stream: Stream, raw: RawMessage) -> int:
    """Return the stamp of a message that begins with a std_msgs/Header, without decoding the rest."""
    if stream.stamp == "receive":
        return raw.receive_ns
    if len(raw.data) < CDR_HEADER_BYTES + 8:
        raise DecodeError(name, f"message of {len(raw.data)} bytes is too short for a header")
    order = "<" if raw.data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", raw.data, CDR_HEADER_BYTES)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
