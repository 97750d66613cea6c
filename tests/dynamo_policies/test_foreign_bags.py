"""Bags that are not ours: read the same, or refused with a reason; never a hang, a crash or a silent zero."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bag_factory import (
    START_NS,
    Raw,
    episode_messages,
    header,
    image_message,
    joint_message,
    serialize,
    write_bag,
)
from dynamo_policies.bags import (
    BagError,
    MessageError,
    deserialize,
    raw_messages,
    read_info,
    samples,
    typestore,
)
from dynamo_policies.cache import FrameCache
from dynamo_policies.contract import Contract, ContractMismatchError
from dynamo_policies.decode import DecodeError, Decoder, FrameSettings
from dynamo_policies.episodes import load_episode
from dynamo_policies.errors import DynamoError
from dynamo_policies.mcap import MAGIC
from dynamo_policies.storage import Stored
from dynamo_policies.streams import ImageStream
from dynamo_policies.verify import verify
from foreign_bags import foreign_bag
from mcap_factory import channel_record, chunk, end, message_record, record, schema_record, text

JOINTS = "/xarm/joint_states"
SMALL = FrameSettings(8)


@pytest.fixture(scope="module")
def small(contract: Contract) -> Contract:
    """The kitchen's contract with tiny images."""
    streams = {
        name: replace(stream, width=24, height=16) if isinstance(stream, ImageStream) else stream
        for name, stream in contract.streams.items()
    }
    return replace(contract, streams=streams)


@pytest.fixture(scope="module")
def messages(small: Contract) -> list[Raw]:
    """An episode of a second."""
    return episode_messages(small, 1.0)


@pytest.fixture(scope="module")
def types(small: Contract) -> dict[str, str]:
    """The topics and types of the contract, and one topic of an unknown type."""
    return {stream.topic: stream.type for stream in small.streams.values()} | {"/lab": "lab_msgs/msg/Odd"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zstd"},
        {"compression": "lz4", "files": 3},
        {"mode": "file", "files": 2},
        {"mode": "message"},
        {"storage": "sqlite3"},
        {"storage": "sqlite3", "files": 2},
        {"storage": "sqlite3", "mode": "file"},
        {"storage": "sqlite3", "mode": "message"},
    ],
    ids=str,
)
def test_a_bag_of_another_recorder_gives_the_episode_of_ours(
    small: Contract, types: dict[str, str], messages: list[Raw], tmp_path: Path, options: dict[str, str]
) -> None:
    ours = load_episode(write_bag(tmp_path / "ours", small, messages), SMALL)
    odd = Raw("/lab", b"\x00\x01\x00\x00\x05", START_NS)
    bag = foreign_bag(tmp_path / "theirs", types, [odd, *messages], **options)
    theirs = load_episode(bag, SMALL, small)
    for name in ("tick_ns", "state", "valid", "measured_position", "target_position", "target_gripper"):
        np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))
    for camera in small.cameras:
        np.testing.assert_array_equal(theirs.images[camera], ours.images[camera])
    cached = FrameCache(tmp_path / "cache").episode(bag, SMALL, small)
    np.testing.assert_array_equal(cached.images["wrist"], ours.images["wrist"])
    found = verify(bag, small)
    assert found.errors == []
    assert found.warnings[0] == "has no contract of its own; read by the one given"


def test_without_a_contract_the_error_lists_what_is_in_the_bag(
    types: dict[str, str], messages: list[Raw], tmp_path: Path
) -> None:
    bag = foreign_bag(tmp_path / "bag", types, messages)
    with pytest.raises(
        BagError, match=r"give one .*--contract FILE.*/lab \(lab_msgs/msg/Odd\), /wrist/camera"
    ):
        load_episode(bag, SMALL)


def test_a_given_contract_must_be_the_bags_own(small: Contract, messages: list[Raw], tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", small, messages)
    with pytest.raises(ContractMismatchError, match="settle_ms"):
        load_episode(bag, SMALL, replace(small, settle_ms=1.0))


def test_a_topic_of_another_type_is_refused(
    small: Contract, types: dict[str, str], messages: list[Raw], tmp_path: Path
) -> None:
    bag = foreign_bag(tmp_path / "bag", types | {JOINTS: "std_msgs/msg/String"}, messages)
    with pytest.raises(
        BagError, match=r"joint_states' has type 'std_msgs/msg/String'; the contract says 'sensor"
    ):
        load_episode(bag, SMALL, small)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_type_of_another_definition_is_refused(
    small: Contract,
    types: dict[str, str],
    messages: list[Raw],
    tmp_path: Path,
    storage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Before there were hashes in metadata.yaml the definition in the file is all there is.
    monkeypatch.setattr("foreign_bags.definition_of", lambda _kind: "float64[] position")
    bag = foreign_bag(tmp_path / "bag", types, messages, storage=storage)
    file = bag / "metadata.yaml"
    file.write_text(re.sub("RIHS01_.*", "''", file.read_text()))
    with pytest.raises(BagError, match=r"is not ROS 2 Jazzy's \(type hash RIHS01_"):
        load_episode(bag, SMALL, small)


def test_a_type_hash_of_another_version_is_refused(
    small: Contract, types: dict[str, str], messages: list[Raw], tmp_path: Path
) -> None:
    bag = foreign_bag(tmp_path / "bag", types, messages)
    file = bag / "metadata.yaml"
    file.write_text(re.sub("RIHS01_.", "RIHS01_x", file.read_text()))
    with pytest.raises(BagError, match=r"is not ROS 2 Jazzy's"):
        load_episode(bag, SMALL, small)


def edited(change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(bag: Path) -> None:
        file = bag / "metadata.yaml"
        file.write_text(change(file.read_text()))

    return edit


def replaced(old: str, new: str) -> Callable[[Path], None]:
    return edited(lambda given: re.sub(old, new, given, count=1))


# Ten million texts, in some hundred characters.
BOMB = "a: &a0 [x]\n" + "".join(f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 8))
BOMB += "  storage_identifier: *a7"

BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "not utf-8": (lambda bag: (bag / "metadata.yaml").write_bytes(b"\xff\xfe\x00"), "no rosbag2 metadata"),
    "a list": (edited(lambda _: "- a\n- b\n"), "no rosbag2 metadata"),
    "a list inside": (edited(lambda _: "rosbag2_bagfile_information: [1]"), "holds list, not a mapping"),
    "deep": (edited(lambda _: "[" * 10000), "no rosbag2 metadata"),
    "aliases": (edited(lambda given: given.replace("storage_identifier: mcap", BOMB)), "aliases written out"),
    "merges": (replaced("identifier: mcap", "identifier: mcap\n  <<: {a: 1}"), "no rosbag2 metadata"),
    "huge": (edited(lambda given: given + "#" * (5 << 20)), "larger than 4194304 bytes"),
    "future": (replaced("version: 9", "version: 10"), "version 10; up to 9 is read"),
    "no version": (replaced("version: 9", "other: 9"), "metadata.yaml is damaged"),
    "storage": (replaced("identifier: mcap", "identifier: tape"), "storage 'tape' is not read"),
    "compression": (replaced('mode: ""', 'mode: "FILE"'), "compression 'file' by '' is not read"),
    "custom list": (replaced("custom_data: ~", "custom_data: [1]"), "custom_data is list"),
    "custom number": (
        replaced("custom_data: ~", "custom_data: {task: 7}"),
        "'task' of its custom_data is int",
    ),
    "no files": (replaced("- bag_0.mcap", "- 7"), "does not list its files as texts"),
    "elsewhere": (replaced("- bag_0.mcap", "- ../../etc/passwd"), "file passwd is missing"),
    "counts": (replaced("message_count: ", "message_count: x"), "metadata.yaml is damaged"),
    "topics": (
        replaced(
            "(?s)topics_with_message_count:.*compression_f",
            "topics_with_message_count: {a: 1}\n  compression_f",
        ),
        "damaged",
    ),
    "empty": (lambda bag: (bag / "bag_0.mcap").write_bytes(b""), "truncated or no MCAP file"),
    "text": (lambda bag: (bag / "bag_0.mcap").write_text("hello" * 9), "truncated or no MCAP file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_bag_is_a_clear_error(
    small: Contract, types: dict[str, str], messages: list[Raw], tmp_path: Path, name: str
) -> None:
    bag = foreign_bag(tmp_path / "bag", types, messages)
    change, reason = BROKEN[name]
    change(bag)
    with pytest.raises(BagError, match=reason):
        load_episode(bag, SMALL, small)
    assert re.search(reason, verify(bag, small).errors[0])


def described(encoding: str = "cdr") -> bytes:
    return schema_record(1, "std_msgs/msg/String", "string data") + channel_record(1, 1, "/a", encoding)


HEAD = MAGIC + record(1, text("ros2") + text(""))
# What an MCAP file may claim, and what is said of it.
ABSURD: dict[str, tuple[bytes, str]] = {
    "record": (b"\x05" + b"\xff" * 8, "ends after"),
    "bomb": (chunk(described(), "", size=2**40), "a chunk of 1099511627776 bytes; at most"),
    "longer": (chunk(described() + bytes(1 << 20), "zstd", size=4096), "a chunk's checksum does not fit"),
    "shorter": (chunk(described(), "zstd", size=4096), "a chunk holds .* where its header says 4096"),
    "packer": (chunk(described(), "", name="gzip"), "chunk compression 'gzip' is unknown; known: zstd, lz4"),
    "garbage": (chunk(b"garbage", "", name="lz4"), "a chunk can't be unpacked"),
    "channel": (chunk(described() + message_record(9, 1, b""), ""), r"on channel 9; the file has \[1\]"),
    "time": (
        chunk(described() + message_record(1, 2**64 - 1, b""), ""),
        "received at 18446744073709551615 ns",
    ),
    "short": (chunk(described() + record(5, b"\x01"), ""), "a message record of 1 bytes"),
    "text": (chunk(record(3, b"\x01\x00" + b"\xff" * 4), ""), "a text of 4294967295 bytes"),
    "schemaless": (chunk(channel_record(1, 7, "/a"), ""), "a schema or channel record is damaged"),
    "json": (chunk(described("json") + message_record(1, 1, b"{}"), ""), "serialised as 'json'"),
}


@pytest.mark.parametrize("name", ABSURD)
def test_an_absurd_file_is_a_clear_error(tmp_path: Path, small: Contract, name: str) -> None:
    content, reason = ABSURD[name]
    bag = foreign_bag(tmp_path / "bag", {"/a": "std_msgs/msg/String"}, [])
    (bag / "bag_0.mcap").write_bytes(HEAD + content + end())
    with pytest.raises(BagError, match=reason):
        list(raw_messages(read_info(bag, small), ["/a"]))


def test_bytes_that_are_no_message_are_a_clear_error() -> None:
    whole = serialize(joint_message(["a"], [1.0]))
    for data in (b"", b"\x00", whole[:-5], whole + bytes(64), whole[:20] + b"\xff\xff\xff\xff" + whole[24:]):
        with pytest.raises(
            MessageError, match=rf"{len(data)} bytes on '/a' is no sensor_msgs/msg/JointState"
        ):
            deserialize(Stored("/a", "sensor_msgs/msg/JointState", 0, data))  # type: ignore[arg-type]


def jpeg_of(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xc0\x00\x11\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes(200)


def compressed(data: bytes) -> bytes:
    message = typestore().types["sensor_msgs/msg/CompressedImage"](
        header=header(0), format="jpeg", data=np.frombuffer(data, np.uint8)
    )
    return serialize(message)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (jpeg_of(65000, 65000), "a compressed image of 65000x65000; at most"),
        (jpeg_of(24, 16), "no complete jpeg or png image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(8) + b"\x00\x0f\xff\xff" * 2, "1048575x1048575; at most"),
        (b"RIFF" + bytes(100), "no complete jpeg or png image"),
    ],
)
def test_a_compressed_image_of_absurd_size_is_refused_before_decoding(
    small: Contract, tmp_path: Path, messages: list[Raw], data: bytes, reason: str
) -> None:
    name, stream = next(iter(small.cameras.items()))
    streams = small.streams | {name: replace(stream, type="sensor_msgs/msg/CompressedImage")}
    other = replace(small, streams=streams)
    kept = [raw._replace(data=compressed(data)) if raw.topic == stream.topic else raw for raw in messages]
    bag = write_bag(tmp_path / "bag", other, kept)
    with pytest.raises(DecodeError, match=reason):
        list(samples(bag, Decoder(other, SMALL)))


def test_an_image_smaller_than_it_says_is_refused(
    small: Contract, tmp_path: Path, messages: list[Raw]
) -> None:
    _, stream = next(iter(small.cameras.items()))
    message = image_message(np.zeros((16, 24, 3), np.uint8), START_NS)
    message.height = 2**31
    bad = [raw._replace(data=serialize(message)) if raw.topic == stream.topic else raw for raw in messages]
    (error,) = verify(write_bag(tmp_path / "bag", small, bad)).errors
    assert re.search(r"1152 bytes given for a 24x2147483648 rgb8 image", error)


def shifted(raw: Raw, by_ns: int) -> Raw:
    """Return `raw` with another stamp in its header."""
    data = bytearray(raw.data)
    stamp = int.from_bytes(data[4:8], "little") * 10**9 + int.from_bytes(data[8:12], "little") + by_ns
    data[4:8] = (stamp // 10**9).to_bytes(4, "little")
    data[8:12] = (stamp % 10**9).to_bytes(4, "little")
    return raw._replace(data=bytes(data))


def test_clock_jumps_are_named(small: Contract, tmp_path: Path, messages: list[Raw]) -> None:
    half = len(messages) // 2
    back = [*messages[:half], *(shifted(raw, -2 * 10**9) for raw in messages[half:])]
    found = verify(write_bag(tmp_path / "back", small, back))
    assert "stream 'arm': stamps go back 1 times, by up to 1990 ms" in found.warnings
    assert "stream 'arm': its clock jumps by 2.0 s against the recorder's" in found.warnings
    years = [*messages[:half], *(shifted(raw, 2 * 10**18) for raw in messages[half:])]
    *_, error = verify(write_bag(tmp_path / "years", small, years)).errors
    assert re.search(r"its stamps span 55\d{4} hours, at most 24 are possible: did a clock jump", error)


def test_frozen_images_and_repeated_stamps_are_named(
    small: Contract, tmp_path: Path, messages: list[Raw]
) -> None:
    topic = small.streams["wrist"].topic
    images = [raw for raw in messages if raw.topic == topic]
    frozen = [
        shifted(images[0], raw.receive_ns - images[0].receive_ns)._replace(receive_ns=raw.receive_ns)
        for raw in images[:25]
    ]
    others = [raw for raw in messages if raw.topic != topic]
    bag = write_bag(tmp_path / "bag", small, [*others, *frozen, *images[25:], images[-1], images[-1]])
    found = verify(bag)
    assert found.errors == []
    assert "stream 'wrist' shows the same image for 800 ms" in found.warnings
    assert "stream 'wrist' repeats 2 stamps" in found.warnings


def test_messages_that_metadata_counts_and_the_file_lacks_are_an_error(
    small: Contract, types: dict[str, str], messages: list[Raw], tmp_path: Path
) -> None:
    bag = foreign_bag(tmp_path / "bag", types, messages)
    missing = foreign_bag(tmp_path / "missing", types, [raw for raw in messages if raw.topic != JOINTS][:300])
    shutil.copy(bag / "metadata.yaml", missing / "metadata.yaml")
    (missing / "missing_0.mcap").rename(missing / "bag_0.mcap")
    expected = "metadata.yaml says 102 messages on /xarm/joint_states, the files hold 0"
    assert expected in verify(missing, small).errors


def test_a_bag_without_messages_says_so(small: Contract, types: dict[str, str], tmp_path: Path) -> None:
    for storage in ("mcap", "sqlite3"):
        bag = foreign_bag(tmp_path / storage, types, [], storage=storage)
        with pytest.raises(DynamoError, match="no tick at which all streams are fresh"):
            load_episode(bag, SMALL, small)
        assert "stream 'arm' has no messages" in verify(bag, small).errors
