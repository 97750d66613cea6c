"""One MCAP bag, written by a thread of its own.

The bag is built in a hidden folder beside its place and moved there when it is complete and on disk, so that
a bag that can be seen is a whole one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dynamo_policies.contract import Reliability
from dynamo_policies.damaged import ABOUT
from dynamo_policies.errors import DynamoError

SYNC_BYTES = 64 << 20  # Data goes to the disk in such pieces, so that closing has little left to sync.
JOIN_S = 60.0
ENDLESS = QosTime(9223372036, 854775807)  # How rosbag2 writes an unlimited duration.


class RecordingError(DynamoError):
    """An episode can't be recorded."""


class Topic(NamedTuple):
    """A topic to record. `definition` is the .msg text of a type that ROS 2 Jazzy does not ship."""

    name: str
    type: str
    reliability: Reliability = "reliable"
    depth: int = 20
    definition: str | None = None


class Item(NamedTuple):
    """A message to write: its CDR bytes as received."""

    topic: str
    data: bytes
    receive_ns: int


class BagWriter:
    """The thread that writes, its bounded queue, and the folder it writes to.

    A failing disk stops the thread; `error` then says why. What was written before stays in the hidden
    folder, and `dynamo_policies.repair` makes a bag of it.
    """

    def __init__(
        self, path: Path, topics: Sequence[Topic], queue_bytes: int, custom: Mapping[str, str]
    ) -> None:
        """Open the bag and start the thread; `custom` is what is known of the episode already.

        Raises:
            RecordingError: the bag exists, can't be made, or a type is not known.
        """
        self.accepted = self.accepted_bytes = self.written = self.written_bytes = 0
        self.error = ""
        self._path = path
        self._part = path.parent / f".{path.name}.part"
        self._bag = self._part / path.name  # rosbags names the file after its folder.
        if path.exists() or self._part.exists():
            raise RecordingError(
                f"{path if path.exists() else self._part} exists already; choose another name"
            )
        self._limit = queue_bytes
        self._queue: deque[Item] = deque()
        self._waiting_bytes = self._unsynced = 0
        self._ending = False
        self._changed = threading.Condition()
        self._writer, self._connections = self._open(topics)
        self._about = self._write_about(custom)
        self._thread = threading.Thread(target=self._run, name=f"write {path.name}", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Queue `item`; False if too much waits already. An item that is alone always fits."""
        with self._changed:
            if self._waiting_bytes and self._waiting_bytes + len(item.data) > self._limit:
                return False
            self._queue.append(item)
            self._waiting_bytes += len(item.data)
            self.accepted += 1
            self.accepted_bytes += len(item.data)
            self._changed.notify()
            return True

    def finish(self, custom: Mapping[str, str]) -> Path:
        """Write out the queue and the metadata, sync, and return where the bag is; see `error`."""
        self._end()
        with self._about:
            if not self.error:
                try:
                    self._complete(custom)
                    return self._path
                except OSError as error:
                    self.error = f"could not complete {self._bag}: {error.strerror}"
            with contextlib.suppress(OSError):  # The disk that failed may fail once more.
                self._writer.abort()
            return self._part

    def discard(self) -> None:
        """Stop and delete what was written."""
        with self._changed:
            self._queue.clear()
        self._end()
        with contextlib.suppress(OSError):  # What can't be flushed is not wanted.
            self._writer.abort()
        shutil.rmtree(self._part, ignore_errors=True)
        self._about.close()

    def _open(self, topics: Sequence[Topic]) -> tuple[Writer, dict[str, Connection]]:
        types = _typestore(topics)
        writer = Writer(self._bag, version=9, storage_plugin=StoragePlugin.MCAP)
        try:
            writer.open()
        except OSError as error:
            raise RecordingError(f"can't write to {self._path.parent}: {error.strerror}") from error
        connections = {
            topic.name: writer.add_connection(
                topic.name, topic.type, typestore=types, offered_qos_profiles=[_qos(topic)]
            )
            for topic in topics
        }
        return writer, connections

    def _write_about(self, custom: Mapping[str, str]) -> TextIO:
        """Put down what `repair` needs should this process die, and hold a lock that says it has not."""
        about = (self._part / ABOUT).open("w")
        fcntl.flock(about, fcntl.LOCK_EX)
        json.dump(dict(custom), about)
        about.flush()
        return about

    def _complete(self, custom: Mapping[str, str]) -> None:
        for key, value in custom.items():
            self._writer.set_custom_data(key, value)
        self._writer.close()
        for file in (*self._bag.iterdir(), self._bag):
            _sync(file)
        self._bag.rename(self._path)
        (self._part / ABOUT).unlink()
        self._part.rmdir()
        _sync(self._path.parent)

    def _end(self) -> None:
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            self.error = f"the disk of {self._part} did not take the rest within {JOIN_S:g} s"

    def _run(self) -> None:
        try:
            while batch := self._take():
                for item in batch:
                    self._write(item)
        except OSError as error:
            self.error = f"writing {self._bag} failed: {error.strerror}"

    def _take(self) -> list[Item]:
        """Wait for items and return all there are; none when the episode ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ending)
            batch = list(self._queue)
            self._queue.clear()
            return batch

    def _write(self, item: Item) -> None:
        self._writer.write(self._connections[item.topic], item.receive_ns, item.data)
        self.written += 1
        self.written_bytes += len(item.data)
        self._unsynced += len(item.data)
        with self._changed:
            self._waiting_bytes -= len(item.data)
        if self._unsynced > SYNC_BYTES:
            _sync(self._bag / f"{self._bag.name}.mcap")
            self._unsynced = 0


def _typestore(topics: Sequence[Topic]) -> Typestore:
    types = get_typestore(Stores.ROS2_JAZZY)
    for topic in topics:
        if topic.definition is not None and topic.type not in types.types:
            types.register(get_types_from_msg(topic.definition, topic.type))
    for topic in topics:
        if topic.type not in types.types:
            raise RecordingError(
                f"type {topic.type!r} of topic {topic.name!r} is not known; give its definition"
            )
    return types


def _qos(topic: Topic) -> Qos:
    reliability = QosReliability.RELIABLE if topic.reliability == "reliable" else QosReliability.BEST_EFFORT
    return Qos(
        QosHistory.KEEP_LAST,
        topic.depth,
        reliability,
        QosDurability.VOLATILE,
        ENDLESS,
        ENDLESS,
        QosLiveliness.AUTOMATIC,
        ENDLESS,
        avoid_ros_namespace_conventions=False,
    )


def _sync(path: Path) -> None:
    """Wait until the file or folder `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
