"""Bags whose recording was cut off: what reached the disk, as a complete bag.

The recorder builds a bag in a hidden folder `.NAME.part`, which holds what the episode is (`about.json`) and
the MCAP file (`NAME/NAME.mcap`). An MCAP file is a sequence of records, so all up to the cut can be read.
Source of the layout: the MCAP specification, mcap.dev/spec.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from dynamo_policies.bags import MCAP_MAGIC, BagError

ABOUT = "about.json"
SCHEMA, CHANNEL, MESSAGE, CHUNK = 3, 4, 5, 6
RECORD_HEADER = struct.Struct("<BQ")
MESSAGE_HEADER = struct.Struct("<HIQQ")
CHUNK_START_BYTES = 28  # start, end, uncompressed size, checksum
REMARK = "recovered from a recording that was cut off"


class Schema(NamedTuple):
    """A message type and its definition."""

    type: str
    definition: str


class Channel(NamedTuple):
    """A topic, its type, and the QoS it was offered with, YAML."""

    topic: str
    schema: Schema
    qos: str


class CutMessage(NamedTuple):
    """A message that was found whole."""

    channel: Channel
    receive_ns: int
    data: memoryview  # CDR


def find_cut_off(folder: Path | str) -> list[Path]:
    """Return the hidden folders of unfinished recordings in `folder` and below; itself if it is one."""
    folder = Path(folder)
    if (folder / ABOUT).is_file():
        return [folder]
    return sorted(file.parent for file in folder.rglob(f".*.part/{ABOUT}"))


def recover(part: Path | str) -> Path:
    """Turn the unfinished recording in `part` into a bag beside it, remove `part`, and return the bag.

    Raises:
        BagError: it is still being recorded, is no unfinished recording, or the bag's place is taken.
    """
    part = Path(part)
    name = part.name.removeprefix(".").removesuffix(".part")
    file, target = part / name / f"{name}.mcap", part.parent / name
    if not (part / ABOUT).is_file() or not file.is_file():
        raise BagError(part, f"no unfinished recording; that has {ABOUT} and {name}/{name}.mcap")
    if target.exists():
        raise BagError(part, f"can't be recovered to {target}, which exists")
    with (part / ABOUT).open() as about:
        try:
            fcntl.flock(about, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BagError(part, "is still being recorded") from error
        custom: dict[str, str] = json.load(about)
        custom["note"] = "; ".join(text for text in (custom.get("note", ""), REMARK) if text)
        _write(file, part / "recovered" / name, {"outcome": "unknown", "dropped": "{}", **custom})
        (part / "recovered" / name).rename(target)
        shutil.rmtree(part)
    return target


def _write(file: Path, bag: Path, custom: dict[str, str]) -> None:
    shutil.rmtree(bag, ignore_errors=True)
    connections: dict[Channel, Connection] = {}
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for key, value in custom.items():
            writer.set_custom_data(key, value)
        for message in read_messages(file.read_bytes()):
            if message.channel not in connections:
                connections[message.channel] = _connect(writer, message.channel)
            writer.write(connections[message.channel], message.receive_ns, message.data)


def _connect(writer: Writer, channel: Channel) -> Connection:
    types = get_typestore(Stores.ROS2_JAZZY)
    if channel.schema.type not in types.types:
        types.register(get_types_from_msg(channel.schema.definition, channel.schema.type))
    profiles = parse_qos(yaml.safe_load(channel.qos) or [])
    return writer.add_connection(
        channel.topic, channel.schema.type, typestore=types, offered_qos_profiles=profiles
    )


def read_messages(content: bytes) -> Iterator[CutMessage]:
    """Yield the messages of an MCAP file that may end anywhere, written without compression."""
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for kind, body in _records(memoryview(content)[len(MCAP_MAGIC) :]):
        if kind == SCHEMA:
            schemas[_number(body, 2)] = _schema(body)
        elif kind == CHANNEL:
            channels[_number(body, 2)] = _channel(body, schemas)
        elif kind == MESSAGE:
            channel, _, receive_ns, _ = MESSAGE_HEADER.unpack_from(body)
            yield CutMessage(channels[channel], receive_ns, body[MESSAGE_HEADER.size :])


def _records(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield kind and content of each complete record, those within chunks too, even if a chunk is cut."""
    while len(view) >= RECORD_HEADER.size:
        kind, length = RECORD_HEADER.unpack_from(view)
        body = view[RECORD_HEADER.size : RECORD_HEADER.size + length]
        if kind == CHUNK:
            yield from _records(_inside(body))
        elif len(body) == length:
            yield kind, body
        view = view[RECORD_HEADER.size + length :]


def _inside(chunk: memoryview) -> memoryview:
    """Return the records in a chunk: they follow its numbers, its compression (none) and their length."""
    if len(chunk) < CHUNK_START_BYTES + 4:
        return chunk[:0]
    name = _number(chunk[CHUNK_START_BYTES:], 4)
    return chunk[CHUNK_START_BYTES + 4 + name + 8 :]


def _schema(body: memoryview) -> Schema:
    name, body = _text(body[2:])
    _, body = _text(body)
    return Schema(name, _text(body)[0])


def _channel(body: memoryview, schemas: dict[int, Schema]) -> Channel:
    schema = schemas[_number(body[2:], 2)]
    topic, body = _text(body[4:])
    _, body = _text(body)
    # The metadata is a map; rosbag2 writes one entry into it.
    _, body = _text(body[4:])
    return Channel(topic, schema, _text(body)[0])


def _text(view: memoryview) -> tuple[str, memoryview]:
    """Return the text that `view` begins with, and what follows it."""
    length = _number(view, 4)
    return bytes(view[4 : 4 + length]).decode(), view[4 + length :]


def _number(view: memoryview, size: int) -> int:
    return int.from_bytes(view[:size], "little")
