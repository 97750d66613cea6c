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
from typing import NamedTuple

import yaml
from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import ReaderError, StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos

from dynamo_policies.bags import BagError, BagInfo, raw_messages
from dynamo_policies.errors import DynamoError
from dynamo_policies.mcap import Channel, McapError, Schema, open_file
from dynamo_policies.mcap_reader import read
from dynamo_policies.storage import definition_hash, typestore

log = logging.getLogger(__name__)
NO_HASH = "RIHS01_" + 64 * "0"


class CopyError(DynamoError):
    """A bag can't be written."""


class CopiedMessage(NamedTuple):
    """A message on its way from a bag to another."""

    channel: Channel
    receive_ns: int
    data: memoryview | bytes


class BagCopy:
    """A new MCAP bag; a context manager that completes it, or removes it when an error passes."""

    def __init__(self, path: Path, custom: Mapping[str, str]) -> None:
        """Make the bag `path`, whose custom data is `custom`.

        Raises:
            CopyError: `path` exists.
        """
        if path.exists():
            raise CopyError(f"{path} exists already; choose another name")
        self.path = path
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._connections: dict[tuple[str, str], Connection] = {}
        for key, value in custom.items():
            self._writer.set_custom_data(key, value)

    def __enter__(self) -> BagCopy:
        self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._writer.abort()
            shutil.rmtree(self.path, ignore_errors=True)
            return
        self._writer.close()
        for file in (*self.path.iterdir(), self.path):
            sync(file)

    def write(self, channel: Channel, receive_ns: int, data: memoryview | bytes) -> None:
        """Append a message; the first of a topic makes its connection."""
        key = (channel.topic, channel.type)
        if key not in self._connections:
            self._connections[key] = self._connect(channel)
        self._writer.write(self._connections[key], receive_ns, data)

    def write_known(self, topic: str, kind: str, receive_ns: int, data: memoryview | bytes) -> None:
        """Append a message of a type that ROS 2 Jazzy ships."""
        self.write(_known_channel(topic, kind), receive_ns, data)

    def _connect(self, channel: Channel) -> Connection:
        schema = channel.schema
        return self._writer.add_connection(
            channel.topic,
            schema.type,
            msgdef=schema.definition,
            rihs01=definition_hash(schema.type, schema.definition, schema.encoding) or NO_HASH,
            serialization_format=channel.encoding,
            offered_qos_profiles=_profiles(channel.qos),
        )


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
            yield CopiedMessage(_known_channel(raw.topic, raw.type), raw.receive_ns, raw.data)
        return
    try:
        parts = [read(open_file(file), lambda _channel: True) for file in info.files]
        for found in heapq.merge(*parts, key=lambda one: one.message.receive_ns):
            yield CopiedMessage(found.channel, found.message.receive_ns, found.message.data)
    except McapError as error:
        raise BagError(info.path, f"its messages can't be read: {error}", damaged=True) from error


@functools.lru_cache(maxsize=256)
def _known_channel(topic: str, kind: str) -> Channel:
    definition, _ = typestore().generate_msgdef(kind, ros_version=2)
    return Channel(0, topic, Schema(kind, "ros2msg", definition), "cdr", "")


def sync(path: Path) -> None:
    """Wait until the file or folder `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _profiles(text: str) -> list[Qos]:
    """Return the QoS profiles that a channel names; none where they can't be read."""
    try:
        return parse_qos(yaml.safe_load(text) or [])
    except (yaml.YAMLError, ReaderError, LookupError, TypeError, ValueError, AttributeError):
        return []
