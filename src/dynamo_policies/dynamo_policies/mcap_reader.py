"""The messages of an MCAP file: all of a whole file by time, or whatever is left of a damaged one."""

from __future__ import annotations

import contextlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dynamo_policies.mcap import (
    CHUNK,
    DATA_END,
    FOOTER,
    LATEST_NS,
    MAGIC,
    MESSAGE,
    MESSAGE_HEADER,
    MESSAGE_INDEX,
    Channel,
    Chunk,
    Directory,
    McapError,
    Message,
    Record,
    read_chunk,
    read_message,
    records,
    unpack,
    unpack_what_is_there,
)

HELD_BYTES = 1 << 30  # of chunks that overlap in time
MESSAGE_COST = 256  # what holding a message takes besides its data
INDEX_ENTRY_BYTES = 16


class Found(NamedTuple):
    """A message and its channel."""

    channel: Channel
    message: Message


@dataclass
class Losses:
    """What a damaged file held and no longer gives, as far as it tells."""

    messages: Counter[str] = field(default_factory=Counter)  # topic -> messages
    bytes: int = 0
    end_ns: int = 0  # until when the file says that it held messages
    complete: bool = False  # the file has its end

    def cut(self, channel: Channel | None, body: memoryview) -> None:
        """Count a message whose record is not whole."""
        self.bytes += len(body)
        if channel is not None:
            self.messages[channel.topic] += 1
            self.end_ns = max(self.end_ns, MESSAGE_HEADER.unpack_from(body)[2])


def read(view: memoryview, wanted: Callable[[Channel], bool]) -> Iterator[Found]:
    """Yield the messages of a whole file on the channels `wanted`, by log time, of one time in file order.

    Raises:
        McapError: the file is cut off or damaged.
    """
    directory, chunks, loose = _contents(view)
    chunks.sort(key=lambda chunk: chunk.start_ns)
    heap = [(message.receive_ns, number, message) for number, message in enumerate(loose)]
    heapq.heapify(heap)
    held, number = 0, len(heap)
    starts = [*(chunk.start_ns for chunk in chunks), LATEST_NS + 1]
    for chunk, until_ns in zip(chunks, starts[1:], strict=True):
        for message in _messages(unpack(chunk), directory):
            heapq.heappush(heap, (message.receive_ns, number, message))
            number += 1
            held += MESSAGE_COST + len(message.data)
        while heap and heap[0][0] < until_ns:
            message = heapq.heappop(heap)[2]
            held -= MESSAGE_COST + len(message.data)
            channel = directory.channels[message.channel]
            if wanted(channel):
                yield Found(channel, message)
        if held > HELD_BYTES:
            raise McapError(f"its chunks overlap in time by more than {HELD_BYTES} bytes")
    for _, _, message in sorted(heap):
        if wanted(directory.channels[message.channel]):
            yield Found(directory.channels[message.channel], message)


def read_in_file_order(view: memoryview) -> Iterator[Found]:
    """Yield the messages of a whole file as they were written; those outside of chunks come first.

    Raises:
        McapError: the file is cut off or damaged.
    """
    directory, chunks, loose = _contents(view)
    for message in loose:
        yield Found(directory.channels[message.channel], message)
    for chunk in chunks:
        for message in _messages(unpack(chunk), directory):
            yield Found(directory.channels[message.channel], message)


def salvage(view: memoryview, losses: Losses) -> Iterator[Found]:
    """Yield in file order each message that is whole; count in `losses` what is not."""
    directory = _known_outside_chunks(view)
    broken = False  # The indexes that follow belong to a chunk that can't be unpacked.
    for record in records(view[len(MAGIC) :]):
        if record.kind == CHUNK:
            chunk = _chunk(record, losses)
            content = _salvageable(chunk, losses)
            broken = content is None
            if content is not None:
                yield from _whole(content, directory, losses)
        elif record.kind == MESSAGE_INDEX and record.whole and broken:
            _count_index(record.body, directory, losses)
        elif record.kind in (DATA_END, FOOTER):
            losses.complete |= record.kind == FOOTER and record.whole
        else:
            yield from _whole_record(record, directory, losses)


def _known_outside_chunks(view: memoryview) -> Directory:
    """Return the channels that the summary repeats, should the chunk that has them be lost."""
    directory = Directory()
    for record in records(view[len(MAGIC) :]):
        if record.whole:
            with contextlib.suppress(McapError):
                directory.learn(record)
    return directory


def _contents(view: memoryview) -> tuple[Directory, list[Chunk], list[Message]]:
    """Return channels, chunks and the messages outside of chunks."""
    directory, chunks, loose, ended = Directory(), list[Chunk](), list[Message](), False
    for record in records(view[len(MAGIC) : -len(MAGIC)]):
        if not record.whole:
            raise McapError(f"a record of kind {record.kind} ends after {len(record.body)} bytes")
        ended |= record.kind == FOOTER
        if record.kind == CHUNK:
            chunks.append(read_chunk(record))
        elif record.kind == MESSAGE:
            loose.append(read_message(record.body))
        else:
            directory.learn(record)
    if not ended or bytes(view[-len(MAGIC) :]) != MAGIC:
        raise McapError("the file has no end; was the recording cut off?")
    if not directory.channels:  # no summary: the channels are within the chunks alone
        for chunk in chunks:
            for record in records(unpack(chunk)):
                directory.learn(record)
    for message in loose:
        _check_channel(message, directory)
    return directory, chunks, loose


def _messages(content: memoryview, directory: Directory) -> Iterator[Message]:
    for record in records(content):
        if not record.whole:
            raise McapError(f"a record in a chunk ends after {len(record.body)} bytes")
        if record.kind == MESSAGE:
            message = read_message(record.body)
            _check_channel(message, directory)
            yield message


def _check_channel(message: Message, directory: Directory) -> None:
    if message.channel not in directory.channels:
        raise McapError(f"a message on channel {message.channel}; the file has {sorted(directory.channels)}")


def _chunk(record: Record, losses: Losses) -> Chunk | None:
    try:
        return read_chunk(record)
    except McapError:
        losses.bytes += len(record.body)
        return None


def _salvageable(chunk: Chunk | None, losses: Losses) -> memoryview | None:
    if chunk is None:
        return None
    try:
        content = unpack(chunk) if chunk.whole else unpack_what_is_there(chunk)
    except McapError:
        losses.bytes += chunk.size
        losses.end_ns = max(losses.end_ns, chunk.end_ns)
        return None
    if not chunk.whole:
        losses.bytes += chunk.size - len(content)
        losses.end_ns = max(losses.end_ns, chunk.end_ns)
    return content


def _whole(content: memoryview, directory: Directory, losses: Losses) -> Iterator[Found]:
    for record in records(content):
        yield from _whole_record(record, directory, losses)


def _whole_record(record: Record, directory: Directory, losses: Losses) -> Iterator[Found]:
    try:
        if record.kind == MESSAGE:
            message = read_message(record.body)
            channel = directory.channels.get(message.channel)
            if record.whole and channel is not None:
                yield Found(channel, message)
            else:
                losses.cut(channel, record.body)
        elif record.whole:
            directory.learn(record)
    except McapError:
        losses.bytes += len(record.body)


def _count_index(body: memoryview, directory: Directory, losses: Losses) -> None:
    channel = directory.channels.get(int.from_bytes(body[:2], "little"))
    if channel is not None:
        losses.messages[channel.topic] += max(0, len(body) - 6) // INDEX_ENTRY_BYTES
