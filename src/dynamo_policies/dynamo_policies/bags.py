"""Reading episode bags: rosbag2 folders of the recorder's, or of others with a contract given."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.serde import SerdeError
from rosbags.typesys.store import Typestore

from dynamo_policies.bag_info import (
    COMPRESSED_IMAGE,
    BagError,
    BagInfo,
    MissingTopicError,
    files_of,
    read_info,
    read_metadata,
)
from dynamo_policies.contract import Contract, ContractMismatchError
from dynamo_policies.decode import Decoder
from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import Sample
from dynamo_policies.storage import StorageError, check_type, stored_messages, typestore
from dynamo_policies.streams import ImageStream, Stream

__all__ = [
    "BagError",
    "BagInfo",
    "MessageError",
    "MissingTopicError",
    "RawMessage",
    "bag_hash",
    "check_contract",
    "check_types",
    "deserialize",
    "find_bags",
    "raw_messages",
    "read_info",
    "read_metadata",
    "samples",
    "streams_by_topic",
    "typestore",
]

BLOCK_BYTES = 1 << 20


class RawMessage(NamedTuple):
    """A message as it lies in the bag."""

    topic: str
    type: str
    receive_ns: int
    data: memoryview | bytes  # CDR with its encapsulation header


class MessageError(DynamoError):
    """The bytes of a message are not what its type says."""

    def __init__(self, raw: RawMessage, error: Exception) -> None:
        super().__init__(f"a message of {len(raw.data)} bytes on {raw.topic!r} is no {raw.type}: {error!r}")


def check_contract(info: BagInfo, expected: Contract) -> None:
    """Raise ContractMismatchError, saying what differs, unless the bag was recorded under `expected`."""
    if info.contract.hash != expected.hash:
        raise ContractMismatchError(f"bag {info.path}", info.contract, expected)


def raw_messages(info: BagInfo, topics: Collection[str]) -> Iterator[RawMessage]:
    """Yield the messages on `topics` in log-time order, not decoded.

    Raises:
        MissingTopicError: the bag does not have one of `topics`.
        BagError: the file ends early or is damaged.
    """
    for topic in sorted(topics):
        if topic not in info.counts:
            raise MissingTopicError(info.path, topic, info.counts)
    plain = {info.stored_as.get(topic, topic): topic for topic in topics}
    try:
        for stored in stored_messages(info.files, plain, info.compression):
            yield RawMessage(plain[stored.topic], *stored[1:])
    except StorageError as error:
        raise BagError(info.path, f"its messages can't be read: {error}", damaged=True) from error


def check_types(info: BagInfo, topics: Mapping[str, Collection[Stream]]) -> None:
    """Raise unless each of `topics` is in the bag, with the type that its streams in the contract have.

    Raises:
        MissingTopicError: the bag does not have one of them.
        BagError: the type is another one, by its name or by its definition.
    """
    for topic, streams in topics.items():
        if topic not in info.counts:
            raise MissingTopicError(info.path, topic, info.counts)
        for stream in streams:
            if info.types[topic] != stream.type and not _is_image_of(stream, info.types[topic]):
                raise BagError(
                    info.path,
                    f"topic {topic!r} has type {info.types[topic]!r}; the contract says {stream.type!r}",
                )
        try:
            check_type(topic, info.types[topic], info.type_hashes[topic])
        except StorageError as error:
            raise BagError(info.path, str(error)) from error


def samples(path: Path | str, decoder: Decoder) -> Iterator[Sample]:
    """Yield the samples of all observation and action streams of the bag in log-time order.

    Raises:
        ContractMismatchError: the bag was recorded under another contract than the decoder's.
        MissingTopicError: a stream's topic is not in the bag.
        BagError: the bag can't be read.
        DecodeError: a message does not fit the contract.
    """
    info = read_info(path, decoder.contract)
    check_contract(info, decoder.contract)
    by_topic = streams_by_topic(decoder.contract)
    check_types(info, {topic: streams.values() for topic, streams in by_topic.items()})
    for raw in raw_messages(info, by_topic):
        message = deserialize(raw)
        for name in by_topic[raw.topic]:
            sample = decoder.decode(name, message, raw.receive_ns)
            if sample is not None:
                yield sample


def _is_image_of(stream: Stream, type_name: str) -> bool:
    """A camera's images may be stored compressed: they decode to the same."""
    return isinstance(stream, ImageStream) and type_name == COMPRESSED_IMAGE


def streams_by_topic(contract: Contract) -> dict[str, dict[str, Stream]]:
    """Return topic -> {name: stream} of the observation and action streams."""
    topics: dict[str, dict[str, Stream]] = {}
    for name, stream in contract.streams.items():
        if stream.role != "extra":
            topics.setdefault(stream.topic, {})[name] = stream
    return topics


def deserialize(raw: RawMessage, types: Typestore | None = None) -> Any:
    """Return the message that the CDR bytes of `raw` stand for, of one of `types`; None: ROS 2 Jazzy's.

    Raises:
        MessageError: the bytes are no such message, or the type is not known.
    """
    try:
        return (types or typestore()).deserialize_cdr(raw.data, raw.type)
    except (
        SerdeError,
        ValueError,
        LookupError,
        AssertionError,
        OverflowError,
        TypeError,
        struct.error,
    ) as error:
        raise MessageError(raw, error) from error


def find_bags(folder: Path | str) -> list[Path]:
    """Return the bags in `folder` and below it, by path; `folder` itself if it is one.

    Hidden folders are left out: they hold what is still being recorded.

    Raises:
        BagError: there is no such folder or no bag in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BagError(folder, "no such folder")
    found = sorted(
        file.parent
        for file in folder.rglob("metadata.yaml")
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    if not found:
        raise BagError(folder, "no metadata.yaml in it or below, so no complete bag")
    return found


def bag_hash(path: Path | str) -> str:
    """Return the SHA-256 of the bag's messages and metadata.

    Raises:
        BagError: no complete bag there.
    """
    path = Path(path)
    digest = hashlib.sha256()
    for file in (*files_of(path, read_metadata(path)), path / "metadata.yaml"):
        with file.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()
