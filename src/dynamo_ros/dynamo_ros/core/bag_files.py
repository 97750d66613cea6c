"""The files of one bag while it is written: MCAP, or sqlite3 as ROS 2 had it before."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import TypesysError

from dynamo_policies.mcap_writer import Compression, Group, McapFile
from dynamo_ros.core.bag_topics import (
    IMAGE_TYPES,
    RecordingError,
    Topic,
    describe,
    metadata_topic,
    profiles_yaml,
    typestore,
)
from dynamo_ros.core.storage_settings import StorageSettings

VERSION = 9  # of metadata.yaml
IMAGE_CHUNK_BYTES = 4 << 20
DUMPER: Any = getattr(
    yaml, "CSafeDumper", yaml.SafeDumper
)  # A contract is long; this one is ten times as fast.


class Item(NamedTuple):
    """A message to write: its CDR bytes as received, and when it was received and sent; 0: not known."""

    topic: str
    data: bytes
    receive_ns: int
    publish_ns: int = 0


class BagFile(Protocol):
    """A bag being written, by one thread."""

    def write(self, item: Item) -> None:
        """Append a message."""

    def flush(self) -> None:
        """Hand everything to the system, so that it outlives this process."""

    def sync(self) -> None:
        """Wait until what was handed to the system is on the disk."""

    def finish(self, custom: Mapping[str, str]) -> None:
        """Complete the bag and its metadata."""

    def abort(self) -> None:
        """Close the files as they are."""


def open_bag(folder: Path, topics: Sequence[Topic], settings: StorageSettings) -> BagFile:
    """Make the bag `folder`.

    Raises:
        RecordingError: it can't be made, or a type is not known.
    """
    try:
        if settings.storage == "sqlite3":
            return SqliteBag(folder, topics)
        return McapBag(folder, topics, settings)
    except (OSError, sqlite3.Error, WriterError, TypesysError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(f"can't write to {folder.parent}: {reason}") from error


class _Kind(NamedTuple):
    """What topics have in common that share chunks."""

    image: bool
    compression: Compression

    @property
    def name(self) -> str:
        return f"{'images' if self.image else 'others'} {self.compression}"


def _kind(topic: Topic, settings: StorageSettings) -> _Kind:
    image = topic.type in IMAGE_TYPES
    return _Kind(image, settings.compression_of(topic.name, image=image))


def _group(kind: _Kind) -> Group:
    if not kind.image:
        return Group(kind.compression)
    # Stream hashes guard the images: a checksum of raw ones would be the recorder's largest cost.
    return Group(kind.compression, checksum=kind.compression != "none", chunk_bytes=IMAGE_CHUNK_BYTES)


class McapBag:
    """An MCAP bag. Images have chunks of their own, and so have topics that are compressed otherwise."""

    def __init__(self, folder: Path, topics: Sequence[Topic], settings: StorageSettings) -> None:
        self._folder, self._topics, self._described = folder, tuple(topics), describe(topics)
        folder.mkdir(parents=True)
        self._name = f"{folder.name}.mcap"
        self._kinds = {topic.name: _kind(topic, settings) for topic in topics}
        groups = {kind.name: _group(kind) for kind in self._kinds.values()}
        self._file = McapFile(
            folder / self._name, groups, library=f"dynamo_ros; rosbags {version('rosbags')}"
        )
        self._numbers = {topic.name: self._add(topic) for topic in topics}

    def write(self, item: Item) -> None:
        """Append a message."""
        self._file.write(
            self._numbers[item.topic],
            item.data,
            log_ns=item.receive_ns,
            publish_ns=item.publish_ns or item.receive_ns,
        )

    def flush(self) -> None:
        """Close the chunks."""
        self._file.flush()

    def sync(self) -> None:
        """Wait until what was handed to the system is on the disk."""
        self._file.sync()

    def finish(self, custom: Mapping[str, str]) -> None:
        """Write the summary and metadata.yaml, which the file has within it as well."""
        self._file.flush()
        text = yaml.dump(
            {"rosbag2_bagfile_information": self._metadata(custom)}, Dumper=DUMPER, sort_keys=False
        )
        self._file.finish({"rosbag2": {"serialized_metadata": text}})
        write_whole(self._folder / "metadata.yaml", text)

    def abort(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _add(self, topic: Topic) -> int:
        definition = self._described[topic.type].definition
        group, qos = self._kinds[topic.name].name, profiles_yaml(topic)
        return self._file.add_channel(topic.name, topic.type, definition, group=group, qos=qos)

    def _metadata(self, custom: Mapping[str, str]) -> dict[str, Any]:
        count = sum(self._file.counts.values())
        start_ns, end_ns = (self._file.start_ns, self._file.end_ns) if count else (0, 0)
        span = {
            "duration": {"nanoseconds": end_ns - start_ns},
            "starting_time": {"nanoseconds_since_epoch": start_ns},
            "message_count": count,
        }
        return {
            "version": VERSION,
            "storage_identifier": "mcap",
            "relative_file_paths": [self._name],
            **span,
            "topics_with_message_count": [
                metadata_topic(
                    topic, self._described[topic.type], self._file.counts[self._numbers[topic.name]]
                )
                for topic in self._topics
            ],
            "compression_format": "",
            "compression_mode": "",
            "files": [{"path": self._name, **span}],
            "custom_data": dict(custom),
            "ros_distro": os.environ.get("ROS_DISTRO", "jazzy"),
        }


class SqliteBag:
    """An sqlite3 bag, for tools that read no other. It keeps one time for a message, that of its receipt."""

    def __init__(self, folder: Path, topics: Sequence[Topic]) -> None:
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.SQLITE3)
        self._writer.open()
        types = typestore(topics)
        self._connections = {
            topic.name: self._writer.add_connection(
                topic.name, topic.type, typestore=types, offered_qos_profiles=topic.profiles
            )
            for topic in topics
        }

    def write(self, item: Item) -> None:
        """Append a message."""
        self._writer.write(self._connections[item.topic], item.receive_ns, item.data)

    def flush(self) -> None:
        """Commit."""
        storage: Any = self._writer.storage  # rosbags commits at the end alone.
        storage.conn.commit()

    def sync(self) -> None:
        """A commit has synced."""

    def finish(self, custom: Mapping[str, str]) -> None:
        """Commit, and write metadata.yaml."""
        for key, value in custom.items():
            self._writer.set_custom_data(key, value)
        self._writer.close()

    def abort(self) -> None:
        """Close with what was committed."""
        self._writer.abort()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is the old one or the new one, whatever happens."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
