"""MCAP files: record by record, without trust in what they say of themselves.

Source of the layout: the MCAP specification, mcap.dev/spec. A file is read front to back and its index left
alone, so that one that was cut off is read by the same rules as a whole one.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import lz4.frame
from backports import zstd

from dynamo_policies.errors import DynamoError

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, DATA_END = 2, 3, 4, 5, 6, 7, 15
RECORD_HEADER = struct.Struct("<BQ")
MESSAGE_HEADER = struct.Struct("<HIQQ")
CHUNK_HEADER = struct.Struct("<QQQII")  # start, end, uncompressed size, checksum, length of the name
LARGEST_CHUNK = 256 << 20
LATEST_NS = 2**63 - 1


class McapError(DynamoError):
    """An MCAP file contradicts itself or ends early."""


class Schema(NamedTuple):
    """A message type and its definition."""

    type: str
    encoding: str
    definition: str


class Channel(NamedTuple):
    """A topic, its type, and the QoS it was offered with, YAML."""

    number: int
    topic: str
    schema: Schema
    encoding: str
    qos: str

    @property
    def type(self) -> str:
        """The name of the message type."""
        return self.schema.type


class Message(NamedTuple):
    """A message as it lies in the file."""

    channel: int
    sequence: int
    receive_ns: int
    publish_ns: int
    data: memoryview  # CDR


class Chunk(NamedTuple):
    """A group of records that is compressed as one; `body` may be shorter than `size` where the file ends."""

    start_ns: int
    end_ns: int
    size: int  # uncompressed
    checksum: int
    compression: str
    packed: memoryview
    whole: bool


class Record(NamedTuple):
    """One record; `whole` is false for the last one of a file that was cut off."""

    kind: int
    body: memoryview
    whole: bool


class Directory:
    """The channels of a file as far as they were seen."""

    def __init__(self) -> None:
        self._schemas: dict[int, Schema] = {}
        self.channels: dict[int, Channel] = {}

    def learn(self, record: Record) -> None:
        """Take in a schema or a channel; other records say nothing here."""
        try:
            if record.kind == SCHEMA:
                self._schemas[_number(record.body, 2)] = _schema(record.body)
            elif record.kind == CHANNEL:
                channel = _channel(record.body, self._schemas)
                self.channels[channel.number] = channel
        except (LookupError, UnicodeDecodeError, struct.error) as error:
            raise McapError(f"a schema or channel record is damaged: {error!r}") from error


def open_file(path: Path) -> memoryview:
    """Return the file mapped into memory, read-only.

    Raises:
        McapError: it is no MCAP file, or can't be read.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise McapError(f"{path.name} does not begin as an MCAP file ({path.stat().st_size} bytes)")
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise McapError(f"{path.name} can't be read: {error.strerror}") from error


def records(view: memoryview) -> Iterator[Record]:
    """Yield the records in `view`, the last one not whole where `view` ends within it.

    A kind of 0 ends the records: none has it, but the zeros that a power loss leaves do.
    """
    position, end = 0, len(view)
    while position + RECORD_HEADER.size <= end:
        kind, length = RECORD_HEADER.unpack_from(view, position)
        position += RECORD_HEADER.size
        if kind == 0:
            return
        body = view[position : min(position + length, end)]
        yield Record(kind, body, len(body) == length)
        position += length


def read_message(body: memoryview) -> Message:
    """Return the message that a record of kind MESSAGE holds."""
    if len(body) < MESSAGE_HEADER.size:
        raise McapError(f"a message record of {len(body)} bytes; at least {MESSAGE_HEADER.size} are needed")
    channel, sequence, receive_ns, publish_ns = MESSAGE_HEADER.unpack_from(body)
    if receive_ns > LATEST_NS:
        raise McapError(f"a message was received at {receive_ns} ns; at most {LATEST_NS} is possible")
    return Message(channel, sequence, receive_ns, publish_ns, body[MESSAGE_HEADER.size :])


def read_chunk(record: Record) -> Chunk:
    """Return the chunk in `record`, its records still packed.

    Raises:
        McapError: its header is cut or absurd.
    """
    body = record.body
    if len(body) < CHUNK_HEADER.size:
        raise McapError(f"a chunk record of {len(body)} bytes ends within its header")
    start_ns, end_ns, size, checksum, name_size = CHUNK_HEADER.unpack_from(body)
    place = CHUNK_HEADER.size + name_size
    if len(body) < place + 8:
        raise McapError("a chunk record ends within its header")
    name = bytes(body[CHUNK_HEADER.size : place]).decode("ascii", "replace")
    packed_size = _number(body[place:], 8)
    packed = body[place + 8 : place + 8 + packed_size]
    if size > LARGEST_CHUNK:
        raise McapError(f"a chunk of {size} bytes; at most {LARGEST_CHUNK} are read")
    return Chunk(start_ns, end_ns, size, checksum, name, packed, record.whole and len(packed) == packed_size)


def unpack(chunk: Chunk) -> memoryview:
    """Return the records of a whole chunk.

    Raises:
        McapError: the compression is unknown, or the content is not what the header says.
    """
    content = unpack_what_is_there(chunk)
    if len(content) != chunk.size:
        raise McapError(f"a chunk holds {len(content)} bytes where its header says {chunk.size}")
    if chunk.checksum and zlib.crc32(content) != chunk.checksum:
        raise McapError("a chunk's checksum does not fit its content")
    return content


def unpack_what_is_there(chunk: Chunk) -> memoryview:
    """Return the records of a chunk as far as they can be unpacked; never more than its header says."""
    if not chunk.compression:
        return chunk.packed[: chunk.size]
    if chunk.compression not in ("zstd", "lz4"):
        raise McapError(f"chunk compression {chunk.compression!r} is unknown; known: zstd, lz4")
    unpacker = zstd.ZstdDecompressor() if chunk.compression == "zstd" else lz4.frame.LZ4FrameDecompressor()
    parts: list[bytes] = []
    left, packed = chunk.size, bytes(chunk.packed)
    try:
        while left > 0 and not unpacker.eof:
            part = unpacker.decompress(packed, max_length=left)
            packed = b""
            if not part:
                break
            parts.append(part)
            left -= len(part)
    except (zstd.ZstdError, RuntimeError, ValueError) as error:
        if chunk.whole:
            raise McapError(f"a chunk can't be unpacked: {error}") from error
    return memoryview(b"".join(parts))


def _schema(body: memoryview) -> Schema:
    name, body = _text(body[2:])
    encoding, body = _text(body)
    return Schema(name, encoding, _text(body)[0])


def _channel(body: memoryview, schemas: dict[int, Schema]) -> Channel:
    number, schema_number = struct.unpack_from("<HH", body)
    schema = schemas[schema_number] if schema_number else Schema("", "", "")
    topic, body = _text(body[4:])
    encoding, body = _text(body)
    qos, entries = "", body[4 : 4 + _number(body, 4)]
    while len(entries):
        key, entries = _text(entries)
        value, entries = _text(entries)
        qos = value if key == "offered_qos_profiles" else qos
    return Channel(number, topic, schema, encoding, qos)


def _text(view: memoryview) -> tuple[str, memoryview]:
    """Return the text that `view` begins with, and what follows it."""
    (length,) = struct.unpack_from("<I", view)
    if len(view) < 4 + length:
        raise McapError(f"a text of {length} bytes in a record that has {len(view) - 4} left")
    return bytes(view[4 : 4 + length]).decode(), view[4 + length :]


def _number(view: memoryview, size: int) -> int:
    return int.from_bytes(view[:size], "little")
