"""The streams of a bag by stamp: what the aligner knows live, for all ticks of an episode at once."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

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
from dynamo_policies.cdr import CdrError, concerns, stamp_of
from dynamo_policies.decode import DecodeError, Decoder
from dynamo_policies.observation import FloatArray
from dynamo_policies.streams import ImageStream, Stream

IntArray = npt.NDArray[np.int64]
KEPT_BYTES = 128 << 20  # of a stream's images


class Track:
    """One stream of a bag by stamp, each stamp once; what ticks pick is decoded when it is asked for."""

    def __init__(self, name: str, log: Log, decoder: Decoder) -> None:
        self._name, self._decoder = name, decoder
        self._stream: Stream = decoder.contract.streams[name]
        # As in the aligner: of two samples with one stamp the first counts.
        self.stamps, first = np.unique(np.asarray(log.stamps, dtype=np.int64), return_index=True)
        self._places = np.asarray(log.places, dtype=np.int64)[first]
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
        """Return the newest values at `ticks`, (T, N).

        Raises:
            DecodeError: one of these messages does not fit the contract.
            MessageError: it is none that can be read.
        """
        chosen, rows = np.unique(self.places(ticks), return_inverse=True)
        values = [self._decode(self.kept[place]) for place in chosen.tolist()]
        return np.stack(values)[rows] if values else np.zeros((0, 0))

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

    def _decode(self, raw: RawMessage) -> FloatArray:
        sample = self._decoder.decode(self._name, deserialize(raw), raw.receive_ns)
        if sample is None:
            raise DecodeError(self._name, f"a message on {raw.topic!r} is not the stream's")
        return sample.value.astype(np.float64, copy=False)

    def _newest(self, ticks: IntArray) -> IntArray:
        """Return for each tick the index of the newest sample, -1 where there is none yet."""
        return np.searchsorted(self.stamps, ticks + self._stream.latency_ns, side="right") - 1


@dataclass
class Log:
    """The samples of one stream in the order of the bag."""

    stamps: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    kept: dict[int, RawMessage] = field(default_factory=dict)  # place -> what need not be read again
    kept_bytes: int = 0  # of images that are in memory, not in a mapped file


def read_tracks(info: BagInfo, decoder: Decoder) -> dict[str, Track]:
    """Return the track of each observation and action stream; nothing but stamps is decoded.

    Raises:
        MissingTopicError: a stream's topic is not in the bag.
        BagError: the bag can't be read.
        DecodeError: a message is too short for a stamp.
    """
    by_topic = streams_by_topic(info.contract)
    check_types(info, {topic: streams.values() for topic, streams in by_topic.items()})
    logs = {name: Log() for streams in by_topic.values() for name in streams}
    places: Counter[str] = Counter()
    for raw in raw_messages(info, by_topic):
        streams, place = by_topic[raw.topic], places[raw.topic]
        places[raw.topic] += 1
        for name, stream in streams.items():
            if concerns(stream, raw.data):
                logs[name].stamps.append(stamp_of_raw(name, stream, raw))
                logs[name].places.append(place)
                _keep(logs[name], stream, raw, place)
    return {name: Track(name, log, decoder) for name, log in logs.items()}


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


def _keep(log: Log, stream: Stream, raw: RawMessage, place: int) -> None:
    """Keep what is small, and images where they cost no memory, or little."""
    if isinstance(raw.data, memoryview) and isinstance(raw.data.obj, mmap.mmap):
        log.kept[place] = raw
    elif not isinstance(stream, ImageStream):
        log.kept[place] = raw._replace(data=bytes(raw.data))  # A view would keep its whole chunk.
    elif log.kept_bytes + len(raw.data) <= KEPT_BYTES:
        log.kept_bytes += len(raw.data)
        log.kept[place] = raw


def stamp_of_raw(name: str, stream: Stream, raw: RawMessage) -> int:
    """Return the stamp of a message that begins with a std_msgs/Header, without decoding the rest."""
    if stream.stamp == "receive":
        return raw.receive_ns
    try:
        return stamp_of(raw.data)
    except CdrError as error:
        raise DecodeError(name, str(error)) from error
