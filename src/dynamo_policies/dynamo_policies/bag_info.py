"""What a bag says about itself: rosbag2's metadata.yaml, and in its custom data what the episode was.

`custom_data` of metadata.yaml holds texts: task, prompt, operator, outcome, note, contract (YAML),
contract_hash, versions and dropped (JSON), started_ns. Nothing of it is trusted.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dynamo_policies.contract import Contract, parse_contract
from dynamo_policies.errors import ConfigError, DynamoError
from dynamo_policies.mcap import MAGIC
from dynamo_policies.safe_yaml import load_yaml
from dynamo_policies.streams import ImageStream

LARGEST_METADATA = 4 << 20
LATEST_VERSION = 9  # of rosbag2's metadata.yaml
COMPRESSED, COMPRESSED_IMAGE = "/compressed", "sensor_msgs/msg/CompressedImage"  # as image_transport has it
STORAGES = ("mcap", "sqlite3")
COMPRESSIONS = ("", "none", "file", "message", "storage")


class BagError(DynamoError):
    """A bag can't be read as an episode; `damaged` tells whether repairing it may help."""

    def __init__(self, path: Path | str, problem: str, *, damaged: bool = False) -> None:
        super().__init__(f"bag {path}: {problem}" + ("; `dynamo bags repair` may help" if damaged else ""))
        self.damaged = damaged


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
    type_hashes: dict[str, str]  # topic -> RIHS01 hash of its type, empty where the bag has none
    dropped: dict[str, int]  # topic -> messages received but not written
    versions: dict[str, str]  # software -> version
    compression: str  # as metadata.yaml's compression_mode: empty, file or message
    custom: dict[str, str]  # all texts of the bag's custom data
    foreign: bool  # The contract is not the bag's own but was given for reading it.
    stored_as: dict[str, str]  # camera topic -> topic that has it, where that is another: its JPEGs

    @property
    def seconds(self) -> float:
        """From the first message to the last."""
        return self.duration_ns / 1e9

    @property
    def bytes(self) -> int:
        """Size of the files that hold the messages."""
        return sum(file.stat().st_size for file in self.files)


def read_info(path: Path | str, contract: Contract | None = None) -> BagInfo:
    """Return what the bag at `path` says about itself, without reading its messages.

    `contract` is for bags that have none, such as those of ROS 2's own recorder; a bag's own goes first.

    Raises:
        BagError: no bag there, an incomplete or damaged one, or one without a contract and none is given.
        ConfigError: the contract in it is not valid.
    """
    path = Path(path)
    metadata = read_metadata(path)
    try:
        return _info_from(path, metadata, _custom_data(path, metadata), contract)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BagError(path, f"its metadata.yaml is damaged: {error!r}", damaged=True) from error


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what metadata.yaml says, or raise BagError."""
    file = path / "metadata.yaml"
    if not file.is_file():
        raise BagError(
            path, "no metadata.yaml; either no bag or one whose recording was cut off", damaged=True
        )
    if file.stat().st_size > LARGEST_METADATA:
        raise BagError(path, f"its metadata.yaml is larger than {LARGEST_METADATA} bytes")
    try:
        metadata = load_yaml(file.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BagError(path, f"its metadata.yaml is no rosbag2 metadata: {error!r}", damaged=True) from error
    if not isinstance(metadata, dict):
        raise BagError(path, f"its metadata.yaml holds {type(metadata).__name__}, not a mapping")
    return metadata


def _custom_data(path: Path, metadata: dict[str, Any]) -> dict[str, str]:
    custom = metadata.get("custom_data") or {}
    if not isinstance(custom, dict):
        raise BagError(path, f"its custom_data is {type(custom).__name__}, not a mapping of texts")
    for key, value in custom.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            kind = type(value).__name__
            raise BagError(path, f"entry {key!r} of its custom_data is {kind}, not a text")
    return custom


def _info_from(
    path: Path, metadata: dict[str, Any], custom: dict[str, str], contract: Contract | None
) -> BagInfo:
    topics = metadata["topics_with_message_count"] or []
    named: dict[str, Any] = {str(one["topic_metadata"]["name"]): one["topic_metadata"] for one in topics}
    own = _own_contract(path, custom["contract"]) if "contract" in custom else None
    chosen = own or contract
    if chosen is None:
        listed = sorted(f"{name} ({topic['type']})" for name, topic in named.items())
        raise BagError(
            path,
            f"no contract in its custom_data, which has {sorted(custom)}; give one to read it by "
            f"(--contract FILE). Its topics: {', '.join(listed) or 'none'}",
        )
    stored_as = _stored_as(chosen, {name: str(topic["type"]) for name, topic in named.items()})
    plain = {stored: topic for topic, stored in stored_as.items()}
    named = {plain.get(name, name): topic for name, topic in named.items()}
    _check_readable(path, metadata)
    files = files_of(path, metadata)
    for file in files:
        _check_complete(path, file)
    return BagInfo(
        path=path,
        files=files,
        contract=chosen,
        start_ns=int(metadata["starting_time"]["nanoseconds_since_epoch"]),
        duration_ns=int(metadata["duration"]["nanoseconds"]),
        messages=int(metadata["message_count"]),
        counts={plain.get(name, name): count for name, count in _counts(topics).items()},
        types={name: str(topic["type"]) for name, topic in named.items()},
        type_hashes={name: str(topic.get("type_description_hash") or "") for name, topic in named.items()},
        dropped={topic: int(count) for topic, count in json.loads(custom.get("dropped", "{}")).items()},
        versions=json.loads(custom.get("versions", "{}")),
        compression=_compression(metadata),
        custom=custom,
        foreign=own is None,
        stored_as=stored_as,
        **{key: custom.get(key, "") for key in ("task", "prompt", "operator", "outcome", "note")},
    )


def _stored_as(contract: Contract, types: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for the cameras' topics that are not in the bag: the JPEGs beside them."""
    cameras = {stream.topic for stream in contract.streams.values() if isinstance(stream, ImageStream)}
    return {
        topic: topic + COMPRESSED
        for topic in sorted(cameras - types.keys())
        if types.get(topic + COMPRESSED) == COMPRESSED_IMAGE
    }


def _own_contract(path: Path, text: str) -> Contract:
    try:
        return _parsed(text)
    except ConfigError:
        return parse_contract(text, where=f"contract in {path}")


@functools.lru_cache(maxsize=16)
def _parsed(text: str) -> Contract:
    """Return the contract; the bags of a session share one, and parsing it takes ten milliseconds."""
    return parse_contract(text)


def _counts(topics: list[Any]) -> dict[str, int]:
    """Return topic -> messages; rosbag2 lists a topic once for each type or QoS that was offered."""
    counts: dict[str, int] = {}
    for topic in topics:
        name = str(topic["topic_metadata"]["name"])
        counts[name] = counts.get(name, 0) + int(topic["message_count"])
    return counts


def _compression(metadata: dict[str, Any]) -> str:
    mode = str(metadata.get("compression_mode") or "").lower()
    return mode if mode in ("file", "message") else ""


def _check_readable(path: Path, metadata: dict[str, Any]) -> None:
    version, storage = int(metadata["version"]), metadata["storage_identifier"]
    mode, form = str(metadata.get("compression_mode") or "").lower(), metadata.get("compression_format") or ""
    if version > LATEST_VERSION:
        raise BagError(path, f"its metadata.yaml has version {version}; up to {LATEST_VERSION} is read")
    if storage not in STORAGES:
        raise BagError(path, f"storage {storage!r} is not read; possible: {', '.join(STORAGES)}")
    if mode not in COMPRESSIONS or (mode in ("file", "message") and form != "zstd"):
        raise BagError(
            path, f"compression {mode!r} by {form!r} is not read; possible: file or message by 'zstd'"
        )


def files_of(path: Path, metadata: dict[str, Any]) -> tuple[Path, ...]:
    """Return the files that hold the messages, or raise BagError."""
    names = metadata.get("relative_file_paths") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BagError(path, "its metadata.yaml does not list its files as texts")
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
        head = stream.read(len(MAGIC))
        stream.seek(max(0, file.stat().st_size - len(MAGIC)))
        tail = stream.read()
    if head != MAGIC or tail != MAGIC:
        raise BagError(
            path, f"{file.name} is truncated or no MCAP file ({file.stat().st_size} bytes)", damaged=True
        )
