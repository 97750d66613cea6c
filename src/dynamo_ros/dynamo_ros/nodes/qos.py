"""Qualities of service of the topics that this project speaks."""

from __future__ import annotations

import math

from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from dynamo_policies.streams import Reliability, Stream

# Commands and targets: each must arrive, and a late reader wants the last few.
COMMANDS = QoSProfile(depth=10)
RELIABILITIES: dict[Reliability, QoSReliabilityPolicy] = {
    "reliable": QoSReliabilityPolicy.RELIABLE,
    "best_effort": QoSReliabilityPolicy.BEST_EFFORT,
}


def stream_qos(stream: Stream) -> QoSProfile:
    """Return what the contract says about a stream."""
    return QoSProfile(depth=stream.depth, reliability=RELIABILITIES[stream.reliability])


def recording_qos(stream: Stream, *, seconds: float) -> QoSProfile:
    """Return the stream's quality with room for `seconds` of messages, so that being held up loses none."""
    depth = max(stream.depth, math.ceil(stream.rate_hz * seconds))
    return QoSProfile(depth=depth, reliability=RELIABILITIES[stream.reliability])


def offered_reliability(node: Node, topic: str) -> QoSReliabilityPolicy | None:
    """Return the most that all publishers of `topic` offer now, None where there is no publisher."""
    offers = [end.qos_profile.reliability for end in node.get_publishers_info_by_topic(topic)]
    if not offers:
        return None
    best_effort = QoSReliabilityPolicy.BEST_EFFORT
    return best_effort if best_effort in offers else QoSReliabilityPolicy.RELIABLE
