"""Episode bags: rosbag2 folders with one MCAP file and, in their custom data, what the episode was.

`custom_data` of metadata.yaml holds texts: task, prompt, operator, outcome, note, contract (YAML),
contract_hash, versions and dropped (JSON), started_ns.
"""

from __future__ import annotations

import functools
import hashlib
import json
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from dynamo_policies.contract import Contract, ContractMismatchError, Stream, parse_contract
from dynamo_policies.decode import Decoder
from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import Sample

MCAP_MAGIC = b"\x89MCAP0\r\n"
BLOCK_BYTES = 1 << 20


class BagError(DynamoError):
    """A bag can't be read as an episode."""

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(f"bag {path}: {problem}")


class MissingTopicError(BagError):
    """A topic that the contract names is not in the bag."""

    def __init__(self, path: Path | str, topic: str, available: Collection[str]) -> None:
        super().__init__(path, f"topic {topic!r} is not in it; it has {sorted(available)}")


@dataclass(frozen=True)
class BagInfo:
    """What a bag says about itself. Times by the ROS clock, as the messages were received."""

    path: Path
    files: tuple[Path, ...]
    task: str
    prompt: str
    operator: str
    outcome: str
    note: str
    contract: Contract
    start_ns: int
    duration_ns: int
    messages: int
    counts: dict[str, int]  # topic -> messages in the bag
    types: dict[str, str]  # topic -> type
    dropped: dict[str, int]  # topic -> messages received but not written
    versions: dict[str, str]  # software -> version

    @property
    def seconds(self) -> float:
        """From the first message to the last."""
        return self.duration_ns / 1e9

    @property
    def bytes(self) -> int:
        """Size of the files that hold the messages."""
        return sum(file.stat().st_size for file in self.files)


class RawMessage(NamedTuple):
    """A message as it lies in the bag."""

    topic: str
    type: str
    receive_ns: int
    data: bytes  # CDR with its encapsulation header


def read_info(path: Path | str) -> BagInfo:
    """Return what the bag at `path` says about itself, without reading its messages.

    Raises:
        BagError: no bag there, an incomplete or damaged one, or one without a contract.
        ConfigError: the contract in it is not valid.
    """
    path = Path(path)
    metadata = _read_metadata(path)
    custom = metadata.get("custom_data") or {}
    if "contract" not in custom:
        raise BagError(
            path, f"no contract in its custom_data, which has {sorted(custom)}; was it made by the recorder?"
        )
    try:
        return _info_from(path, metadata, custom)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BagError(path, f"its metadata.yaml is damaged: {error!r}") from error


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
    try:
        with Reader(info.path) as reader:
            chosen = [connection for connection in reader.connections if connection.topic in topics]
            for connection, receive_ns, data in reader.messages(chosen):
                yield RawMessage(connection.topic, connection.msgtype, receive_ns, data)
    # rosbags lets what a damaged record makes of its parsers through as it is.
    except (ReaderError, OSError, ValueError, AssertionError, LookupError, struct.error) as error:
        raise BagError(info.path, f"its messages can't be read: {error!r}") from error


def samples(path: Path | str, decoder: Decoder) -> Iterator[Sample]:
    """Yield the samples of all observation and action streams of the bag in log-time order.

    Raises:
        ContractMismatchError: the bag was recorded under another contract than the decoder's.
        MissingTopicError: a stream's topic is not in the bag.
        BagError: the bag can't be read.
        DecodeError: a message does not fit the contract.
    """
    info = read_info(path)
    check_contract(info, decoder.contract)
    by_topic = streams_by_topic(decoder.contract)
    for raw in raw_messages(info, by_topic):
        message = deserialize(raw)
        for name in by_topic[raw.topic]:
            sample = decoder.decode(name, message, raw.receive_ns)
            if sample is not None:
                yield sample


def streams_by_topic(contract: Contract) -> dict[str, dict[str, Stream]]:
    """Return topic -> {name: stream} of the observation and action streams."""
    topics: dict[str, dict[str, Stream]] = {}
    for name, stream in contract.streams.items():
        if stream.role != "extra":
            topics.setdefault(stream.topic, {})[name] = stream
    return topics


def deserialize(raw: RawMessage) -> Any:
    """Return the message that the CDR bytes of `raw` stand for, of a type that ROS 2 Jazzy ships."""
    return typestore().deserialize_cdr(raw.data, raw.type)


@functools.cache
def typestore() -> Typestore:
    """Return the message types of ROS 2 Jazzy; shared, so register nothing in it."""
    return get_typestore(Stores.ROS2_JAZZY)


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
    for file in (*_files(path, _read_metadata(path)), path / "metadata.yaml"):
        with file.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _read_metadata(path: Path) -> dict[str, Any]:
    file = path / "metadata.yaml"
    if not file.is_file():
        raise BagError(path, "no metadata.yaml; either no bag or one whose recording was cut off")
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
        metadata = loaded["rosbag2_bagfile_information"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise BagError(path, f"its metadata.yaml is no rosbag2 metadata: {error!r}") from error
    if not isinstance(metadata, dict):
        raise BagError(path, f"its metadata.yaml holds {type(metadata).__name__}, not a mapping")
    return metadata


def _info_from(path: Path, metadata: dict[str, Any], custom: dict[str, str]) -> BagInfo:
    topics = metadata["topics_with_message_count"]
    files = _files(path, metadata)
    for file in files:
        _check_complete(path, file)
    return BagInfo(
        path=path,
        files=files,
        contract=parse_contract(custom["contract"], where=f"contract in {path}"),
        start_ns=int(metadata["starting_time"]["nanoseconds_since_epoch"]),
        duration_ns=int(metadata["duration"]["nanoseconds"]),
        messages=int(metadata["message_count"]),
        counts={topic["topic_metadata"]["name"]: int(topic["message_count"]) for topic in topics},
        types={topic["topic_metadata"]["name"]: topic["topic_metadata"]["type"] for topic in topics},
        dropped={topic: int(count) for topic, count in json.loads(custom.get("dropped", "{}")).items()},
        versions=json.loads(custom.get("versions", "{}")),
        **{key: custom.get(key, "") for key in ("task", "prompt", "operator", "outcome", "note")},
    )


def _files(path: Path, metadata: dict[str, Any]) -> tuple[Path, ...]:
    names = metadata.get("relative_file_paths") or []
    files = tuple(path / Path(name).name for name in names)
    if not files:
        raise BagError(path, "its metadata.yaml names no file with messages")
    for file in files:
        if not file.is_file():
            raise BagError(
                path, f"file {file.name} is missing; there is {sorted(p.name for p in path.iterdir())}"
            )
    return files


def _check_complete(path: Path, file: Path) -> None:
    """An MCAP file begins and ends with the same eight bytes."""
    if file.suffix != ".mcap":
        return
    with file.open("rb") as stream:
        head = stream.read(len(MCAP_MAGIC))
        stream.seek(max(0, file.stat().st_size - len(MCAP_MAGIC)))
        tail = stream.read()
    if head != MCAP_MAGIC or tail != MCAP_MAGIC:
        raise BagError(path, f"{file.name} is truncated or no MCAP file ({file.stat().st_size} bytes)")
