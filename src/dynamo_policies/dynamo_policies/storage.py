"""The files of a bag, whatever rosbag2 stored and compressed them with."""

from __future__ import annotations

import contextlib
import functools
import heapq
import shutil
import struct
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw
from backports import zstd
from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from dynamo_policies.errors import DynamoError
from dynamo_policies.mcap import LARGEST_CHUNK, Channel, McapError, Message, Schema, open_file
from dynamo_policies.mcap_reader import Found, read, read_in_file_order

ZSTD_SUFFIX = ".zstd"
FREE_SHARE = 0.5  # of the disk's free space that unpacking a file may take
COPY_BYTES = 1 << 20
AS_WRITTEN = (
    "SELECT topics.name, topics.type, messages.timestamp, messages.data "
    "FROM messages JOIN topics ON topics.id = messages.topic_id ORDER BY messages.id"
)
# What rosbags lets through as it is where a file is damaged.
DAMAGE = (
    ReaderError,
    OSError,
    ValueError,
    AssertionError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
    apsw.Error,
)


class StorageError(DynamoError):
    """A file of a bag can't be read."""


class Stored(NamedTuple):
    """A message as it lies in a bag, with the definition of its type where the bag has one."""

    topic: str
    type: str
    receive_ns: int
    data: memoryview | bytes  # CDR with its encapsulation header


def stored_messages(files: Sequence[Path], topics: Collection[str], compression: str) -> Iterator[Stored]:
    """Yield the messages on `topics` in log-time order; `compression` is metadata.yaml's compression_mode.

    Raises:
        StorageError: a file ends early or is damaged, or a type on `topics` is not ROS 2 Jazzy's.
    """
    parts = [_file_messages(file, topics, compression) for file in files]
    messages = parts[0] if len(parts) == 1 else heapq.merge(*parts, key=lambda one: one.receive_ns)
    if compression == "message":
        messages = (one._replace(data=_inflated(one)) for one in messages)
    yield from messages


def as_written(files: Sequence[Path], compression: str) -> Iterator[tuple[str, memoryview | bytes]]:
    """Yield topic and CDR bytes of all messages in the order in which they were written, of any type.

    Raises:
        StorageError: a file ends early or is damaged.
    """
    for file in files:
        with tempfile.TemporaryDirectory() as folder:
            plain = _plain(file, compression, Path(folder))
            try:
                messages = _mcap_as_written(plain) if plain.suffix == ".mcap" else _sqlite_as_written(plain)
                for one in messages:
                    yield one.topic, _inflated(one) if compression == "message" else one.data
            except (McapError, apsw.Error) as error:
                raise StorageError(f"{file.name}: {error}") from error


def committed(file: Path) -> Iterator[Found]:
    """Yield what was committed to the sqlite3 `file`, on all topics.

    Raises:
        StorageError: the database is damaged.
    """
    try:
        with Reader(file) as reader:
            channels = {one.id: _channel_of(one) for one in reader.connections}
            for connection, receive_ns, data in reader.messages():
                message = Message(connection.id, 0, receive_ns, receive_ns, memoryview(data))
                yield Found(channels[connection.id], message)
    except DAMAGE as error:
        raise StorageError(f"{file.name}: {error!r}") from error


def _channel_of(connection: Connection) -> Channel:
    encoding = "ros2idl" if connection.msgdef.format == MessageDefinitionFormat.IDL else "ros2msg"
    definition = connection.msgdef.data
    if not definition and connection.msgtype in typestore().types:
        definition, _ = typestore().generate_msgdef(connection.msgtype, ros_version=2)
    return Channel(
        connection.id, connection.topic, Schema(connection.msgtype, encoding, definition), "cdr", ""
    )


@functools.cache
def typestore() -> Typestore:
    """Return the message types of ROS 2 Jazzy; shared, so register nothing in it."""
    return get_typestore(Stores.ROS2_JAZZY)


@functools.lru_cache(maxsize=256)
def definition_hash(name: str, definition: str, encoding: str) -> str:
    """Return the RIHS01 hash of a type's `definition`; empty where there is none or it can't be parsed."""
    if not definition:
        return ""
    types = get_typestore(Stores.EMPTY)
    try:
        parsed = (
            get_types_from_idl(definition) if encoding == "ros2idl" else get_types_from_msg(definition, name)
        )
        types.register(parsed)
        return types.hash_rihs01(name)
    except (TypesysError, KeyError, ValueError, RecursionError):
        return ""


def check_type(topic: str, name: str, found_hash: str) -> None:
    """Raise StorageError where `found_hash`, if there is one, is not that of the type we know by `name`."""
    if not found_hash.startswith("RIHS01_") or name not in typestore().types:
        return
    known = typestore().hash_rihs01(name)
    if found_hash != known:
        raise StorageError(
            f"topic {topic!r}: its {name} is not ROS 2 Jazzy's (type hash {found_hash[:15]}…, "
            f"Jazzy's is {known[:15]}…)"
        )


def _file_messages(file: Path, topics: Collection[str], compression: str) -> Iterator[Stored]:
    with tempfile.TemporaryDirectory() as folder:
        plain = _plain(file, compression, Path(folder))
        try:
            yield from _mcap(plain, topics) if plain.suffix == ".mcap" else _others(plain, topics)
        except McapError as error:
            raise StorageError(f"{file.name}: {error}") from error


def _mcap(file: Path, topics: Collection[str]) -> Iterator[Stored]:
    known: dict[Channel, bool] = {}

    def wanted(channel: Channel) -> bool:
        if channel not in known:
            known[channel] = channel.topic in topics
            if known[channel]:
                _check_channel(channel)
        return known[channel]

    for channel, message in read(open_file(file), wanted):
        yield Stored(channel.topic, channel.schema.type, message.receive_ns, message.data)


def _mcap_as_written(file: Path) -> Iterator[Stored]:
    for channel, message in read_in_file_order(open_file(file)):
        yield Stored(channel.topic, channel.schema.type, message.receive_ns, message.data)


def _sqlite_as_written(file: Path) -> Iterator[Stored]:
    database = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    with contextlib.closing(database):
        for row in database.execute(AS_WRITTEN):
            if [type(value) for value in row] != [str, str, int, bytes]:  # A damaged database has any types.
                raise StorageError(f"{file.name}: a message has no topic, type, time or bytes")
            yield Stored(*row)


def _check_channel(channel: Channel) -> None:
    if channel.encoding != "cdr":
        raise StorageError(f"topic {channel.topic!r} is serialised as {channel.encoding!r}; only cdr is read")
    schema = channel.schema
    check_type(channel.topic, schema.type, definition_hash(schema.type, schema.definition, schema.encoding))


def _others(file: Path, topics: Collection[str]) -> Iterator[Stored]:
    try:
        with Reader(file) as reader:
            chosen = [connection for connection in reader.connections if connection.topic in topics]
            for connection in chosen:
                text, form = connection.msgdef.data, connection.msgdef.format
                encoding = "ros2idl" if form == MessageDefinitionFormat.IDL else "ros2msg"
                check_type(
                    connection.topic, connection.msgtype, definition_hash(connection.msgtype, text, encoding)
                )
            for connection, receive_ns, data in reader.messages(chosen) if chosen else ():
                values: list[Any] = [receive_ns, data]  # A damaged database has any types.
                if [type(value) for value in values] != [int, bytes]:
                    raise StorageError(f"{file.name}: a message on {connection.topic!r} has no time or bytes")
                yield Stored(connection.topic, connection.msgtype, receive_ns, data)
    except DAMAGE as error:
        raise StorageError(f"{file.name}: {error!r}") from error


def _plain(file: Path, compression: str, folder: Path) -> Path:
    """Return `file`, or where compression is of whole files, what it unpacks to within `folder`."""
    if compression != "file" and file.suffix != ZSTD_SUFFIX:
        return file
    target = folder / file.name.removesuffix(ZSTD_SUFFIX)
    limit = int(shutil.disk_usage(folder).free * FREE_SHARE)
    try:
        with file.open("rb") as packed, zstd.open(packed, "rb") as source, target.open("wb") as out:
            while block := source.read(COPY_BYTES):
                if out.write(block) and out.tell() > limit:
                    raise StorageError(
                        f"{file.name} unpacks to more than {limit} bytes, half of the free disk"
                    )
    except (zstd.ZstdError, EOFError, OSError) as error:
        raise StorageError(f"{file.name} can't be unpacked: {error}") from error
    return target


def _inflated(one: Stored) -> bytes:
    try:
        unpacker = zstd.ZstdDecompressor()
        data = unpacker.decompress(bytes(one.data), max_length=LARGEST_CHUNK)
    except zstd.ZstdError as error:
        raise StorageError(f"a message on {one.topic!r} can't be unpacked: {error}") from error
    if not unpacker.eof:
        raise StorageError(f"a message on {one.topic!r} is cut off or above {LARGEST_CHUNK} bytes")
    return data
