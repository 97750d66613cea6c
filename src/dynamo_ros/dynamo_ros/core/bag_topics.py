"""Topics as a bag knows them: their types with definitions, and the QoS that they were offered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2.metadata import dump_qos_v9
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dynamo_policies.errors import DynamoError
from dynamo_policies.streams import Reliability

IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)
ENDLESS = QosTime(9223372036, 854775807)  # How rosbag2 writes an unlimited duration.


class RecordingError(DynamoError):
    """An episode can't be recorded."""


class Topic(NamedTuple):
    """A topic to record.

    `definition` is the .msg text of a type that ROS 2 Jazzy does not ship, with the definitions of the types
    in it behind; `offered` is what its publishers offer, empty where that is not known; `latched` topics are
    said once, and again at the beginning of each episode.
    """

    name: str
    type: str
    reliability: Reliability = "reliable"
    depth: int = 20
    definition: str | None = None
    offered: tuple[Qos, ...] = ()
    latched: bool = False

    @property
    def profiles(self) -> list[Qos]:
        """What its publishers offer, or else what the contract says that they do."""
        return list(dict.fromkeys(self.offered)) or [qos(self.reliability, self.depth)]


class Described(NamedTuple):
    """A topic's type in full."""

    definition: str
    hash: str  # RIHS01


def qos(reliability: Reliability, depth: int, *, latched: bool = False) -> Qos:
    """Return a profile that is usual but for these."""
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE if reliability == "reliable" else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        ENDLESS,
        ENDLESS,
        QosLiveliness.AUTOMATIC,
        ENDLESS,
        avoid_ros_namespace_conventions=False,
    )


def describe(topics: Sequence[Topic]) -> dict[str, Described]:
    """Return type -> definition and hash.

    Raises:
        RecordingError: a type is not known, or its definition is none.
    """
    types = typestore(topics)
    names = dict.fromkeys(topic.type for topic in topics)
    return {
        name: Described(types.generate_msgdef(name, ros_version=2)[0], types.hash_rihs01(name))
        for name in names
    }


def typestore(topics: Sequence[Topic]) -> Typestore:
    """Return the types of ROS 2 Jazzy and those that `topics` define; see `describe`."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for topic in topics:
        if topic.definition is not None and topic.type not in types.types:
            _register(types, topic, topic.definition)
    for topic in topics:
        if topic.type not in types.types:
            raise RecordingError(
                f"type {topic.type!r} of topic {topic.name!r} is not known; give its definition"
            )
    return types


def profiles_yaml(topic: Topic) -> str:
    """Return the QoS profiles of a topic as rosbag2 writes them into the file."""
    return yaml.safe_dump(dump_qos_v9(topic.profiles), sort_keys=False).strip()


def metadata_topic(topic: Topic, described: Described, count: int) -> Mapping[str, Any]:
    """Return a topic as rosbag2's metadata.yaml, version 9, lists it."""
    return {
        "topic_metadata": {
            "name": topic.name,
            "type": topic.type,
            "serialization_format": "cdr",
            "offered_qos_profiles": dump_qos_v9(topic.profiles),
            "type_description_hash": described.hash,
        },
        "message_count": count,
    }


def _register(types: Typestore, topic: Topic, definition: str) -> None:
    try:
        parsed = get_types_from_msg(definition, topic.type)
        types.register({name: fields for name, fields in parsed.items() if name not in types.types})
    except (TypesysError, KeyError, ValueError) as error:
        raise RecordingError(f"the definition of {topic.type!r} can't be read: {error}") from error
