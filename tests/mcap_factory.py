"""MCAP files as other writers make them: other compressions, small chunks, no summary."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import lz4.frame
from backports import zstd

from dynamo_policies.mcap import (
    CHANNEL,
    CHUNK,
    DATA_END,
    MAGIC,
    RECORD_HEADER,
    SCHEMA,
    open_file,
    read_chunk,
    records,
    unpack,
)

PACKERS = {"": bytes, "zstd": zstd.compress, "lz4": lz4.frame.compress}
CHUNK_BYTES = 100_000


def record(kind: int, body: bytes) -> bytes:
    """Return a record of an MCAP file."""
    return RECORD_HEADER.pack(kind, len(body)) + body


def text(value: str) -> bytes:
    """Return a text as records hold it."""
    return struct.pack("<I", len(value.encode())) + value.encode()


def chunk(
    content: bytes,
    compression: str,
    start_ns: int = 0,
    end_ns: int = 0,
    *,
    size: int | None = None,
    name: str | None = None,
) -> bytes:
    """Return a chunk record of the records in `content`, with a checksum; `size` and `name` may lie."""
    packed = PACKERS[compression](content)
    head = struct.pack("<QQQI", start_ns, end_ns, len(content) if size is None else size, zlib.crc32(content))
    return record(CHUNK, head + text(name or compression) + struct.pack("<Q", len(packed)) + packed)


def end() -> bytes:
    """Return the end of a file without summary."""
    return record(15, bytes(4)) + record(2, bytes(20)) + MAGIC


def repacked(source: Path, target: Path, compression: str) -> Path:
    """Write the messages of `source` to `target` in small chunks of `compression`, without a summary."""
    parts, pending = [MAGIC, record(1, text("ros2") + text("test"))], b""
    for outer in records(open_file(source)[len(MAGIC) : -len(MAGIC)]):
        if outer.kind == DATA_END:  # The summary that follows repeats schemas and channels.
            break
        if outer.kind in (SCHEMA, CHANNEL):
            pending += record(outer.kind, bytes(outer.body))
        if outer.kind != CHUNK:
            continue
        for inner in records(unpack(read_chunk(outer))):
            pending += record(inner.kind, bytes(inner.body))
            if len(pending) > CHUNK_BYTES:
                parts.append(_timed(pending, compression))
                pending = b""
    target.write_bytes(b"".join([*parts, _timed(pending, compression), end()]))
    return target


def _timed(content: bytes, compression: str) -> bytes:
    stamps = [
        struct.unpack_from("<Q", one.body, 6)[0] for one in records(memoryview(content)) if one.kind == 5
    ]
    return chunk(content, compression, min(stamps), max(stamps))


def schema_record(number: int, kind: str, definition: str) -> bytes:
    """Return the record that defines a message type."""
    return record(3, struct.pack("<H", number) + text(kind) + text("ros2msg") + text(definition))


def channel_record(number: int, schema: int, topic: str, encoding: str = "cdr") -> bytes:
    """Return the record that defines a topic; its QoS is left out."""
    return record(4, struct.pack("<HH", number, schema) + text(topic) + text(encoding) + bytes(4))


def message_record(channel: int, receive_ns: int, data: bytes) -> bytes:
    """Return the record of a message."""
    return record(5, struct.pack("<HIQQ", channel, 0, receive_ns, receive_ns) + data)
