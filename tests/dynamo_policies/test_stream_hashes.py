"""`verify` holds a bag's messages against the hashes that the recorder wrote."""

import json
import shutil
import struct
import zlib
from pathlib import Path

import pytest
import yaml

from bag_factory import Raw, episode_messages
from dynamo_policies.bags import BagError, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.mcap import CHUNK, MAGIC, open_file, read_chunk, records
from dynamo_policies.repair import repair
from dynamo_policies.stream_hashes import check_hashes, stream_hashes
from dynamo_policies.verify import verify
from dynamo_ros.core.recording import EpisodeWriter
from dynamo_ros.core.storage_settings import StorageSettings

JOINTS = "/xarm/joint_states"
LAST_POSITION = 16  # from the end: a double, then two empty arrays
CHECKSUM_PLACE = 24  # in a chunk: after the times and the size


def record(path: Path, contract: Contract, settings: StorageSettings, messages: list[Raw]) -> Path:
    """Write `messages` in their order into a bag."""
    writer = EpisodeWriter(path, contract, "put_yogurt", settings=settings)
    for raw in messages:
        assert writer.write(*raw)
    summary = writer.close("success")
    assert summary.error == ""
    return summary.path


def flip(file: Path, data: bytes) -> None:
    """Change the joint state `data` in its chunk by one bit, and the chunk's checksum to fit."""
    content = bytearray(file.read_bytes())
    for one in records(open_file(file)[len(MAGIC) : -len(MAGIC)]):
        if one.kind == CHUNK and data in bytes(read_chunk(one).packed):
            body = content.index(bytes(one.body))
            packed = bytes(read_chunk(one).packed)
            place = packed.index(data) + len(data) - LAST_POSITION
            changed = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
            start = body + len(one.body) - len(packed)
            content[start : start + len(packed)] = changed
            struct.pack_into("<I", content, body + CHECKSUM_PLACE, zlib.crc32(changed))
    file.write_bytes(content)


def custom_data(bag: Path, change: dict[str, str]) -> Path:
    """Change entries of the bag's custom data."""
    file = bag / "metadata.yaml"
    metadata = yaml.safe_load(file.read_text())
    metadata["rosbag2_bagfile_information"]["custom_data"] |= change
    file.write_text(yaml.safe_dump(metadata))
    return bag


@pytest.mark.parametrize(
    "settings",
    [
        StorageSettings(),
        StorageSettings(compression="zstd", image_compression="lz4"),
        StorageSettings(images="jpeg"),
        StorageSettings(storage="sqlite3"),
    ],
    ids=["plain", "compressed", "jpeg", "sqlite3"],
)
def test_hashes_hold_in_the_order_of_the_file_whatever_the_log_times(
    contract: Contract, tmp_path: Path, settings: StorageSettings
) -> None:
    messages = episode_messages(contract, 0.5)
    messages[10], messages[80] = messages[80], messages[10]  # received earlier, written later
    bag = record(tmp_path / "bag", contract, settings, messages)
    info = read_info(bag)
    assert check_hashes(info) == []
    recorded = json.loads(info.custom["stream_hashes"])
    assert stream_hashes(info).items() <= recorded.items()
    assert sum(not topic.endswith("/compressed") for topic in stream_hashes(info)) >= 2


def test_a_flipped_byte_is_named_by_its_topic(contract: Contract, tmp_path: Path) -> None:
    messages = episode_messages(contract, 0.5)
    bag = record(tmp_path / "bag", contract, StorageSettings(), messages)
    joints = [raw.data for raw in messages if raw.topic == JOINTS]
    flip(bag / "bag.mcap", joints[3])
    found = verify(bag)
    assert len(found.errors) == 1
    assert found.errors[0].startswith(
        f"the messages on {JOINTS} are not those that were recorded: their SHA-256 is "
    )


def test_bags_without_hashes_verify(contract: Contract, tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", contract, StorageSettings(hashes=False), episode_messages(contract, 0.5))
    assert "stream_hashes" not in read_info(bag).custom
    assert verify(bag).errors == []


def test_messages_that_the_hashes_do_not_know_are_named(contract: Contract, tmp_path: Path) -> None:
    bag = record(tmp_path / "bag", contract, StorageSettings(), episode_messages(contract, 0.3))
    hashes = json.loads(read_info(bag).custom["stream_hashes"])
    del hashes[JOINTS]
    hashes["/gone"] = "0" * 64
    custom_data(bag, {"stream_hashes": json.dumps(hashes)})
    assert [error.split(" are not those")[0] for error in check_hashes(read_info(bag))] == [
        "the messages on /gone",
        f"there are messages on {JOINTS}, of which the recorder wrote no hash",
    ]


@pytest.mark.parametrize(
    ("text", "reason"), [("{", "are no JSON"), ("[1]", "not a mapping"), ('{"a": 1}', "not a mapping")]
)
def test_hashes_that_are_none_are_refused(contract: Contract, tmp_path: Path, text: str, reason: str) -> None:
    bag = record(tmp_path / "bag", contract, StorageSettings(), episode_messages(contract, 0.2))
    with pytest.raises(BagError, match=f"its stream_hashes {reason}|its stream_hashes are {reason}"):
        check_hashes(read_info(custom_data(bag, {"stream_hashes": text})))


def test_what_a_repair_keeps_is_not_held_against_hashes_of_the_whole(
    contract: Contract, tmp_path: Path
) -> None:
    bag = record(tmp_path / "bag", contract, StorageSettings(), episode_messages(contract, 0.5))
    file = bag / "bag.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    shutil.rmtree(tmp_path / ".bag.damaged", ignore_errors=True)
    info = read_info(repair(bag).path)
    assert not {"stream_hashes", "verdict"} & set(info.custom)
    assert check_hashes(info) == []
