"""An MCAP file as it is recorded: chunks by group of topics, closed by size and by time, both times kept.

The format is that of https://mcap.dev/spec. The `mcap` library's writer has one compression for all, closes
a chunk by size alone, so that a slow robot's last minutes would be lost with the process, and copies each
message three times; rosbags' writer has one time for a message. Here the pieces of an uncompressed chunk go
to the system as they came.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import lz4.frame
from backports import zstd

from dynamo_policies.mcap import CHANNEL, CHUNK, DATA_END, FOOTER, MAGIC, MESSAGE, MESSAGE_INDEX, SCHEMA

Compression = Literal["none", "lz4", "zstd"]
COMPRESSORS: dict[Compression, tuple[str, Callable[[bytes], bytes]]] = {
    "lz4": ("lz4", lz4.frame.compress),
    "zstd": ("zstd", zstd.compress),  # level 3
}
HEADER, CHUNK_INDEX, STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET = 0x01, 0x08, 0x0B, 0x0C, 0x0D, 0x0E
MESSAGE_START = struct.Struct("<BQHIQQ")  # kind, length, channel, sequence, log time, publish time
MESSAGE_FIELDS = 22  # bytes of a message record before its data
PIECES = min(os.sysconf("SC_IOV_MAX"), 1024)
NEVER = 2**63 - 1


@dataclass
class Group:
    """Topics whose messages share chunks. A checksum costs a third of a millisecond for each megabyte."""

    compression: Compression = "none"
    checksum: bool = True
    chunk_bytes: int = 1 << 20
    pieces: list[bytes | memoryview] = field(default_factory=list)
    size: int = 0
    start_ns: int = NEVER
    end_ns: int = 0
    index: dict[int, list[int]] = field(default_factory=dict)  # channel -> time, offset, time, offset…

    def clear(self) -> None:
        """Begin the next chunk."""
        self.pieces, self.size, self.start_ns, self.end_ns, self.index = [], 0, NEVER, 0, {}


class McapFile:
    """Writes one file. Channels come first; what was written before `flush` outlives the process."""

    def __init__(self, path: Path, groups: Mapping[str, Group], *, library: str) -> None:
        self.written_bytes = 0
        self.counts: dict[int, int] = {}
        self.start_ns, self.end_ns = NEVER, 0
        self._groups = dict(groups)
        self._schemas: dict[str, tuple[int, bytes]] = {}
        self._channels: dict[int, bytes] = {}
        self._group_of: dict[int, Group] = {}
        self._chunk_indexes = bytearray()  # 95 bytes for each chunk are all that an hour leaves in memory.
        self._chunks = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._put([MAGIC, _record(HEADER, _text("ros2") + _text(library))])

    def add_channel(self, topic: str, type_name: str, definition: str, *, group: str, qos: str = "") -> int:
        """Return the number of a new channel; its messages go into the chunks of `group`.

        `definition` is the .msg text of the type, `qos` what rosbag2 calls offered_qos_profiles (YAML).
        """
        if type_name not in self._schemas:
            number = len(self._schemas) + 1
            encoding = "ros2idl" if definition.startswith("=" * 80 + "\nIDL: ") else "ros2msg"
            body = struct.pack("<H", number) + _text(type_name) + _text(encoding) + _text(definition)
            self._schemas[type_name] = number, _record(SCHEMA, body)
            self._put([self._schemas[type_name][1]])
        channel = len(self._channels) + 1
        entries = _text("offered_qos_profiles") + _text(qos)
        body = struct.pack("<HH", channel, self._schemas[type_name][0]) + _text(topic) + _text("cdr")
        self._channels[channel] = _record(CHANNEL, body + struct.pack("<I", len(entries)) + entries)
        self._put([self._channels[channel]])
        self._group_of[channel] = self._groups[group]
        self.counts[channel] = 0
        return channel

    def write(
        self, channel: int, data: bytes | memoryview, *, log_ns: int, publish_ns: int, sequence: int = 0
    ) -> None:
        """Append a message; it reaches the system when its chunk is full, or with `flush`."""
        group = self._group_of[channel]
        group.index.setdefault(channel, []).extend((log_ns, group.size))
        start = MESSAGE_START.pack(MESSAGE, MESSAGE_FIELDS + len(data), channel, sequence, log_ns, publish_ns)
        group.pieces += (start, data)
        group.size += len(start) + len(data)
        group.start_ns, group.end_ns = min(group.start_ns, log_ns), max(group.end_ns, log_ns)
        self.counts[channel] += 1
        if group.size >= group.chunk_bytes:
            self._close_chunk(group)

    def flush(self) -> None:
        """Hand everything to the system: it outlives the process, though not yet a power loss."""
        for group in self._groups.values():
            if group.size:
                self._close_chunk(group)

    def sync(self) -> None:
        """Wait until what was handed to the system is on the disk."""
        os.fdatasync(self._descriptor)

    def finish(self, metadata: Mapping[str, Mapping[str, str]]) -> None:
        """Write the rest, the `metadata` records and the summary, sync and close."""
        self.flush()
        places = [
            (name, self.written_bytes, self._put([_metadata(name, values)]))
            for name, values in metadata.items()
        ]
        self._put([_record(DATA_END, struct.pack("<I", 0))])
        self._write_summary(places)
        os.fsync(self._descriptor)
        self.close()

    def close(self) -> None:
        """Close as it is; `dynamo_policies.repair` makes a whole file of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _close_chunk(self, group: Group) -> None:
        name, packed = "", group.pieces
        size, checksum = group.size, 0
        if group.checksum:
            for piece in group.pieces:
                checksum = zlib.crc32(piece, checksum)
        if group.compression != "none":
            name, compress = COMPRESSORS[group.compression]
            packed = [compress(b"".join(group.pieces))]
        packed_size = sum(map(len, packed)) if name else size
        fields = struct.pack("<QQQI", group.start_ns, group.end_ns, size, checksum) + _text(name)
        fields += struct.pack("<Q", packed_size)
        place = self.written_bytes
        length = self._put([_start(CHUNK, len(fields) + packed_size), fields, *packed])
        offsets = {}
        for channel, entries in group.index.items():
            offsets[channel] = self.written_bytes
            times = struct.pack(f"<{len(entries)}Q", *entries)
            self._put([_record(MESSAGE_INDEX, struct.pack("<HI", channel, len(times)) + times)])
        index = struct.pack("<QQQQI", group.start_ns, group.end_ns, place, length, 10 * len(offsets))
        index += b"".join(struct.pack("<HQ", *entry) for entry in offsets.items())
        index += struct.pack("<Q", self.written_bytes - place - length) + _text(name)
        self._chunk_indexes += _record(CHUNK_INDEX, index + struct.pack("<QQ", packed_size, size))
        self._chunks += 1
        self.start_ns, self.end_ns = min(self.start_ns, group.start_ns), max(self.end_ns, group.end_ns)
        group.clear()

    def _write_summary(self, places: Sequence[tuple[str, int, int]]) -> None:
        start, offsets = self.written_bytes, b""
        parts = {
            SCHEMA: [record for _, record in self._schemas.values()],
            CHANNEL: list(self._channels.values()),
            CHUNK_INDEX: [bytes(self._chunk_indexes)] if self._chunks else [],
            METADATA_INDEX: [
                _record(METADATA_INDEX, struct.pack("<QQ", place, length) + _text(name))
                for name, place, length in places
            ],
            STATISTICS: [self._statistics(len(places))],
        }
        for kind, records in parts.items():
            if records:
                place = self.written_bytes
                self._put(records)
                offsets += _record(
                    SUMMARY_OFFSET, struct.pack("<BQQ", kind, place, self.written_bytes - place)
                )
        footer = struct.pack("<QQI", start, self.written_bytes, 0)
        self._put([offsets, _record(FOOTER, footer), MAGIC])

    def _statistics(self, metadata: int) -> bytes:
        head = struct.pack(
            "<QHIIIIQQI",
            sum(self.counts.values()),
            len(self._schemas),
            len(self._channels),
            0,
            metadata,
            self._chunks,
            self.start_ns if self.end_ns else 0,
            self.end_ns,
            10 * len(self.counts),
        )
        return _record(
            STATISTICS, head + b"".join(struct.pack("<HQ", *entry) for entry in self.counts.items())
        )

    def _put(self, pieces: Sequence[bytes | memoryview]) -> int:
        """Write the pieces one after another and return their size."""
        total, rest = 0, iter(pieces)
        while batch := list(islice(rest, PIECES)):
            total += self._put_batch(batch)
        self.written_bytes += total
        return total

    def _put_batch(self, batch: list[bytes | memoryview]) -> int:
        size = sum(map(len, batch))
        done = os.writev(self._descriptor, batch)
        if done < size:  # The system took a part: a signal, or a disk that is nearly full.
            rest = memoryview(b"".join(batch))[done:]
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return size


def _metadata(name: str, values: Mapping[str, str]) -> bytes:
    entries = b"".join(_text(key) + _text(value) for key, value in values.items())
    return _record(METADATA, _text(name) + struct.pack("<I", len(entries)) + entries)


def _record(kind: int, body: bytes) -> bytes:
    return _start(kind, len(body)) + body


def _start(kind: int, length: int) -> bytes:
    return struct.pack("<BQ", kind, length)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded
