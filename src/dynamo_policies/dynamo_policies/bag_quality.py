"""How good the streams of a bag are."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from dynamo_policies.bags import BagInfo, check_types, deserialize, raw_messages, streams_by_topic
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_policies.episode_quality import Quality, QualityMeter
from dynamo_policies.quality import StreamQuality

SMALLEST = FrameSettings(8)


class BagQuality(NamedTuple):
    """The observation and action streams of a bag by name, and how many messages its files hold by topic."""

    streams: dict[str, StreamQuality]
    counts: dict[str, int]


def bag_quality(info: BagInfo) -> Quality:
    """Return the quality of the contract's streams in a bag; one that is not there has no messages.

    Raises:
        BagError: the bag can't be read.
    """
    meter = QualityMeter(info.contract)
    for raw in raw_messages(info, meter.topics & set(info.counts)):
        meter.add(raw.topic, raw.data, raw.receive_ns)
    return meter.report()


def measure_decoding(info: BagInfo) -> BagQuality:
    """Return the quality of the observation and action streams, having decoded every message of theirs.

    Raises:
        MissingTopicError: a stream's topic is not in the bag.
        BagError: the bag can't be read.
        DecodeError: a message does not fit the contract.
    """
    by_topic = streams_by_topic(info.contract)
    check_types(info, {topic: streams.values() for topic, streams in by_topic.items()})
    meter, decoder, counts = QualityMeter(info.contract), Decoder(info.contract, SMALLEST), Counter[str]()
    for raw in raw_messages(info, by_topic):
        counts[raw.topic] += 1
        message = deserialize(raw)
        for name in by_topic[raw.topic]:
            decoder.decode(name, message, raw.receive_ns)
        meter.add(raw.topic, raw.data, raw.receive_ns)
    wanted = {name for streams in by_topic.values() for name in streams}
    streams = {name: quality for name, quality in meter.report().streams.items() if name in wanted}
    return BagQuality(streams, dict(counts))
