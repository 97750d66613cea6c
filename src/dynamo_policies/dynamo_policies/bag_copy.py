"""Writes a bag of messages that come from other bags: same bytes, same definitions, same QoS."""

from __future__ import annotations

import functools
import heapq
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import yaml
from rosbags.interfaces import Qos
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos

from dynamo_policies.bags import BagError, BagInfo, raw_messages
from dynamo_policies.errors import DynamoError
from dynamo_policies.mcap import Channel, McapError, Schema, open_file
from dynamo_policies.mcap_reader import Found, read
from dynamo_policies.mcap_writer import Group, McapFile
from dynamo_policies.safe_yaml import load_yaml
from dynamo_policies.storage import definition_hash, typestore

log = logging.getLogger(__name__)
# What was measured over all messages of a bag, and is wrong of some of them.
OF_ALL_MESSAGES = ("stream_hashes", "verdict")
NO_HASH = "RIHS01_" + 64 * "0"


class CopyError(DynamoError):
    """A bag can't be written."""


class CopiedMessage(NamedTuple):
    """A message on its way from a bag to another."""

    channel: Channel
    receive_ns: int
    publish_ns: int
    sequence: int
    data: memoryview | bytes


class BagCopy:
    """A new MCAP bag; a context manager that completes it, or removes it when an error passes."""

    def __init__(self, path: Path, custom: Mapping[str, str]) -> None:
        """Prepare the bag `path`, whose custom data is `custom`; it may change until the bag is complete.

        Raises:
            CopyError: `path` exists.
        """
        if path.exists():
            raise CopyError(f"{path} exists already; choose another name")
        self.path = path
        self.custom = dict(custom)
        self._numbers: dict[tuple[str, str], int] = {}
        self._channels: dict[int, Channel] = {}

    def __enter__(self) -> BagCopy:
        self.path.mkdir(parents=True)
        self._file = McapFile(self.path / self._name, {"all": Group()}, library="dynamo_policies")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._complete()
                return
        except OSError:
            self._remove()
            raise
        self._remove()

    def write(self, message: CopiedMessage) -> None:
        """Append a message; the first of a topic and type makes its channel."""
        channel = message.channel
        key = (channel.topic, channel.type)
        if key not in self._numbers:
            number = self._file.add_channel(
                channel.topic, channel.type, channel.schema.definition, group="all", qos=channel.qos
            )
            self._numbers[key], self._channels[number] = number, channel
        self._file.write(
            self._numbers[key],
            message.data,
            log_ns=message.receive_ns,
            publish_ns=message.publish_ns,
            sequence=message.sequence,
        )

    def write_known(self, topic: str, kind: str, receive_ns: int, data: memoryview | bytes) -> None:
        """Append a message of a type that ROS 2 Jazzy ships."""
        self.write(CopiedMessage(_known_channel(topic, kind), receive_ns, receive_ns, 0, data))

    @property
    def _name(self) -> str:
        return f"{self.path.name}.mcap"

    def _complete(self) -> None:
        self._file.flush()  # Before, it does not know all times.
        text = yaml.safe_dump({"rosbag2_bagfile_information": self._metadata()}, sort_keys=False)
        self._file.finish({"rosbag2": {"serialized_metadata": text}})
        (self.path / "metadata.yaml").write_text(text, encoding="utf-8")
        for file in (self.path / "metadata.yaml", self.path):
            sync_path(file)

    def _remove(self) -> None:
        self._file.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def _metadata(self) -> dict[str, Any]:
        count = sum(self._file.counts.values())
        start_ns, end_ns = (self._file.start_ns, self._file.end_ns) if count else (0, 0)
        span = {
            "duration": {"nanoseconds": end_ns - start_ns},
            "starting_time": {"nanoseconds_since_epoch": start_ns},
            "message_count": count,
        }
        return {
            "version": 9,
            "storage_identifier": "mcap",
            "relative_file_paths": [self._name],
            **span,
            "topics_with_message_count": [
                {"topic_metadata": _topic_metadata(channel), "message_count": self._file.counts[number]}
                for number, channel in self._channels.items()
            ],
            "compression_format": "",
            "compression_mode": "",
            "files": [{"path": self._name, **span}],
            "custom_data": self.custom,
            "ros_distro": "jazzy",
        }


def _topic_metadata(channel: Channel) -> dict[str, Any]:
    schema = channel.schema
    return {
        "name": channel.topic,
        "type": schema.type,
        "serialization_format": channel.encoding,
        "offered_qos_profiles": dump_qos_v9(qos_profiles(channel.qos)),
        "type_description_hash": definition_hash(schema.type, schema.definition, schema.encoding) or NO_HASH,
    }


def messages_to_copy(info: BagInfo) -> Iterator[CopiedMessage]:
    """Yield all messages of a bag in log-time order with all that `BagCopy.write` needs.

    Of a bag that is not plain MCAP, topics of types that ROS 2 Jazzy does not ship are left out and logged.

    Raises:
        BagError: the bag can't be read.
    """
    if info.compression or any(file.suffix != ".mcap" for file in info.files):
        known = {topic for topic, kind in info.types.items() if kind in typestore().types}
        for topic in sorted(set(info.types) - known):
            log.warning(
                "%s: topic %s is left out, its type %s is not known", info.path, topic, info.types[topic]
            )
        for raw in raw_messages(info, known):
            channel = _known_channel(raw.topic, raw.type)
            yield CopiedMessage(channel, raw.receive_ns, raw.receive_ns, 0, raw.data)
        return
    try:
        parts = [read(open_file(file), lambda _channel: True) for file in info.files]
        for found in heapq.merge(*parts, key=lambda one: one.message.receive_ns):
            yield to_copy(found)
    except McapError as error:
        raise BagError(info.path, f"its messages can't be read: {error}", damaged=True) from error


def to_copy(found: Found) -> CopiedMessage:
    """Return a message of an MCAP file for `BagCopy.write`."""
    message = found.message
    return CopiedMessage(
        found.channel, message.receive_ns, message.publish_ns, message.sequence, message.data
    )


@functools.lru_cache(maxsize=256)
def _known_channel(topic: str, kind: str) -> Channel:
    definition, _ = typestore().generate_msgdef(kind, ros_version=2)
    return Channel(0, topic, Schema(kind, "ros2msg", definition), "cdr", "")


def sync_path(path: Path) -> None:
    """Wait until the file or folder `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def qos_profiles(text: str) -> list[Qos]:
    """Return the QoS profiles that a channel names; none where they can't be read."""
    try:
        return parse_qos(load_yaml(text) or [])
    except (yaml.YAMLError, ReaderError, LookupError, TypeError, ValueError, AttributeError):
        return []
