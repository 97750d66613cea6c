"""Writes a bag of messages that come from other bags: same bytes, same definitions, same QoS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import yaml
from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import ReaderError, StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos

from dynamo_policies.errors import DynamoError
from dynamo_policies.mcap import Channel
from dynamo_policies.storage import definition_hash, typestore

NO_HASH = "RIHS01_" + 64 * "0"


class CopyError(DynamoError):
    """A bag can't be written."""


class BagCopy:
    """A new MCAP bag; a context manager that completes it, or leaves it incomplete when an error passes."""

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

    def write_known(self, topic: str, name: str, receive_ns: int, data: memoryview | bytes) -> None:
        """Append a message of a type that ROS 2 Jazzy ships."""
        key = (topic, name)
        if key not in self._connections:
            self._connections[key] = self._writer.add_connection(topic, name, typestore=typestore())
        self._writer.write(self._connections[key], receive_ns, data)

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
