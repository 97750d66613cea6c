"""Bags as ROS 2's own recorder leaves them: metadata.yaml of version 9, MCAP or sqlite3, no contract."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from backports import zstd

from bag_factory import Raw
from dynamo_policies.bags import typestore
from dynamo_policies.mcap import MAGIC
from mcap_factory import channel_record, chunk, end, message_record, record, schema_record, text

QOS = """
      - history: keep_last
        depth: 10
        reliability: reliable
        durability: volatile
        deadline: {sec: 9223372036, nsec: 854775807}
        lifespan: {sec: 9223372036, nsec: 854775807}
        liveliness: automatic
        liveliness_lease_duration: {sec: 9223372036, nsec: 854775807}
        avoid_ros_namespace_conventions: false"""
TABLES = """
CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL, metadata TEXT NOT NULL);
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
  serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL,
  type_description_hash TEXT NOT NULL);
CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL, encoding TEXT NOT NULL,
  encoded_message_definition TEXT NOT NULL, type_description_hash TEXT NOT NULL);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  data BLOB NOT NULL);
CREATE INDEX timestamp_idx ON messages (timestamp ASC);
INSERT INTO schema VALUES (4, 'jazzy');
"""
Types = dict[str, str]
"""Topic -> type."""


def foreign_bag(
    folder: Path,
    types: Types,
    messages: Sequence[Raw],
    *,
    storage: str = "mcap",
    compression: str = "",
    mode: str = "",
    files: int = 1,
) -> Path:
    """Write `messages` to the bag `folder`; `compression` is of chunks, `mode` of files or messages."""
    folder.mkdir()
    suffix, write = WRITERS[storage]
    names, size = [], -(-len(messages) // files)
    for number in range(files):
        file = folder / f"{folder.name}_{number}{suffix}"
        part = [
            raw if mode != "message" else raw._replace(data=zstd.compress(raw.data))
            for raw in messages[number * size : (number + 1) * size]
        ]
        write(file, types, part, compression)
        if mode == "file":
            packed = file.with_name(f"{file.name}.zstd")
            packed.write_bytes(zstd.compress(file.read_bytes()))
            file.unlink()
            file = packed
        names.append(file.name)
    (folder / "metadata.yaml").write_text(metadata(types, messages, names, storage, mode))
    return folder


def metadata(
    types: Types, messages: Sequence[Raw], files: Sequence[str], storage: str = "mcap", mode: str = ""
) -> str:
    """Return metadata.yaml as rosbag2 of Jazzy writes it."""
    counts = Counter(raw.topic for raw in messages)
    stamps = [raw.receive_ns for raw in messages]
    start, duration = min(stamps, default=2**63 - 1), max(stamps, default=0) - min(stamps, default=0)
    topics = "".join(
        f"""
    - topic_metadata:
        name: {name}
        type: {kind}
        serialization_format: cdr
        offered_qos_profiles:{QOS.replace(chr(10), chr(10) + "    ")}
        type_description_hash: {hash_of(kind)}
      message_count: {counts[name]}"""
        for name, kind in types.items()
    )
    listed = "".join(
        f"""    - path: {name}
      starting_time:
        nanoseconds_since_epoch: {start}
      duration:
        nanoseconds: {duration}
      message_count: {len(messages)}
"""
        for name in files
    )
    return f"""rosbag2_bagfile_information:
  version: 9
  storage_identifier: {storage}
  duration:
    nanoseconds: {duration}
  starting_time:
    nanoseconds_since_epoch: {start}
  message_count: {len(messages)}
  topics_with_message_count:{topics or " []"}
  compression_format: "{"zstd" if mode else ""}"
  compression_mode: "{mode.upper()}"
  relative_file_paths:
{"".join(f"    - {name}{chr(10)}" for name in files)}  files:
{listed}  custom_data: ~
  ros_distro: jazzy
"""


def hash_of(kind: str) -> str:
    """Return the type's hash, zeros for one that ROS 2 Jazzy does not ship."""
    return typestore().hash_rihs01(kind) if kind in typestore().types else "RIHS01_" + 64 * "0"


def definition_of(kind: str) -> str:
    """Return the .msg text of a type with all it depends on."""
    if kind not in typestore().types:
        return "uint8 value"
    return typestore().generate_msgdef(kind, ros_version=2)[0]


def write_mcap(file: Path, types: Types, messages: Sequence[Raw], compression: str) -> None:
    """Write an MCAP file of chunks of ten messages, each with its channels, and no summary."""
    kinds = sorted(set(types.values()))
    topics = list(types)
    described = b"".join(
        schema_record(number, kind, definition_of(kind)) for number, kind in enumerate(kinds, 1)
    )
    described += b"".join(
        channel_record(number, kinds.index(types[topic]) + 1, topic) for number, topic in enumerate(topics, 1)
    )
    parts = [MAGIC, record(1, text("ros2") + text("libmcap 1.1.0"))]
    for start in range(0, len(messages), 10):
        group = messages[start : start + 10]
        stamps = [raw.receive_ns for raw in group]
        content = b"".join(
            message_record(topics.index(raw.topic) + 1, raw.receive_ns, raw.data) for raw in group
        )
        parts.append(chunk(described + content, compression, min(stamps), max(stamps)))
    file.write_bytes(b"".join([*parts, end()]))


def write_sqlite3(file: Path, types: Types, messages: Sequence[Raw], _compression: str) -> None:
    """Write a database with the tables of Jazzy."""
    topics = list(types)
    with sqlite3.connect(file) as database:
        database.executescript(TABLES)
        database.executemany(
            "INSERT INTO topics VALUES (?, ?, ?, 'cdr', '', ?)",
            [(number, name, types[name], hash_of(types[name])) for number, name in enumerate(topics, 1)],
        )
        database.executemany(
            "INSERT INTO message_definitions (topic_type, encoding, encoded_message_definition, "
            "type_description_hash) VALUES (?, 'ros2msg', ?, ?)",
            [(kind, definition_of(kind), hash_of(kind)) for kind in sorted(set(types.values()))],
        )
        database.executemany(
            "INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)",
            [(topics.index(raw.topic) + 1, raw.receive_ns, raw.data) for raw in messages],
        )
    database.close()


WRITERS: dict[str, tuple[str, Callable[[Path, Types, Sequence[Raw], str], None]]] = {
    "mcap": (".mcap", write_mcap),
    "sqlite3": (".db3", write_sqlite3),
}
